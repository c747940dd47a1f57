// What is here: receivers that speak TLS: a small Python program for HTTP/1.1, nghttpd for HTTP/2.
// Called by: TLSTests, HTTP2Tests.

import Foundation
import TestSupport

/// A TLS server in a process of its own; ended with the value.
final class TLSReceiver {
    let port: Int
    private let program: Program

    /// HTTP/1.1 on 127.0.0.1. Each answer's body says `TLSv1.3 new` or `TLSv1.3 resumed`.
    init(_ kind: Certificates.Kind, options: [String] = []) throws {
        let certificates = try Certificates.shared.get()
        let script = certificates.folder + "/receiver-\(UUID().uuidString).py"
        try Self.script.write(toFile: script, atomically: true, encoding: .utf8)
        program = try Program(["python3", "-u", script, certificates.file(kind)] + options)
        let line = program.readLine()
        guard let port = Int(line) else { throw SupportError("the TLS receiver said \(line)") }
        self.port = port
    }

    /// HTTP/2 by nghttpd, which sends the body of a POST back.
    init(http2 path: String) throws {
        let certificates = try Certificates.shared.get()
        port = try Self.freePort()
        let file = certificates.file(.valid)
        program = try Program([path, "--echo-upload", "-a", "127.0.0.1", "\(port)", file, file])
        // It says nothing when it is ready, so it is asked.
        var left = 2_000
        while !Receiver.accepts(port: port) {
            left -= 1
            guard left > 0, program.isRunning else { throw SupportError("nghttpd does not listen") }
            Connection.pause(milliseconds: 5)
        }
    }

    /// Where nghttpd lies; nil without it.
    static var nghttpd: String? {
        ["/usr/sbin/nghttpd", "/usr/bin/nghttpd", "/usr/local/bin/nghttpd"]
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    func url(_ path: String = "/", host: String = "localhost") -> String { "https://\(host):\(port)\(path)" }

    /// A port that was free a moment ago: nghttpd takes a number only.
    private static func freePort() throws -> Int {
        let receiver = try Receiver { _ in }
        defer { receiver.stop() }
        return receiver.port
    }

    private static let script = #"""
        import os, socket, ssl, sys, threading
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
        if "old" in sys.argv:
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
            context.set_ciphers("ALL:@SECLEVEL=0")
        if "tls12" in sys.argv:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(512)
        print(listener.getsockname()[1])
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()

        def serve(plain):
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    stream = connection.makefile("rb")
                    while True:
                        if not stream.readline():
                            return
                        length = 0
                        while (line := stream.readline().strip()):
                            name, _, value = line.partition(b":")
                            if name.lower() == b"content-length":
                                length = int(value)
                        stream.read(length)
                        body = f"{connection.version()} {'resumed' if connection.session_reused else 'new'}".encode()
                        end = b"Connection: close\r\n" if "close" in sys.argv else b""
                        connection.sendall(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (end, len(body), body))
                        if end:
                            # A TLS 1.2 session whose connection ended without the closing alert is not resumed.
                            connection.unwrap()
                            return
            except OSError:
                pass

        while True:
            plain, _ = listener.accept()
            threading.Thread(target=serve, args=(plain,), daemon=True).start()
        """#
}
