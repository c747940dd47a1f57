// Options are refused in SQL by name and shape, whoever writes them, and reach the worker.

import Outbox
import OutboxStore
import Postgres
import TestSupport
import Testing

@Suite struct OptionGateTests {
    @Test func unknownOptionsAreRefused() async throws {
        try await withRollback { db in
            for (options, fault) in [
                (#"{"colour": 1}"#, "there is no option 'colour'"), ("[1]", "options must be a JSON object"),
                (#"{"order": "yes"}"#, "the value of option order is not of the right form"),
            ] {
                let rows = try await db.query("SELECT postrider.option_fault($1::jsonb)", [.text(options)])
                #expect(try rows[0].stringOrNil(0) == fault)
            }
        }
    }

    @Test func optionsReachTheWorker() async throws {
        try await withRollback { db in
            let endpoint = try await db.endpoint("ordered", settings: #"options = '{"order": true}'"#)
            let loaded = try await RoutingStore.load(on: db.connection).destinations.first { $0.id == endpoint }
            #expect(loaded?.options.isOrdered == true)
        }
    }
}
