// The connections of `postrider listen`: what HTTP/1.1 lets a client do with one, played by a Python client.

import Foundation
import Testing

@Suite struct ListenConnectionTests {
    /// What every script begins with: a connection to the listener, and a way to read one head of an answer.
    private static let prelude = """
        import http.client, socket, sys
        port = int(sys.argv[1])
        def opened():
            return socket.create_connection(("127.0.0.1", port), timeout=20)
        def head(s):
            text = b""
            while not text.endswith(b"\\r\\n\\r\\n"):
                byte = s.recv(1)
                if not byte: return "closed"
                text += byte
            return text.split(b"\\r\\n")[0].decode()

        """

    private func play(_ script: String, _ options: [String], _ environment: [String: String] = [:]) throws -> (
        said: [String], end: (status: Int32, output: String, errors: String)
    ) {
        let run = try ProgramRun(["listen", "--port", "0", "--json"] + options, environment: environment)
        let said = try runPython(Self.prelude + script, [try run.port()]).split(separator: "\n").map(String.init)
        run.signal(SIGTERM)
        return (said, run.finish())
    }

    @Test func oneConnectionTakesManyRequests() throws {
        let (said, end) = try play(
            """
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            c.connect()
            first = c.sock
            for method, body in [("POST", b"{}"), ("HEAD", None), ("GET", None), ("POST", b"x" * 300000)]:
                c.request(method, "/a?b=c", body)
                a = c.getresponse()
                print(method, a.status, a.getheader("Content-Length"), len(a.read()), c.sock is first)
            """, ["--body", "well"])
        #expect(said == ["POST 200 4 4 True", "HEAD 200 4 0 True", "GET 200 4 4 True", "POST 200 4 4 True"])
        let lines = try jsonLines(end.output)
        #expect(lines.map { $0["method"] as? String } == ["POST", "HEAD", "GET", "POST"])
        #expect(lines.map { $0["body_bytes"] as? Int } == [2, 0, 0, 300_000])
        #expect(lines.allSatisfy { $0["path"] as? String == "/a?b=c" })
    }

    @Test func repeatedHeaderHasItsLastValueAndAllAreInOrder() throws {
        let (_, end) = try play(
            """
            s = opened()
            s.sendall(b"GET / HTTP/1.1\\r\\nX-b: 1\\r\\nHost: h\\r\\nX-A: 2\\r\\nx-B: 3\\r\\n\\r\\n")
            print(head(s))
            """, ["--headers"])
        #expect(try #require(end.output.split(separator: "\n").first).contains(#""headers":{"Host":"h","X-A":"2","x-B":"3"}"#))
    }

    @Test func clientThatAsksFirstIsToldToGoOn() throws {
        let (said, end) = try play(
            """
            s = opened()
            s.sendall(b"POST / HTTP/1.1\\r\\nHost: h\\r\\nExpect: 100-continue\\r\\nContent-Length: 2\\r\\n\\r\\n")
            print(head(s))
            s.sendall(b"{}")
            print(head(s))
            """, [])
        #expect(said == ["HTTP/1.1 100 Continue", "HTTP/1.1 200 OK"])
        #expect(try jsonLines(end.output).first?["body_bytes"] as? Int == 2)
    }

    @Test func bodyThatIsTooLongIsRefused() throws {
        let (said, end) = try play(
            """
            s = opened()
            s.sendall(b"POST / HTTP/1.1\\r\\nHost: h\\r\\nExpect: 100-continue\\r\\nContent-Length: 16777217\\r\\n\\r\\n")
            print(head(s), head(s))
            for size in [16777217, 16777216]:
                c = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                c.request("POST", "/", b"x" * size)
                print(c.getresponse().status)
            """, [])
        #expect(said == ["HTTP/1.1 413 Payload Too Large closed", "413", "200"])
        #expect(try jsonLines(end.output).map { $0["body_bytes"] as? Int } == [16_777_216])
    }

    @Test func clientThatClosesItsSideStillGetsItsAnswer() throws {
        let (said, _) = try play(
            """
            s = opened()
            s.sendall(b"POST / HTTP/1.1\\r\\nHost: h\\r\\nContent-Length: 2\\r\\n\\r\\n{}")
            s.shutdown(socket.SHUT_WR)
            print(head(s))
            s.recv(100)
            print(head(s))
            idle = opened()
            idle.shutdown(socket.SHUT_WR)
            print(head(idle))
            """, ["--body", "x"])
        #expect(said == ["HTTP/1.1 200 OK", "closed", "closed"])
    }

    @Test func whatIsNoHTTPIsRefused() throws {
        let (said, end) = try play(
            """
            s = opened()
            s.sendall(b"hello\\r\\n\\r\\n")
            print(head(s))
            """, [])
        #expect(said == ["HTTP/1.1 400 Bad Request"])
        #expect(end.status == 0 && end.output.isEmpty)
    }

    /// Both answers are held back for longer than the test may take; the second request is taken nevertheless, and the end
    /// does not wait for them.
    @Test(.timeLimit(.minutes(1))) func answerThatIsHeldBackKeepsNobodyWaiting() throws {
        let run = try ProgramRun(["listen", "--port", "0", "--json", "--delay", "5m", "--count", "2"])
        let said = try runPython(
            Self.prelude + """
                both = [opened(), opened()]
                for s in both: s.sendall(b"GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n")
                for s in both: print(head(s))
                """, [try run.port()])
        #expect(said.split(separator: "\n") == ["closed", "closed"])
        let (status, output, _) = run.finish()
        #expect(try status == 0 && jsonLines(output).count == 2)
    }
}
