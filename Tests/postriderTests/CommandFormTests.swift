// What all commands have in common: groups that stand alone, --json, and what is missing or of the wrong form.

import Foundation
import Postgres
import TestSupport
import Testing

@testable import postrider

@Suite struct CommandFormTests {
    private static let nowhere = "postgres://nobody@127.0.0.1:1/none"

    /// A list asks the database; help would not.
    @Test(arguments: [
        "endpoints", "n8n", "settings", "events", "deliveries", "dead-letters", "order", "profiles", "attachments", "denied-columns",
        "sealed-types", "audit-log",
    ])
    func groupAloneLists(group: String) throws {
        let result = try postrider([group, "--json"], database: Self.nowhere)
        #expect(result.status == 4 && result.output.isEmpty, "\(result)")
    }

    @Test(arguments: ["keys", "filters", "transform"]) func groupWithoutListPrintsItsHelp(group: String) throws {
        let result = try postrider([group], database: Self.nowhere)
        #expect(result.status == 0 && result.output.contains("USAGE: ") && result.output.contains(group), "\(result)")
    }

    @Test(arguments: [
        ["endpoints", "update", "x"], ["n8n", "update", "x"], ["replay", "list", "--limit", "0"], ["order", "list", "--limit=-1"],
        ["events", "list", "--limit", "0"],
    ])
    func whatIsMissingIsToldBeforeTheDatabaseIsAsked(words: [String]) throws {
        #expect(try postrider(words, database: Self.nowhere).status == 64)
    }

    /// What is thrown later than while words are read is told with the usage of all commands.
    @Test(arguments: [["endpoints", "update"], ["n8n", "update"], ["replay", "run"], ["dead-letters", "archive"]])
    func whatIsMissingIsToldWithTheUsageOfTheSubcommand(words: [String]) throws {
        let argument = words.last == "update" ? ["x"] : []
        let result = try postrider(words + argument, database: Self.nowhere)
        let usage = "Usage: postrider " + words.joined(separator: " ")
        #expect(result.status == 64 && result.errors.contains("say w") && result.errors.contains(usage), "\(result)")
    }

    @Test(arguments: [("--profile", "nobody", 3), ("--secret-env", "NOT_SET_ANYWHERE", 1), ("--secret-file", "/nowhere", 1)])
    func listenEndsWithTheStatusOfOtherCommands(option: String, value: String, status: Int) throws {
        let result = try postrider(["listen", "--port", "0", option, value], database: "")
        #expect(Int(result.status) == status && result.errors.hasPrefix("postrider: "), "\(result)")
    }

    @Test func whatChangesSomethingTellsItAsJSONToo() async throws {
        let database = try await TestCluster.freshDatabase()
        func run(_ words: [String]) throws -> Record {
            let result = try postrider(words + ["--json"], database: database)
            #expect(result.status == 0, "\(words): \(result)")
            return try Record(Array(result.text.utf8))
        }
        #expect(try postrider(["migrate"], database: database).status == 0)
        let create = ["endpoints", "create", "--name", "e", "--url", "https://example.com/", "--events", "*"]
        let id = try run(create)["id"]
        for words in [["update", "e", "--timeout", "5s"], ["disable", "e"], ["enable", "e"], ["show", "e"], ["delete", "e"]] {
            #expect(try run(["endpoints"] + words)["id"] == id, "\(words)")
        }
        let envelope = ["profiles", "add", "own", "--envelope", "{data}"]
        let update = ["profiles", "update", "own", "--purpose", "x"]
        for words in [envelope, update, ["profiles", "show", "own"], ["profiles", "remove", "own"]] {
            #expect(try run(words)["name"] == "own", "\(words)")
        }
        for word in ["add", "remove"] { #expect(try run(["sealed-types", word, "patient.*"])["pattern"] == "patient.*") }
    }

    @Test func whatIsShownHasTheWordsOfLists() async throws {
        let database = try await TestCluster.freshDatabase()
        func run(_ words: String...) throws -> Record {
            let result = try postrider(words + ["--json"], database: database)
            #expect(result.status == 0, "\(words): \(result)")
            return try Record(Array(result.text.utf8))
        }
        #expect(try postrider(["migrate"], database: database).status == 0)
        _ = try run("endpoints", "create", "--name", "e", "--url", "https://example.com/", "--events", "*")
        let event = try run("emit", "a.b", "--data", "{}")["id"]
        let connection = try await Connection.open(ConnectionSettings(url: database))
        _ = try await connection.script(
            """
            INSERT INTO postrider.webhook_attempts (event_id, attempted_at, worker_id, destination_id, duration_us, attempt_number, outcome, failure)
            SELECT '\(event)', now(), 1, d.id, 5, 1, 2, 'timeout' FROM postrider.webhook_destinations AS d
            """, name: "attempt")
        await connection.close()
        let listed = try run("deliveries", "list")
        let shown = try run("deliveries", "show", listed["id"])
        let whole = try run("events", "show", event)
        let within = try #require(whole.records("deliveries").first)
        for word in ["id", "event_id", "endpoint", "attempts", "status", "status_code", "failure"] {
            #expect(shown.has(word) && shown[word] == listed[word], "\(word): \(shown.text)")
            #expect(within.has(word) && within[word] == listed[word], "\(word): \(within.text)")
        }
        #expect(listed["endpoint"] == "e" && listed["event_id"] == event && listed["attempts"] == "1")
        #expect(shown["kind"] == "endpoint" && within["kind"] == "endpoint")
        #expect(shown.records("history").count == 1 && whole.records("history").count == 1)
        let flow = try run("n8n", "create", "--name", "w", "--url", "https://n8n.example.com/webhook/x", "--events", "a.b")
        let workflow = try run("n8n", "show", flow["id"])
        #expect(workflow["url"] == flow["url"] && !workflow.has("webhook_url") && !workflow.has("event_types"), "\(workflow.text)")
    }
}
