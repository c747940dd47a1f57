// Replays and dead letters as people order them: the built program, right and wrong input, what it says.

import Foundation
import Outbox
import Postgres
import TestSupport
import Testing

@testable import postrider

@Suite struct ReplayCommandTests {
    /// A migrated database with an endpoint `billing` and events, each delivered, but for every tenth, which is dead.
    private struct Past {
        let url: String
        let connection: Connection

        init(events: Int = 20) async throws {
            url = try await TestCluster.freshDatabase()
            #expect(try postrider(["migrate"], database: url).status == 0)
            #expect(
                try postrider(
                    ["endpoints", "create", "--name", "billing", "--url", "https://example.com/", "--events", "*"],
                    database: url
                ).status == 0)
            connection = try await Connection.open(ConnectionSettings(url: url))
            _ = try await connection.script(
                """
                INSERT INTO postrider.webhook_event_log (event_type, data, priority, organization_id)
                SELECT 'a.b', jsonb_build_object('n', n), CASE WHEN n = 10 THEN 0 ELSE 1 END, CASE WHEN n = 7 THEN 'acme' END
                FROM generate_series(1, \(events)) AS n;
                DELETE FROM postrider.webhook_queue;
                INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us,
                    attempt_number, outcome, failure, error_message)
                SELECT id, now(), 1, 1, 5, 6, CASE WHEN n % 10 = 0 THEN 2 ELSE 0 END,
                       CASE WHEN n % 10 = 0 THEN 'timeout' END, CASE WHEN n % 10 = 0 THEN 'no answer within 30 s' END
                FROM (SELECT id, (data ->> 'n')::integer AS n FROM postrider.webhook_event_log) AS e;
                INSERT INTO postrider.webhook_dead_letters (event_id, destination_id, attempts, failure, error_message, is_critical)
                SELECT a.event_id, 1, 6, a.failure, a.error_message, e.priority = 0
                FROM postrider.webhook_attempts AS a JOIN postrider.webhook_event_log AS e ON e.id = a.event_id WHERE outcome = 2
                """, name: "past")
        }

        func run(_ arguments: String...) throws -> CommandResult { try postrider(arguments, database: url) }

        func text(_ sql: String) async throws -> String {
            let rows = try await connection.query(Statement(name: "test", sql: sql, prepare: false))
            return rows.count == 0 ? "" : try rows[0].stringOrNil(0) ?? ""
        }

        func count(_ query: String) async throws -> Int { Int(try await text("SELECT count(*)::text FROM \(query)")) ?? -1 }
    }

    @Test func manyAreCountedFirstAndSentWhenWanted() async throws {
        let past = try await Past()
        let dry = try past.run("replay", "--endpoint", "billing", "--since", "1h", "--dry-run")
        #expect(dry.status == 0 && dry.text == "20 deliveries would be sent, in about 1 s")
        #expect(try past.run("replay", "--endpoint", "billing", "--dry-run", "--json").text == #"{"count":20,"without_payload":0}"#)
        let unasked = try past.run("replay", "--endpoint", "billing")
        #expect(unasked.status == 1 && unasked.errors.contains("20 deliveries not sent: add --yes"))
        #expect(try await past.count("postrider.webhook_replays") == 0)
        let done = try past.run("replay", "--endpoint", "billing", "--yes")
        #expect(done.status == 0 && done.text == "20 deliveries scheduled" && done.errors.contains("replay 1: 20 deliveries at 100/s"))
        #expect(try await past.count("postrider.webhook_retries WHERE is_replay AND attempt_number = 7") == 20)
        #expect(try await past.count("postrider.webhook_dead_letters") == 0)
        let record = try Record(Array(try past.run("replay", "show", "1").text.utf8))
        #expect(record["state"] == "done" && record["planned"] == "20" && record["scheduled"] == "20")
        #expect(try past.run("replays", "list").output.contains("billing"))
        // A replay that has ended has ended.
        for command in ["pause", "resume", "cancel"] {
            let late = try past.run("replay", command, "1")
            #expect(late.status == 1 && late.errors.contains("replay 1 is done already"), "\(command)")
        }
    }

    @Test func deletingAnEndpointTellsWhatIsGivenUp() async throws {
        let past = try await Past()
        let created = try past.run(
            "n8n", "create", "--name", "flow", "--url", "https://n8n.example.com/webhook/a", "--events", "*")
        #expect(created.status == 0)
        _ = try await past.connection.script(
            """
            INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
            SELECT id, CASE WHEN data ->> 'n' = '1' THEN 'infinity' ELSE now() END, 1, 2
            FROM postrider.webhook_event_log WHERE (data ->> 'n')::integer <= 3;
            INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
            SELECT e.id, now(), w.destination_id, 2
            FROM postrider.n8n_workflows AS w, postrider.webhook_event_log AS e WHERE e.data ->> 'n' = '4';
            UPDATE postrider.webhook_dead_letters SET archived_at = now() WHERE is_critical
            """, name: "what waits")
        let plan = try past.run("endpoints", "delete", "billing", "--dry-run", "--json")
        #expect(plan.text.contains(#""given_up": 3"#) && plan.text.contains(#""dead_letters": 1"#), "\(plan)")
        #expect(
            plan.errors == "3 deliveries that wait would be given up\n1 dead letter could not be sent again any more\n")
        let endpoint = try past.run("endpoints", "delete", "billing", "--json")
        let record = try Record(Array(endpoint.text.utf8))
        #expect(record["name"] == "billing" && record["given_up"] == "3" && record["dead_letters"] == "1", "\(endpoint)")
        #expect(
            endpoint.errors == "3 deliveries that wait are given up\n1 dead letter cannot be sent again any more\n")
        let workflow = try past.run("n8n", "delete", "flow")
        #expect(workflow.text == created.text && workflow.errors == "1 delivery that waits is given up\n", "\(workflow)")
        #expect(try await past.count("postrider.webhook_retries") == 0)
    }

    @Test func whatIsWrongIsToldAndNothingIsSent() async throws {
        let past = try await Past(events: 1)
        let unknown = "01900000-0000-7000-8000-000000000001"
        let wrong: [(words: [String], status: Int32, told: String)] = [
            ([], 64, "say what: --delivery"), (["--backfill"], 64, "--backfill needs --endpoint"),
            (["--backfill", "--endpoint", "billing", "--status", "failed"], 64, "never sent"),
            (["--backfill", "--dead-letters"], 64, "either"), (["--status", "pending"], 64, "success or failed"),
            (["--failure", "bad_luck"], 64, "one of cancelled, certificate"),
            (["--type", "*", "--rate", "fast"], 64, "--rate"), (["--type", "*", "--rate", "0"], 64, "--rate"),
            (["--type", "*", "--since", "yesterday"], 64, "--since"), (["--type", "*", "--since", "2026-13-01"], 64, "--since"),
            (["--type", "*", "--since", "2026-02-30"], 1, "out of range"), (["--type", "a..b"], 1, "not an event type"),
            (["--type", "*", "--since", "1h", "--until", "2h"], 1, "since must be before until"),
            (["--event", unknown, "--since", "1h"], 64, "no --since or --until"),
            (["--delivery", unknown, "--endpoint", "billing"], 64, "no --event or --endpoint"),
            (["--event", "seven"], 1, "is no id"), (["--event", unknown], 3, "there is no event"),
            (["--delivery", unknown], 3, "there is no delivery"), (["--endpoint", "nobody"], 3, "there is no endpoint"),
        ]
        for (words, status, told) in wrong {
            let result = try postrider(["replay"] + words, database: past.url)
            #expect(result.status == status, "\(words): \(result.errors)")
            #expect(result.errors.contains(told), "\(words): \(result.errors)")
        }
        for command in ["show", "pause", "resume", "cancel"] {
            #expect(try past.run("replay", command, "99").status == 3, "\(command)")
            #expect(try past.run("replay", command, "x").status == 64, "\(command)")
        }
        #expect(try past.run("dead-letters", "explain", unknown).status == 3)
        #expect(try past.run("dead-letters", "archive").status == 64)
        #expect(try past.run("dead-letters", "archive", "--id", unknown, "--yes").status == 3)
        #expect(try await past.count("postrider.webhook_retries") == 0)
        #expect(try await past.count("postrider.webhook_replays") == 0)
    }

    /// Without its key nobody knows whether a sealed event is wanted: it is not left out without a word.
    @Test func backfillAsksItsFilterAboutOpenedPayloads() async throws {
        let past = try await Past(events: 3)
        let create = ["endpoints", "create", "--name", "late", "--url", "https://example.com/", "--events", "*"]
        #expect(try postrider(create + ["--option", #"filter={"n": [2]}"#], database: past.url).status == 0)
        let keys = "own:" + Data(repeating: 7, count: 32).base64EncodedString()
        for number in 1...3 {
            let event = try await past.text("SELECT id::text FROM postrider.webhook_event_log ORDER BY id OFFSET \(number - 1) LIMIT 1")
            let sealed = try SealedSecret(
                sealing: #"{"n": \#(number)}"#, for: .payload(try #require(EventID(event))), with: KeyRing(list: keys))
            _ = try await past.connection.script(
                "UPDATE postrider.webhook_event_log SET data = jsonb_build_object('postrider', '\(sealed.text)') WHERE id = '\(event)'",
                name: "seal")
        }
        let backfill = ["replay", "--backfill", "--endpoint", "late", "--yes"]
        let refused = try postrider(backfill, database: past.url)
        #expect(refused.status == 1 && refused.errors.contains("it is sealed with key 'own'"), "\(refused)")
        #expect(try await past.count("postrider.webhook_retries") == 0)
        // One that is damaged, or stands at another event than it was sealed for, never opens.
        let damaged = try await past.text("SELECT id::text FROM postrider.webhook_event_log ORDER BY id LIMIT 1")
        _ = try await past.connection.script(
            """
            UPDATE postrider.webhook_event_log SET data = (SELECT data FROM postrider.webhook_event_log ORDER BY id DESC LIMIT 1)
            WHERE id = '\(damaged)'
            """, name: "damage")
        let resumed = try postrider(["replay", "resume", "1"], database: past.url, environment: ["POSTRIDER_SECRET_KEYS": keys])
        #expect(resumed.status == 0 && resumed.text == "1 delivery scheduled", "\(resumed)")
        #expect(resumed.errors.contains("event \(damaged) left out: its payload is sealed and does not open"), "\(resumed)")
        #expect(try await past.count("postrider.webhook_retries") == 1)
    }

    /// What somebody sealed that was no JSON passes every filter, as with workers, and keeps no other event from the endpoint.
    @Test func backfillSendsWhatOpensToNoJSON() async throws {
        let past = try await Past(events: 2)
        let create = ["endpoints", "create", "--name", "late", "--url", "https://example.com/", "--events", "*"]
        #expect(try postrider(create + ["--option", #"filter={"n": {"exists": true}}"#], database: past.url).status == 0)
        let keys = "own:" + Data(repeating: 7, count: 32).base64EncodedString()
        let event = try await past.text("SELECT id::text FROM postrider.webhook_event_log ORDER BY id LIMIT 1")
        let sealed = try SealedSecret(sealing: "no JSON", for: .payload(try #require(EventID(event))), with: KeyRing(list: keys))
        _ = try await past.connection.script(
            "UPDATE postrider.webhook_event_log SET data = jsonb_build_object('postrider', '\(sealed.text)') WHERE id = '\(event)'",
            name: "seal")
        let backfill = ["replay", "--backfill", "--endpoint", "late", "--yes"]
        let result = try postrider(backfill, database: past.url, environment: ["POSTRIDER_SECRET_KEYS": keys])
        #expect(result.status == 0 && result.text == "2 deliveries scheduled", "\(result)")
        #expect(try await past.count("postrider.webhook_retries") == 2)
    }

    /// What was named is an order; criteria are a question, which may have no answer.
    @Test func whatWasNamedAndCannotBeSentIsAnError() async throws {
        let past = try await Past(events: 10)
        func event(_ number: Int, _ column: String = "id") async throws -> String {
            try await past.text("SELECT (\(column))::text FROM postrider.webhook_event_log WHERE data = '{\"n\": \(number)}'")
        }
        func delivery(_ number: Int) async throws -> String { try await event(number, "postrider.delivery_id(id, 1)") }
        func expect(_ words: [String], _ told: String) throws {
            for more in [[], ["--dry-run"]] {
                let result = try postrider(words + more, database: past.url)
                #expect(result.status == 3 && result.errors.contains(told) && result.output.isEmpty, "\(words): \(result)")
            }
        }
        let gone = try await delivery(4)
        _ = try await past.connection.script(
            """
            DELETE FROM postrider.webhook_attempts WHERE event_id IN ('\(event(1))', '\(event(2))');
            INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number) VALUES ('\(event(2))', 'infinity', 1, 1);
            DELETE FROM postrider.webhook_event_log WHERE id = '\(event(4))'
            """, name: "what went")
        try expect(["replay", "--event", try await event(1)], "or its attempts are gone")
        try expect(["replay", "--delivery", try await delivery(2)], "cannot be sent again: it is sent without a replay")
        try expect(["replay", "--delivery", gone], "delivery \(gone) cannot be sent again: its event is gone")
        let third = try await event(3)
        try expect(["dead-letters", "replay", "--event", third], "has no dead letter to send")
        // What is done already is no error: a backfill may be ordered twice.
        for words in [
            ["--backfill", "--endpoint", "billing", "--event", third], ["--event", third, "--status", "failed"],
            ["--type", "nobody.sends"], ["--endpoint", "billing", "--until", "1h"],
        ] {
            let result = try postrider(["replay"] + words, database: past.url)
            #expect(result.status == 0 && result.text == "0 deliveries would be sent", "\(words): \(result)")
        }
        let dead = try await delivery(10)
        #expect(try past.run("endpoints", "update", "billing", "--organization", "other").status == 0)
        try expect(["replay", "--delivery", dead], "its endpoint is deleted or of another organization or user now")
        try expect(["dead-letters", "replay", "--event", try await event(10)], "deleted or of another organization or user now")
        #expect(try past.run("dead-letters", "explain", dead).output.contains("not possible, its endpoint is of another organization"))
        #expect(try past.run("endpoints", "update", "billing", "--all-organizations").status == 0)
        #expect(!(try past.run("dead-letters", "explain", dead).output.contains("not possible")))
        #expect(try past.run("endpoints", "delete", "billing").status == 0)
        try expect(
            ["replay", "--delivery", dead],
            "delivery \(dead) cannot be sent again: its endpoint is deleted or of another organization or user now, or it was being sent a moment ago"
        )
        #expect(try past.run("dead-letters", "explain", dead).output.contains("send it again: not possible, its endpoint is deleted"))
        // Of a dead letter without attempts nothing else is known.
        _ = try await past.connection.script(
            """
            DELETE FROM postrider.webhook_attempts;
            UPDATE postrider.webhook_dead_letters SET archived_at = now()
            """, name: "retention")
        try expect(["replay", "--delivery", dead], "its endpoint is deleted, or its attempts are gone")
        #expect(try await past.count("postrider.webhook_replays") == 0)
    }

    @Test func pausedReplayGoesOnWhereItWas() async throws {
        let past = try await Past()
        _ = try await past.connection.script(
            """
            SELECT postrider.start_replay('{"what": "deliveries", "endpoint": "billing", "rate": 100000}', 20);
            SELECT postrider.replay_batch(1, 5);
            UPDATE postrider.webhook_replays SET driven_at = now() - interval '1 hour'
            """, name: "a driver that was killed")
        #expect(try past.run("replay", "list").output.contains("running, driven by nobody"))
        #expect(try past.run("doctor").output.contains("warn  replays: 1 runs and nobody drives it"))
        #expect(try past.run("replay", "pause", "1").text == "replay 1 is paused: 5 of 20 deliveries scheduled")
        #expect(try past.run("doctor").output.contains("ok    replays"))
        let resumed = try past.run("replay", "resume", "1", "--rate", "500/s")
        #expect(resumed.status == 0 && resumed.text == "20 deliveries scheduled")
        #expect(try await past.count("postrider.webhook_retries") == 20)
        #expect(try await past.text("SELECT per_second::text FROM postrider.webhook_replays") == "500")
    }

    @Test func cancelledReplayEnds() async throws {
        let past = try await Past()
        _ = try await past.connection.script(
            #"SELECT postrider.start_replay('{"what": "deliveries", "endpoint": "billing"}', 20)"#, name: "order")
        let cancelled = try past.run("replay", "cancel", "1", "--json")
        #expect(try Record(Array(cancelled.text.utf8))["state"] == "cancelled")
        // One that has ended stays as it is.
        let late = try past.run("replay", "resume", "1", "--rate", "7/s")
        #expect(late.status == 1 && late.errors.contains("replay 1 is cancelled already"), "\(late)")
        #expect(
            try await past.text("SELECT per_second || ' ' || (ended_at IS NOT NULL) FROM postrider.webhook_replays") == "100 true")
        #expect(try await past.count("postrider.webhook_retries") == 0)
    }

    /// Trying again does not bring the attempts back, and tells the reason once more.
    @Test func backfillOfWhichAttemptsWentMeanwhileFailsWhoeverTries() async throws {
        let past = try await Past()
        _ = try await past.connection.script(
            """
            SELECT postrider.start_replay('{"what": "backfill", "endpoint": "billing"}', 20);
            SELECT postrider.remember_removal('webhook_attempts', id) FROM postrider.webhook_event_log ORDER BY id DESC LIMIT 1
            """, name: "order")
        let reason = "retention removed the attempts of events before "
        let driven = try past.run("replay", "resume", "1")
        #expect(driven.status == 1 && driven.errors.contains("replay 1 failed: \(reason)"), "\(driven)")
        #expect(!driven.errors.contains("postrider replay resume"))
        let listed = try past.run("replay", "list")
        #expect(listed.output.contains("failed") && listed.errors.contains("replay 1 failed: \(reason)"))
        let shown = try Record(Array(past.run("replay", "show", "1").text.utf8))
        #expect(shown["state"] == "failed" && shown["error"].hasPrefix(reason))
        for command in ["pause", "cancel"] {
            let again = try past.run("replay", command, "1")
            #expect(again.status == 1 && again.errors.contains("replay 1 is failed already"), "\(again)")
        }
        let again = try past.run("replay", "resume", "1")
        #expect(again.status == 1 && again.errors.contains("replay 1 failed: \(reason)"), "\(again)")
        #expect(try past.run("doctor").output.contains("ok    replays"))
    }

    /// Nothing is taken back, and the help says so.
    @Test(arguments: ["pause", "cancel"])
    func whatIsScheduledIsSentAllTheSame(command: String) async throws {
        let past = try await Past()
        _ = try await past.connection.script(
            """
            SELECT postrider.start_replay('{"what": "deliveries", "endpoint": "billing", "rate": 100000}', 20);
            SELECT postrider.replay_batch(1, 5)
            """, name: "a driver")
        #expect(try past.run("replay", command, "1").status == 0)
        #expect(try await past.count("postrider.webhook_retries WHERE is_replay") == 5)
        let help = try past.run("replay", command, "--help").output.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        #expect(help.contains("what it has scheduled is still sent") && !help.contains("within a second"), "\(help)")
    }

    @Test func deadLettersAreExplainedReplayedAndArchived() async throws {
        let past = try await Past(events: 30)
        let letters = try past.run("dead-letters", "--json").output.split(separator: "\n").map { try Record(Array($0.utf8)) }
        #expect(letters.count == 3 && letters.filter { $0.isTrue("is_critical") }.count == 1)
        #expect(try past.run("dead-letters", "list", "--critical", "--json").output.split(separator: "\n").count == 1)
        #expect(try past.run("stats", "--json").output.contains(#""critical_dead_letters": 1"#))
        #expect(try past.run("doctor").output.contains("warn  dead letters: 3, 1 of them critical"))

        let critical = try #require(letters.first { $0.isTrue("is_critical") })["id"]
        let told = try past.run("dead-letters", "explain", critical).output
        for line in [
            "delivery: \(critical)", "endpoint: billing", "after 6 attempts", "critical: yes, the event has high priority",
            "what happened: timeout: The answer was not complete", "what to do: Let the receiver answer first",
            "the endpoint now: nothing is known to be wrong; of events of the last hour 27 attempts delivered, 3 failed",
            "send it again: postrider replay --delivery \(critical)", "no answer within 30 s",
        ] { #expect(told.contains(line), "\(line) in \(told)") }
        let machine = try Record(Array(try past.run("dead-letters", "show", critical, "--json").text.utf8))
        #expect(machine["endpoint_now"].hasPrefix("nothing is known") && machine.records("history").count == 1)

        _ = try past.run("endpoints", "disable", "billing")
        #expect(try past.run("dead-letters", "explain", critical).output.contains("the endpoint now: is inactive (disabled by hand)"))
        let inactive = try past.run("dead-letters", "replay", "--endpoint", "billing", "--dry-run")
        #expect(inactive.text == "3 deliveries would be sent, in about 1 s" && inactive.errors.contains("billing is inactive"))

        let archived = try past.run("dead-letters", "archive", "--endpoint", "billing", "--yes")
        #expect(archived.text == "2 dead letters archived" && archived.errors.contains("1 critical one is left alone"))
        #expect(try past.run("dead-letters", "list", "--json").output.split(separator: "\n").count == 1)
        #expect(try past.run("dead-letters", "list", "--archived", "--json").output.split(separator: "\n").count == 2)
        #expect(try past.run("dead-letters", "replay", "--critical").text == "1 delivery scheduled")
        #expect(try await past.count("postrider.webhook_dead_letters WHERE archived_at IS NULL") == 0)
    }

    // MARK: Pure values

    @Test func ratesAreReadAndWritten() {
        for (text, perSecond, back) in [
            ("100", 100.0, "100/s"), ("100/s", 100, "100/s"), ("30/m", 0.5, "30/m"), ("60/h", 1.0 / 60, "1/m"), ("2.5/s", 2.5, "2.5/s"),
        ] {
            let rate = RateArgument(argument: text)
            #expect(rate?.perSecond == perSecond)
            #expect(RateArgument.text(perSecond) == back)
        }
        for text in ["", "/s", "0", "-1", "1/d", "10/h", "100001", "1e3", "ten/s", "1/s/s", "nan"] {
            #expect(RateArgument(argument: text) == nil, "\(text)")
        }
    }

    @Test func timesAreAgoOrDates() {
        #expect(MomentArgument(argument: "2d")?.secondsAgo == 172_800)
        for (text, time) in [
            ("2026-11-20", "2026-11-20 00:00Z"), ("2026-11-20T10:30", "2026-11-20 10:30Z"), ("2026-11-20 10:30:01.5", "2026-11-20 10:30:01.5Z"),
            ("2026-11-20T10:30+02:00", "2026-11-20 10:30+02:00"), ("2026-11-20T10:30Z", "2026-11-20 10:30Z"),
        ] { #expect(MomentArgument(argument: text)?.time == time) }
        for text in ["", "now", "2d ago", "2026-1-2", "2026-00-10", "2026-11-32", "2026-11-20T25:00", "2026-11-20Z", "-2d"] {
            #expect(MomentArgument(argument: text) == nil, "\(text)")
        }
    }

    @Test func progressIsABarAndATime() {
        #expect(ProgressLine.bar(0, of: 10) == "[" + String(repeating: " ", count: 30) + "]")
        #expect(ProgressLine.bar(5, of: 10) == "[" + String(repeating: "#", count: 15) + String(repeating: " ", count: 15) + "]")
        #expect(ProgressLine.bar(20, of: 10) == ProgressLine.bar(10, of: 10) && ProgressLine.bar(0, of: 0).contains("#"))
        let times: [(Double, String)] = [
            (0, "0 s"), (0.2, "1 s"), (99, "99 s"), (120, "2 min"), (5400, "1 h 30 min"), (200_000, "2 d 7 h"),
        ]
        for (seconds, text) in times { #expect(ProgressLine.time(seconds) == text) }
    }

    @Test func everyFailureClassIsExplained() {
        for failure in FailureClass.allCases {
            for sentence in [failure.meaning, failure.advice] {
                #expect(sentence.count > 20 && sentence.first?.isUppercase == true && sentence.hasSuffix("."), "\(failure)")
            }
        }
        #expect(Set(FailureClass.allCases.map(\.meaning)).count == FailureClass.allCases.count)
    }
}
