// What is here: a proxy that speaks HTTP and SOCKS 5, as a small Python program that tells of everything it is asked.
// Called by: tests of proxies.

internal import Foundation

/// A proxy on 127.0.0.1. Names under `.behind.example` it takes for itself; asked for `refused.behind.example` it says no.
/// Ended with the value.
public final class ForwardProxy {
    /// Where it listens.
    public let port: Int
    private let program: Program

    /// Starts it; with a password it demands `user` and that.
    ///
    /// - Throws: ``ProgramError``.
    public init(password: String = "") throws {
        let script = NSTemporaryDirectory() + "proxy-\(UUID().uuidString).py"
        try Self.script.write(toFile: script, atomically: true, encoding: .utf8)
        program = try Program(["python3", "-u", script, password])
        let line = program.readLine()
        try? FileManager.default.removeItem(atPath: script)
        guard let port = Int(line) else { throw ProgramError("the proxy said \(line)") }
        self.port = port
    }

    /// Where it listens, as settings name it.
    public var place: String { "127.0.0.1:\(port)" }

    /// What it was asked next, such as `CONNECT a.example:443`, `POST http://a.example/` or `SOCKS a.example:80`; blocks
    /// until it is asked, and is empty when that does not happen.
    public func nextRequest() -> String { program.readLine() }

    private static let script = #"""
        import base64, os, socket, sys, threading
        password = sys.argv[1].encode()
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        print(listener.getsockname()[1])
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()

        def pump(source, sink):
            try:
                while (data := source.recv(65536)):
                    sink.sendall(data)
            except OSError:
                pass
            for end in (source, sink):
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

        def dial(host, port):
            if host == "refused.behind.example":
                raise ConnectionRefusedError
            return socket.create_connection(("127.0.0.1" if host.endswith(".behind.example") else host, port))

        def join(client, server, first=b""):
            server.sendall(first)
            threading.Thread(target=pump, args=(server, client), daemon=True).start()
            pump(client, server)

        def exactly(client, count):
            data = b""
            while len(data) < count:
                more = client.recv(count - len(data))
                if not more:
                    raise OSError
                data += more
            return data

        def socks(client):
            methods = exactly(client, exactly(client, 1)[0])
            if password:
                if 2 not in methods:
                    return client.sendall(b"\x05\xff")
                client.sendall(b"\x05\x02")
                exactly(client, 1)
                user = exactly(client, exactly(client, 1)[0])
                word = exactly(client, exactly(client, 1)[0])
                good = (user, word) == (b"user", password)
                client.sendall(b"\x01\x00" if good else b"\x01\x01")
                if not good:
                    return print("SOCKS wrong password")
            else:
                client.sendall(b"\x05\x00")
            _, _, _, kind = exactly(client, 4)
            if kind == 3:
                host = exactly(client, exactly(client, 1)[0]).decode()
            else:
                host = "address " + socket.inet_ntoa(exactly(client, 4))
            port = int.from_bytes(exactly(client, 2), "big")
            print(f"SOCKS {host}:{port}")
            try:
                server = dial(host.removeprefix("address "), port)
            except OSError:
                return client.sendall(b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00")
            client.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            join(client, server)

        def http(client, head):
            while b"\r\n\r\n" not in head:
                more = client.recv(65536)
                if not more:
                    return
                head += more
            lines, rest = head.split(b"\r\n\r\n", 1)
            lines = lines.split(b"\r\n")
            method, target, _ = lines[0].split(b" ")
            fields = {l.partition(b":")[0].lower(): l.partition(b":")[2].strip() for l in lines[1:]}
            wanted = b"Basic " + base64.b64encode(b"user:" + password)
            if password and fields.get(b"proxy-authorization") != wanted:
                print(f"{method.decode()} without password")
                return client.sendall(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            # What is meant for the receiver is no business of the proxy's.
            secret = " with authorization" if method == b"CONNECT" and b"authorization" in fields else ""
            print(f"{method.decode()} {target.decode()}{secret}")
            place = target if method == b"CONNECT" else target.split(b"/")[2]
            host, _, port = place.decode().rpartition(":")
            try:
                server = dial(host, int(port))
            except OSError:
                return client.sendall(b"HTTP/1.1 502 Not there\r\nContent-Length: 0\r\n\r\n")
            if method == b"CONNECT":
                client.sendall(b"HTTP/1.1 200 Go ahead\r\nX-Proxy: yes\r\n\r\n")
                return join(client, server, rest)
            path = b"/" + b"/".join(target.split(b"/")[3:])
            kept = [l for l in lines[1:] if not l.lower().startswith(b"proxy-")]
            # One request a connection: the next one is told too.
            head = b"\r\n".join([method + b" " + path + b" HTTP/1.1", *kept, b"Connection: close"])
            join(client, server, head + b"\r\n\r\n" + rest)

        def serve(client):
            try:
                first = client.recv(1)
                socks(client) if first == b"\x05" else http(client, first)
            except OSError:
                pass
            finally:
                client.close()

        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()
        """#
}
