// Receivers with good and bad certificates: one small Python program for all of them.

import Foundation
import TestSupport

/// A TLS server that answers 200, for each kind of certificate on a port of its own. Ended with the value.
final class TLSHost: Sendable {
    typealias Kind = Certificates.Kind

    /// PEM file of the authority to trust.
    let authority: String
    private let ports: [Kind: Int]
    // Only kept: it ends with this value.
    nonisolated(unsafe) private let program: Program

    init(isModest: Bool = false) throws {
        let certificates = try Certificates.shared.get()
        authority = certificates.authority
        let script = certificates.folder + "/tls-host-\(UUID().uuidString).py"
        try Self.script.write(toFile: script, atomically: true, encoding: .utf8)
        program = try Program(["nice", "-n", isModest ? "19" : "0", "python3", "-u", script] + Kind.allCases.map { certificates.file($0) })
        let numbers = program.readLine().split(separator: " ").compactMap { Int($0) }
        guard numbers.count == Kind.allCases.count else { throw Timeout(what: "the TLS host's ports") }
        ports = Dictionary(uniqueKeysWithValues: zip(Kind.allCases, numbers))
    }

    func url(_ kind: Kind) -> String { "https://localhost:\(ports[kind] ?? 0)/hook" }

    private static let script = #"""
        import os, socket, ssl, sys, threading

        def serve(context, plain):
            try:
                with context.wrap_socket(plain, server_side=True) as connection:
                    stream = connection.makefile("rb")
                    while stream.readline():
                        length = 0
                        while (line := stream.readline().strip()):
                            name, _, value = line.partition(b":")
                            if name.lower() == b"content-length":
                                length = int(value)
                        stream.read(length)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            except OSError:
                pass

        def listen(context, listener):
            while True:
                plain, _ = listener.accept()
                threading.Thread(target=serve, args=(context, plain), daemon=True).start()

        ports = []
        for file in sys.argv[1:]:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
            listener = socket.socket()
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)
            ports.append(str(listener.getsockname()[1]))
            threading.Thread(target=listen, args=(context, listener), daemon=True).start()
        print(" ".join(ports))
        sys.stdin.read()
        """#
}
