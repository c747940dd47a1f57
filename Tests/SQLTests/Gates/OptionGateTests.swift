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
                (#"{"filter": ["a"]}"#, "the value of option filter is not of the right form"),
                (#"{"transform": "a"}"#, "the value of option transform is not of the right form"),
                (#"{"transform_function": "f"}"#, "the value of option transform_function is not of the right form"),
                (#"{"transform_function": 1}"#, "the value of option transform_function is not of the right form"),
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

    @Test func filtersAndTransformsReachTheWorker() async throws {
        try await withRollback { db in
            let options = #"{"filter": {"a": [1]}, "transform": {"omit": ["b"]}, "transform_function": "sales.shape"}"#
            let endpoint = try await db.endpoint("picky", settings: "options = '\(options)'")
            let loaded = try await RoutingStore.load(on: db.connection).destinations.first { $0.id == endpoint }
            #expect(try loaded?.options == DeliveryOptions(parsing: Array(options.utf8)))
        }
    }

    /// What only the program can judge is parked and reported, with its reason.
    @Test func filterThatCannotBeReadParksItsDestination() async throws {
        try await withRollback { db in
            let endpoint = try await db.endpoint("odd", settings: #"options = '{"filter": {"a": {"like": 1}}}'"#)
            let routing = try await RoutingStore.load(on: db.connection)
            #expect(routing.destinations.first { $0.id == endpoint }?.isEnabled == false)
            #expect(routing.faults.first?.reason.hasPrefix(#"option filter: "a": like: there is no such operator"#) == true)
        }
    }
}
