// What is here: a receiver that knows a TLS session only by its ticket: openssl.
// Called by: TLSTests.

import TestSupport

/// TLS 1.2 by openssl, one GET a connection. It keeps no sessions: what comes back in no ticket it does not know. Ended with
/// the value.
final class TicketReceiver {
    private let program: Program
    private let port: Int

    init() throws {
        let file = try Certificates.shared.get().file(.valid)
        program = try Program(
            ["openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", file, "-key", file, "-tls1_2", "-no_cache", "-www"])
        var line = program.readLine()
        while !line.isEmpty, !line.hasPrefix("ACCEPT") { line = program.readLine() }
        guard let port = line.split(separator: ":").last.flatMap({ Int($0) }) else {
            throw ProgramError("openssl s_server said \(line)")
        }
        self.port = port
    }

    func url() -> String { "https://localhost:\(port)/" }
}
