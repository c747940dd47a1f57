// What is here: an HTTPS server that demands a client certificate, as a small Python program. Called by: tests of client
// certificates.

internal import Foundation

/// A TLS server on 127.0.0.1 that answers 200 with the name in the client's certificate; without one it ends the
/// handshake. Ended with the value.
public final class MutualTLSHost {
    /// Where it listens.
    public let port: Int
    private let program: Program

    /// Starts it.
    ///
    /// - Throws: ``ProgramError``.
    public init(oldest: String = "") throws {
        let certificates = try Certificates.shared.get()
        let script = certificates.folder + "/mutual-\(UUID().uuidString).py"
        try Self.script.write(toFile: script, atomically: true, encoding: .utf8)
        program = try Program(
            ["python3", "-u", script, certificates.file(.valid), certificates.authority, oldest])
        let line = program.readLine()
        guard let port = Int(line) else { throw ProgramError("the TLS host said \(line)") }
        self.port = port
    }

    /// A URL of it.
    public var url: String { "https://localhost:\(port)/hook" }

    private static let script = #"""
        import os, socket, ssl, sys, threading
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1])
        context.load_verify_locations(sys.argv[2])
        context.verify_mode = ssl.CERT_REQUIRED
        if sys.argv[3] == "tls12":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        print(listener.getsockname()[1])
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()

        def serve(plain):
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    subject = dict(entry[0] for entry in connection.getpeercert()["subject"])
                    stream = connection.makefile("rb")
                    while stream.readline():
                        length = 0
                        while (line := stream.readline().strip()):
                            name, _, value = line.partition(b":")
                            if name.lower() == b"content-length":
                                length = int(value)
                        stream.read(length)
                        body = subject["commonName"].encode()
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            except OSError:
                pass

        while True:
            plain, _ = listener.accept()
            threading.Thread(target=serve, args=(plain,), daemon=True).start()
        """#
}
