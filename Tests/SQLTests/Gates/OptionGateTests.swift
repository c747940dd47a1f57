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

    /// What is secret may not stand in options, whoever writes them.
    @Test(arguments: [
        #"{"auth": {"basic": {"username": "u", "password": "word"}}}"#, #"{"auth": {"basic": {"username": "u"}}}"#,
        #"{"auth": {"basic": {"username": "u", "password": "${P}", "hint": "word"}}}"#, #"{"auth": {"bearer": "word"}}"#,
        #"{"auth": {"bearer": "x${T}"}}"#, #"{"auth": {"bearer": "${T}", "basic": "word"}}"#, #"{"auth": {}}"#, #"{"auth": "word"}"#,
        #"{"auth": null}"#, #"{"auth": {"jwt": {"algorithm": "HS256", "key": "word"}}}"#, #"{"auth": {"jwt": "word"}}"#,
        #"{"tls": {"certificate": "${C}", "key": "-----BEGIN PRIVATE KEY-----"}}"#, #"{"tls": {"key": 1}}"#, #"{"tls": {"key": null}}"#,
        #"{"tls": {"key": "file:../key"}}"#, #"{"tls": {"password": "word"}}"#, #"{"tls": {}}"#, #"{"tls": "word"}"#,
        #"{"proxy": "http://user:word@proxy.example:1"}"#, #"{"proxy": "http://user@proxy.example:1"}"#, #"{"proxy": "https://p.example:1"}"#,
        #"{"proxy": "http://proxy.example"}"#, #"{"proxy": ["http://proxy.example:1"]}"#,
    ])
    func literalSecretsAreRefused(options: String) async throws {
        try await withRollback { db in
            let rows = try await db.query("SELECT postrider.option_fault($1::jsonb)", [.text(options)])
            let fault = try #require(try rows[0].stringOrNil(0), "\(options)")
            #expect(fault.hasSuffix("is not of the right form") && !fault.contains("word"))
        }
    }

    /// To Postgres they are two, to workers one.
    @Test(arguments: [("e\u{301}", "options must not have two members whose names look alike"), ("e", nil)])
    func membersWhoseNamesLookAlikeAreRefused(other: String, fault: String?) async throws {
        try await withRollback { db in
            let options = #"{"filter": {"all": [{"x": {"equals": {"\#(other)": 1, "\#("\u{e9}")": 2}}}]}}"#
            let rows = try await db.query("SELECT postrider.option_fault($1::jsonb)", [.text(options)])
            #expect(try rows[0].stringOrNil(0) == fault)
        }
    }

    @Test(arguments: [
        #"{"auth": {"basic": {"username": "u", "password": "${P}"}}}"#, #"{"auth": {"bearer": "${T}"}}"#,
        #"{"auth": {"jwt": {"algorithm": "HS256", "key": "${K}", "issuer": "x", "claims": {"a": 1}}}}"#,
        #"{"tls": {"certificate": "${C}", "key": "file:client.key", "ca": "${CA}"}}"#, #"{"tls": {"ca": "file:ca.pem"}}"#,
        #"{"proxy": "socks5h://user:${P}@proxy.example:1080"}"#, #"{"proxy": "http://10.0.0.1:3128"}"#,
    ])
    func referencesAreAccepted(options: String) async throws {
        try await withRollback { db in
            let rows = try await db.query("SELECT postrider.option_fault($1::jsonb)", [.text(options)])
            #expect(try rows[0].stringOrNil(0) == nil)
            // And by the program.
            #expect(throws: Never.self) { try DeliveryOptions(parsing: Array(options.utf8)) }
        }
    }

    @Test(arguments: [("${A}", true), ("x ${A} $${", true), ("$5", true), ("${", false), ("${1}", false), ("$${ ${}", false)])
    func headersNameSettings(value: String, isGood: Bool) async throws {
        try await withRollback { db in
            let rows = try await db.query(
                "SELECT postrider.header_fault(jsonb_build_object('X-A', $1::text))", [.text(value)])
            let fault = try rows[0].stringOrNil(0)
            #expect(isGood ? fault == nil : fault?.contains("write ${NAME}") == true)
            #expect(((try? ReferenceText(value)) != nil) == isGood)
        }
    }

    @Test(arguments: [
        "(name, value) VALUES ('a b', 'x')", "(name, value) VALUES ('', 'x')", "(name, value) VALUES ('1A', 'x')",
        "(name, value) VALUES ('A', '')",
        "(name, value, organization_id) VALUES ('A', 'x', '')",
        "(name, value, organization_id, is_shared) VALUES ('A', 'x', 'acme', true)", "(name, value) VALUES ('A', 'x'), ('A', 'y')",
    ])
    func wrongSettingsAreRefused(values: String) async throws {
        try await withRollback { db in
            let error = try await db.refusal("INSERT INTO postrider.webhook_settings \(values)")
            #expect(["23514", "23505"].contains(error.sqlState))
        }
    }

    @Test func settingsMoveTheRoutingVersion() async throws {
        try await withRollback { db in
            let version = { try await db.line("SELECT version FROM postrider.webhook_routing") }
            var last = try await version()
            for statement in [
                "INSERT INTO postrider.webhook_settings (name, value) VALUES ('A', 'x')",
                "UPDATE postrider.webhook_settings SET value = 'y'", "DELETE FROM postrider.webhook_settings",
            ] {
                try await db.run(statement)
                let next = try await version()
                #expect(next != last, "\(statement)")
                last = next
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
