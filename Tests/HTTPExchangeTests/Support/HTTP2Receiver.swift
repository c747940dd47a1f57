// What is here: a receiver that speaks HTTP/2 over TLS, which is nghttpd. Called by: HTTP2Tests.

import Foundation
import TestSupport

/// A server that sends the body of a POST back, in a process of its own; ended with the value.
final class HTTP2Receiver {
    private let port: Int
    private let process: Program

    init() throws {
        guard let path = Self.program else { throw SupportError("nghttpd is not installed") }
        let file = try Certificates.shared.get().file(.valid)
        port = try Self.freePort()
        process = try Program([path, "--echo-upload", "-a", "127.0.0.1", "\(port)", file, file])
        // It says nothing when it is ready, so it is asked.
        var left = 2_000
        while !Receiver.accepts(port: port) {
            left -= 1
            guard left > 0, process.isRunning else { throw SupportError("nghttpd does not listen") }
            Connection.pause(milliseconds: 5)
        }
    }

    /// Where nghttpd lies; nil without it.
    static var program: String? {
        ["/usr/sbin/nghttpd", "/usr/bin/nghttpd", "/usr/local/bin/nghttpd"]
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    func url(_ path: String) -> String { "https://localhost:\(port)\(path)" }

    /// A port that was free a moment ago: nghttpd takes a number only.
    private static func freePort() throws -> Int {
        let receiver = try Receiver { _ in }
        defer { receiver.stop() }
        return receiver.port
    }
}
