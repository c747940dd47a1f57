// `postrider filters test`, `postrider transform test` and `postrider endpoints match`.

import Foundation
import Outbox
import Postgres
import TestSupport
import Testing

@testable import postrider

@Suite struct PayloadCommandTests {
    /// Neither filters nor templates need a database.
    @Test func filtersAndTemplatesAreTriedWithoutADatabase() throws {
        func run(_ arguments: String..., input: String = "") throws -> CommandResult {
            try postrider(arguments, database: "postgres://nobody@127.0.0.1:1/none", input: input)
        }
        let filter = #"{"companionId": ["comp-123"]}"#
        let passed = try run("filters", "test", "--filter", filter, "--data", "-", input: #"{"companionId": "comp-123"}"#)
        #expect(passed.status == 0 && passed.text == "it passes", "\(passed)")
        let failed = try run("filters", "test", "--filter", filter, "--data", "{}")
        #expect(failed.status == 1 && failed.errors == "postrider: it does not pass: \"companionId\" does not hold\n", "\(failed)")
        for (data, passes, fault) in [("{}", false, #""\"companionId\" does not hold""#), (#"{"companionId": "comp-123"}"#, true, "null")] {
            let told = try run("filters", "test", "--filter", filter, "--data", data, "--json")
            #expect(told.status == (passes ? 0 : 1) && told.errors.isEmpty, "\(told)")
            #expect(told.text == #"{"fault":\#(fault),"passes":\#(passes)}"#)
        }
        let odd = try run("filters", "test", "--filter", #"{"a": 1}"#, "--data", "{}")
        #expect(odd.status == 1 && odd.errors.hasPrefix("postrider: --filter: \"a\": expected a list"), "\(odd)")
        #expect(try run("filters", "test", "--filter", filter, "--data", "@/nowhere").errors == "postrider: cannot read /nowhere\n")
        #expect(try run("filters", "test", "--filter", filter, "--data", "{").errors.hasPrefix("postrider: --data: not JSON at byte 1"))

        let template = #"{"omit": ["cpf"], "set": {"source": "crm"}}"#
        let made = try run("transform", "test", "--template", template, "--data", #"{"n": 1.50, "cpf": "1"}"#)
        #expect(made.status == 0 && made.text == #"{"n": 1.50, "source": "crm"}"#, "\(made)")
        let scalar = try run("transform", "test", "--template", template, "--data", "5")
        #expect(scalar.status == 1 && scalar.errors == "postrider: --data: a transform needs a payload that is an object or a list\n")
        #expect(try run("transform", "test", "--data", "{}").status == 64)
        #expect(try run("transform", "test", "--template", template, "--endpoint", "x", "--data", "{}").status == 64)
    }

    @Test func endpointTellsWhatItMakesAndWhoGetsAnEvent() async throws {
        let database = try await TestCluster.freshDatabase()
        func run(_ arguments: String...) throws -> CommandResult { try postrider(arguments, database: database) }
        _ = try run("migrate")
        let connection = try await Connection.open(ConnectionSettings(url: database))
        _ = try await connection.script(
            """
            CREATE FUNCTION public.half(data jsonb, context jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE SECURITY DEFINER
                AS $$ SELECT CASE WHEN data ? 'n' THEN jsonb_build_object('half', (data ->> 'n')::numeric / 2, 'type', context -> 'event_type') END $$;
            SELECT postrider.allow_transform('public.half')
            """, name: "function")
        for (name, events, options) in [
            ("all", "*", []), ("sales", "lead.*", [#"filter={"country": ["BR"], "id": [9007199254740993]}"#]),
            ("shaped", "lead.created", [#"transform={"rename": {"x": "n"}}"#, #"transform_function="public.half""#]),
            ("other", "deal.won", []),
        ] {
            let created = try postrider(
                ["endpoints", "create", "--name", name, "--url", "https://\(name).example.com/", "--events", events]
                    + options.flatMap { ["--option", $0] }, database: database)
            #expect(created.status == 0, "\(created)")
        }
        _ = try run(
            "n8n", "create", "--name", "flow", "--url", "https://n8n.example.com/webhook/x", "--events", "lead.created", "--organization", "acme")
        let refused = try run("endpoints", "update", "all", "--option", #"filter={"a": {"like": 1}}"#)
        #expect(refused.status == 1 && refused.errors.hasPrefix(#"postrider: --option filter: "a": like: there is no such operator"#), "\(refused)")
        _ = try run("endpoints", "disable", "all")

        let data = #"{"country": "BR", "id": 9007199254740993}"#
        let matched = try run("endpoints", "match", "--type", "lead.created", "--data", data)
        #expect(
            matched.output.split(separator: "\n").map { $0.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ") } == [
                "GETS IT NAME KIND REMARK", "yes all endpoint waits: disabled by hand", "yes sales endpoint",
                "yes shaped endpoint transform, function public.half", "no other endpoint wants deal.won",
                "no flow n8n only of organization acme",
            ], "\(matched)")
        let event = try run("emit", "lead.created", "--data", #"{"country": "BR", "id": 9007199254740992}"#, "--organization", "acme").text
        let shown = try jsonLines(run("endpoints", "match", event, "--json").output)
        let sales = shown.first { $0["name"] as? String == "sales" }
        #expect(sales?["gets_it"] as? Bool == false && sales?["remark"] as? String == #"filter: "id" does not hold"#, "\(shown)")
        let flow = shown.first { $0["name"] as? String == "flow" }
        #expect(flow?["gets_it"] as? Bool == true && flow?["kind"] as? String == "n8n", "\(shown)")
        #expect(try run("endpoints", "match", "01a1fc61-5643-7ab4-82fb-36796572a704").status == 3)
        #expect(try run("endpoints", "match").status == 64)

        let made = try run("transform", "test", "--endpoint", "shaped", "--type", "lead.created", "--data", #"{"x": 3}"#)
        #expect(made.status == 0 && made.text == #"{"half": 1.5000000000000000, "type": "lead.created"}"#, "\(made)")
        #expect(try run("transform", "test", "--endpoint", "shaped", "--data", "{}").text == "dropped")
        #expect(try run("transform", "test", "--endpoint", "other", "--data", data).text == data)
        let failed = try run("transform", "test", "--function", "public.half", "--data", #"{"n": "x"}"#)
        #expect(failed.status == 1 && failed.errors == "postrider: invalid input syntax for type numeric: \"x\"\n", "\(failed)")
        let forbidden = try run("transform", "test", "--function", "public.none", "--data", "{}")
        #expect(forbidden.status == 1 && forbidden.errors.contains("is not allowed: SELECT postrider.allow_transform('public.none')"))
        #expect(try run("transform", "test", "--endpoint", "nobody", "--data", "{}").status == 3)
        await connection.close()
    }

    @Test func filtersAreAskedAboutSealedPayloadsWithTheirKeyAlone() async throws {
        let database = try await TestCluster.freshDatabase()
        func run(_ arguments: String..., keys: String = "") throws -> CommandResult {
            try postrider(arguments, database: database, environment: ["POSTRIDER_SECRET_KEYS": keys])
        }
        _ = try run("migrate")
        for (name, events, options) in [
            ("all", "*", []), ("brazil", "*", ["--option", #"filter={"country": ["BR"]}"#]),
            ("chile", "*", ["--option", #"filter={"country": ["CL"]}"#]), ("deals", "deal.*", ["--option", #"filter={"country": ["BR"]}"#]),
        ] {
            let create = ["endpoints", "create", "--name", name, "--url", "https://example.com/", "--events", events]
            #expect(try postrider(create + options, database: database).status == 0)
        }
        let event = try run("emit", "lead.created", "--data", #"{"country": "BR"}"#).text
        let id = try #require(EventID(event))
        let own = "own:" + Data(repeating: 7, count: 32).base64EncodedString()
        let other = "other:" + Data(repeating: 8, count: 32).base64EncodedString()
        let connection = try await Connection.open(ConnectionSettings(url: database))
        func seal(_ data: String) async throws {
            let sealed = try SealedSecret(sealing: data, for: .payload(id), with: KeyRing(list: own)).text
            _ = try await connection.script(
                "UPDATE postrider.webhook_event_log SET data = jsonb_build_object('postrider', '\(sealed)')", name: "seal")
        }
        try await seal(#"{"country": "BR"}"#)
        func answers(_ keys: String) throws -> [String] {
            let matched = try run("endpoints", "match", event, "--json", keys: keys)
            #expect(matched.status == 0, "\(matched)")
            return try matched.text.split(separator: "\n").map { line in
                let record = try Record(Array(line.utf8))
                return "\(record["name"]) \(record["gets_it"]) \(record["remark"])"
            }
        }
        let others = "deals no wants deal.*"
        #expect(try answers("\(other),\(own)") == ["all yes ", "brazil yes ", #"chile no filter: "country" does not hold"#, others])
        let unknown = "filter: the payload is sealed with key 'own', which is not in POSTRIDER_SECRET_KEYS"
        for keys in ["", other] {
            #expect(try answers(keys) == ["all yes ", "brazil  \(unknown)", "chile  \(unknown)", others])
        }
        let wrong = other.replacing("other:", with: "own:")
        #expect(try answers(wrong)[1] == "brazil  filter: the payload is sealed and does not open")
        // Workers send what opens to something else than JSON, unless a template has to make something of it.
        try await seal("no JSON")
        let options = #"transform={"rename": {"country": "land"}}"#
        #expect(try run("endpoints", "update", "chile", "--option", options).status == 0)
        #expect(try answers(own) == ["all yes ", "brazil yes ", "chile no transform: the payload is not JSON", others])
        await connection.close()
    }
}
