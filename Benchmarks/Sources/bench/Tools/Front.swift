// A reverse proxy in front of the receiver, as most receivers have one: it speaks TLS, and HTTP/1.1 or HTTP/2.

import Glibc

/// A running `nghttpx` on 127.0.0.1 that passes everything on to one port of the receiver.
final class Front {
    /// What it speaks to the workers; to the receiver always HTTP/1.1.
    enum Version: String {
        case http1 = "http/1.1"
        case http2 = "h2"
    }

    /// Whether there is such a program.
    static var isPossible: Bool { program != nil }

    /// Where workers find it.
    let url: String
    private let child: Child

    /// Starts one and waits until it listens.
    ///
    /// - Throws: ``BenchError`` when it cannot be started.
    init(_ toolbox: Toolbox, _ version: Version, authority: Authority, backend: Int) throws {
        guard let program = Self.program else { throw BenchError("nghttpx is missing (Debian package nghttp2-proxy).") }
        let port = try Self.freePort()
        url = "https://127.0.0.1:\(port)/"
        child = try toolbox.startProgram(
            program,
            [
                "--conf=/dev/null", "--frontend=127.0.0.1,\(port)", "--backend=127.0.0.1,\(backend)",
                "--single-process",
                "--workers=1", "--npn-list=\(version.rawValue)", "--no-ocsp", "--log-level=NOTICE",
                "--errorlog-file=/dev/stdout", "--accesslog-file=/dev/null", "--backend-connections-per-host=512",
                authority.key, authority.certificate,
            ])
        while try !child.line(within: 10).contains("Listening on") {}
    }

    /// CPU of it so far, in microseconds.
    var cpuMicroseconds: Double { ProcessFigures.cpuMicroseconds(child.pid) }

    /// Ends it.
    func end() { child.end() }

    // Debian has it where only root's PATH leads.
    private static var program: String? {
        Toolbox.find("nghttpx") ?? (access("/usr/sbin/nghttpx", X_OK) == 0 ? "/usr/sbin/nghttpx" : nil)
    }

    /// A port that nobody had a moment ago: the program takes none of the system's choice.
    private static func freePort() throws -> Int {
        let socket = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutableBytes(of: &address) { bytes -> Int32 in
            guard let address = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return -1 }
            return bind(socket, address, length) == 0 ? getsockname(socket, address, &length) : -1
        }
        guard result == 0 else { throw BenchError("There is no free port: \(String(cString: strerror(errno)))") }
        return Int(UInt16(bigEndian: address.sin_port))
    }
}
