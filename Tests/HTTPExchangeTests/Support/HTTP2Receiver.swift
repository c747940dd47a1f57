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
        for _ in 1...5 {
            let port = try Self.freePort()
            let process = try Program([path, "--echo-upload", "-a", "127.0.0.1", "\(port)", file, file])
            guard Self.isReady(process, port) else { continue }
            (self.port, self.process) = (port, process)
            return
        }
        throw SupportError("nghttpd does not listen")
    }

    /// Whether it listens in the end. Somebody else may have got the port meanwhile: then it ends, and another is tried. It
    /// says nothing when it is ready, so it is asked.
    private static func isReady(_ process: Program, _ port: Int) -> Bool {
        for _ in 1...2_000 {
            if Receiver.accepts(port: port) {
                // One that could not have it needs a moment to end.
                Connection.pause(milliseconds: 50)
                return process.isRunning
            }
            guard process.isRunning else { return false }
            Connection.pause(milliseconds: 5)
        }
        return false
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
