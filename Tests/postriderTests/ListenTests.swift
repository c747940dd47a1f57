// `postrider listen` as a process, with an independent sender.

import Foundation
import Testing

@Suite struct ListenTests {
    static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    @Test func everyProfileOfAnIndependentSenderIsVerified() throws {
        let run = try ProgramRun(
            ["listen", "--port", "0", "--json", "--secret-env", "LISTEN_SECRET", "--count", "54"],
            environment: ["LISTEN_SECRET": Self.secret])
        let sent = try jsonLines(runPython(listenSenderScript, [try run.port(), Self.secret]))
        let (status, output, errors) = run.finish()
        let seen = try jsonLines(output)
        #expect(status == 0)
        try #require(seen.count == 54 && sent.count == 54)
        #expect(errors.contains(#""requests":54,"signature_ok":19,"signature_bad":26,"signature_none":9,"#))
        let withTimestamp: Set = ["standard", "agentes", "stripe", "n8n"]
        for (request, line) in zip(sent, seen) {
            let profile = try #require(request["profile"] as? String)
            let what = try #require(request["case"] as? String)
            let expected =
                switch what {
                case "good": "ok"
                case "unsigned": "none"
                case "old", "early": withTimestamp.contains(profile) ? "bad" : "ok"
                default: "bad"
                }
            #expect(line["signature"] as? String == expected, "\(profile), \(what): \(line)")
            if what == "good" {
                #expect(line["profile"] as? String == profile)
                let typeIsKnown = !["fenix", "stripe"].contains(profile)
                #expect(line["event_type"] as? String == (typeIsKnown ? "user.created" : nil) || !typeIsKnown)
            }
        }
    }

    @Test func answersComeInTheOrderTheyWereToldIn() throws {
        let run = try ProgramRun(
            [
                "listen", "--port", "0", "--quiet", "--answer", "503:2,429:1", "--retry-after", "7", "--body", "well",
                "--count", "4",
            ])
        let script = """
            import http.client, sys
            for _ in range(4):
                c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
                c.request("POST", "/x", b"{}")
                a = c.getresponse()
                print(a.status, a.read().decode(), a.getheader("Retry-After"))
            """
        let answers = try runPython(script, [try run.port()]).split(separator: "\n")
        #expect(answers == ["503 well 7", "503 well 7", "429 well 7", "200 well None"])
        let (status, output, errors) = run.finish()
        #expect(status == 0)
        #expect(output.isEmpty)
        #expect(errors.contains("4 requests; signatures: none 4"))
    }

    @Test func inactiveWorkflowAnswersInTheWordsOfN8n() throws {
        let run = try ProgramRun(["listen", "--port", "0", "--n8n-inactive", "--count", "1"])
        let script = """
            import http.client, sys
            c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
            c.request("POST", "/webhook/agent-created", b"{}")
            a = c.getresponse()
            print(a.status, a.read().decode())
            """
        let answer = try runPython(script, [try run.port()])
        #expect(
            answer.hasPrefix(#"404 {"code":404,"message":"The requested webhook \"POST agent-created\" is not regist"#))
        #expect(run.finish().status == 0)
    }

    @Test(arguments: [SIGINT, SIGTERM]) func signalEndsItWithTotals(signal: Int32) throws {
        let run = try ProgramRun(["listen", "--port", "0", "--json"])
        _ = try run.port()
        run.signal(signal)
        let (status, _, errors) = run.finish()
        #expect(status == 0)
        #expect(try jsonLines(errors).last?["requests"] as? Int == 0)
    }

    /// It holds the secrets of receivers.
    @Test func itsMemoryIsNeverDumped() throws {
        let run = try ProgramRun(["listen", "--port", "0"])
        _ = try run.port()
        let limits = try String(contentsOfFile: "/proc/\(run.id)/limits", encoding: .utf8)
        let coreLimit = try #require(limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") })
        #expect(coreLimit.split(separator: " ").dropFirst(4).prefix(2) == ["0", "0"])
        run.signal(SIGTERM)
        #expect(run.finish().status == 0)
    }

    @Test(arguments: [
        ["--answer", "abc"], ["--answer", "200:0"], ["--answer", "99"], ["--delay", "5"], ["--profile", "nobody"],
        ["--count", "0"], ["--headers"], ["--secret-env", "NOT_SET_ANYWHERE"], ["--status", "700"],
        ["--host", "not an address"],
    ]) func faultyOptionsAreRefused(options: [String]) throws {
        let (status, _, errors) = try ProgramRun(["listen", "--port", "0"] + options).finish()
        #expect(status != 0)
        #expect(!errors.isEmpty)
    }

    @Test func takenPortIsAnError() throws {
        let first = try ProgramRun(["listen", "--port", "0"])
        let (status, _, errors) = try ProgramRun(["listen", "--port", try first.port()]).finish()
        #expect(status != 0)
        #expect(errors.contains("in use"))
        first.signal(SIGTERM)
        #expect(first.finish().status == 0)
    }

    @Test func endOfTheReaderEndsIt() throws {
        let run = try ProgramRun(["listen", "--port", "0", "--count", "1000"], script: #""$0" "$@" | head -n 1"#)
        let script = """
            import http.client, sys
            for _ in range(1000):
                try:
                    c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
                    c.request("POST", "/x", b"{}")
                    c.getresponse().read()
                except (OSError, http.client.HTTPException):
                    break
            """
        _ = try runPython(script, [try run.port()])
        let (_, output, errors) = run.finish()
        #expect(output.split(separator: "\n").count == 1)
        #expect(errors.contains(" requests; signatures: none ") && !errors.contains("1000 requests"), "\(errors)")
    }
}
