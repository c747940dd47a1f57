// n8n from outside: probes that start nothing, and imports of exported workflows.

import Foundation
import OutboxStore
import Postgres
import TestSupport
import Testing

@testable import postrider

/// A receiver that answers as n8n does (`packages/cli/src/webhooks`), and counts the workflows that it would have started.
private final class FakeN8n {
    let port: Int
    private let program: Program

    init(options: String = "n8n") throws {
        program = try Program(["python3", "-u", "-c", Self.script, options])
        port = try #require(Int(program.readLine()))
    }

    var url: String { "http://127.0.0.1:\(port)" }

    private static let script = #"""
        import json, os, sys, threading
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
        hooks = {"orders": ["POST"], "both": ["GET", "POST"], "reading": ["GET"]}
        started = []
        hint = "The workflow must be active for a production URL to run successfully."

        class N8n(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, body=b"", headers={}):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def fail(self, message, **more):
                self.answer(404, json.dumps({"code": 404, "message": message, **more}).encode())

            def do_OPTIONS(self):
                if sys.argv[1] == "silent":
                    return self.answer(204)
                assert "Origin" in self.headers and "Access-Control-Request-Method" not in self.headers
                methods = hooks.get(self.path.removeprefix("/base/webhook/"), [])
                self.answer(204, headers={"Access-Control-Allow-Methods": ", ".join(["OPTIONS", *methods])})

            def do_GET(self):
                if self.path == "/base/healthz":
                    return self.answer(200, b'{"status":"ok"}')
                if self.path == "/started":
                    return self.answer(200, json.dumps(started).encode())
                self.webhook("GET")

            def do_POST(self):
                self.webhook("POST")

            def webhook(self, method):
                path = self.path.removeprefix("/base/webhook/")
                methods = hooks.get(path)
                if methods is None:
                    return self.fail(f'The requested webhook "{method} {path}" is not registered.', hint=hint)
                if method not in methods:
                    return self.fail(f"This webhook is not registered for {method} requests. Did you mean to make a {methods[0]} request?")
                started.append(path)
                self.answer(200, b'{"message":"Workflow was started"}')

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), N8n)
        print(server.server_port)
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
        server.serve_forever()
        """#
}

@Suite struct N8nProbeTests {
    private static let environment = ["POSTRIDER_ALLOW_NETWORKS": "127.0.0.0/8", "POSTRIDER_ALLOW_HTTP": "true"]

    private func started(_ n8n: FakeN8n) throws -> String {
        // Past a proxy that the environment may name.
        let question = """
            import sys, urllib.request as r
            print(r.build_opener(r.ProxyHandler({})).open(sys.argv[1]).read().decode())
            """
        return try Program(["python3", "-c", question, n8n.url + "/started"]).readLine()
    }

    private func database(_ urls: [String: String]) async throws -> String {
        let database = try await TestCluster.freshDatabase()
        _ = try postrider(["migrate"], database: database)
        for (name, url) in urls {
            let made = try postrider(["n8n", "create", "--name", name, "--url", url, "--events", "a.b"], database: database)
            #expect(made.status == 0)
            #expect(made.errors.contains("test URL") == url.contains("webhook-test"))
        }
        return database
    }

    @Test func probeTellsHowWebhooksAreAndStartsNone() async throws {
        let n8n = try FakeN8n()
        let names = ["orders", "both", "reading", "nobody"]
        var urls = Dictionary(uniqueKeysWithValues: names.map { ($0, "\(n8n.url)/base/webhook/\($0)") })
        urls["test"] = n8n.url + "/base/webhook-test/orders"
        urls["down"] = "http://127.0.0.1:1/webhook/x"
        let database = try await database(urls)
        let all = try postrider(["n8n", "probe", "--all", "--json"], database: database, environment: Self.environment)
        #expect(all.status == 1)
        let records = try all.text.split(separator: "\n").map { try Record(Array($0.utf8)) }
        #expect(records.allSatisfy { !$0["remark"].isEmpty })
        let states = Dictionary(uniqueKeysWithValues: records.map { ($0["name"], $0["state"]) })
        #expect(
            states == ["orders": "ready", "both": "ready", "reading": "refuses", "nobody": "refuses", "test": "refuses", "down": "down"])
        let one = try postrider(["n8n", "probe", "orders"], database: database, environment: Self.environment)
        #expect(one.status == 0 && one.output.contains("the webhook takes POST"), "\(one.output)")
        #expect(try started(n8n) == "[]")
        let test = try postrider(["n8n", "test", "nobody"], database: database, environment: Self.environment)
        #expect(test.status == 1 && test.output.contains("n8n: no active workflow has this webhook"), "\(test.output)")
        let refusals: [(String, Int?, String)] = [("nobody", 404, "workflow_inactive"), ("down", nil, "connect")]
        for (name, status, failure) in refusals {
            let told = try postrider(["n8n", "test", name, "--json"], database: database, environment: Self.environment)
            let answer = try #require(try jsonLines(told.output).first)
            #expect(told.status == 1 && answer["is_delivered"] as? Bool == false && answer["kind"] as? String == "n8n", "\(told)")
            #expect(answer["status_code"] as? Int == status && answer["failure"] as? String == failure, "\(told)")
            #expect(answer["name"] as? String == name && answer["duration_us"] is Int && answer["error_message"] is String, "\(told)")
        }
        #expect(try postrider(["n8n", "probe", "none"], database: database, environment: Self.environment).status == 3)
        #expect(try postrider(["n8n", "probe"], database: database).status == 64)
        let doctor = try postrider(["doctor"], database: database)
        #expect(doctor.output.contains("warn  n8n: test URLs") && doctor.output.contains(": test →"), "\(doctor.output)")
        let updated = try postrider(["n8n", "update", "orders", "--url", n8n.url + "/webhook-test/x"], database: database)
        #expect(updated.status == 0 && updated.errors.contains("test URL"))
    }

    @Test func probeThatOptionsTellNothingAsksForHealthOrWithGet() async throws {
        let n8n = try FakeN8n(options: "silent")
        let database = try await database([
            "orders": n8n.url + "/base/webhook/orders", "nobody": n8n.url + "/base/webhook/nobody",
        ])
        let plain = try postrider(["n8n", "probe", "orders"], database: database, environment: Self.environment)
        #expect(plain.status == 1 && plain.output.contains("n8n is up; OPTIONS was answered with 204"), "\(plain.output)")
        let get = try postrider(["n8n", "probe", "orders", "--get"], database: database, environment: Self.environment)
        #expect(get.status == 0 && get.output.contains("ready"), "\(get.output)")
        let nobody = try postrider(["n8n", "probe", "nobody", "--get"], database: database, environment: Self.environment)
        #expect(nobody.status == 1 && nobody.output.contains("no active workflow has this webhook"), "\(nobody.output)")
        #expect(try started(n8n) == "[]")
    }
}

@Suite struct N8nImportTests {
    /// As n8n writes them: defaults are left out, and much stands beside what is needed.
    private static func workflow(
        _ id: String, _ name: String, active: Bool = true, tags: String = "[]", nodes: [String]
    ) -> String {
        """
        {"createdAt": "2026-01-01T00:00:00.000Z", "id": "\(id)", "name": "\(name)", "active": \(active), "settings": {},
         "tags": \(tags), "connections": {}, "nodes": [\((nodes + [#"{"type": "n8n-nodes-base.set", "name": "Set", "parameters": {}}"#]).joined(separator: ","))]}
        """
    }

    private static func node(_ parameters: String, disabled: Bool = false, name: String = "Webhook") -> String {
        #"{"type": "n8n-nodes-base.webhook", "typeVersion": 2, "name": "\#(name)", "webhookId": "w-1", "parameters": {\#(parameters)}\#(disabled ? #", "disabled": true"# : "")}"#
    }

    private static func post(_ path: String) -> String { node(#""httpMethod": "POST", "path": "\#(path)", "options": {}"#) }

    private struct Town {
        let database: String
        let connection: Connection
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("export-\(UUID()).json")

        init() async throws {
            database = try await TestCluster.freshDatabase()
            _ = try postrider(["migrate"], database: database)
            connection = try await Connection.open(ConnectionSettings(url: database))
        }

        func importing(_ text: String, _ options: [String] = []) throws -> CommandResult {
            try text.write(to: file, atomically: true, encoding: .utf8)
            defer { try? FileManager.default.removeItem(at: file) }
            return try postrider(
                ["n8n", "import", file.path, "--base-url", "https://n8n.example.com/"] + options, database: database)
        }

        func rows() async throws -> [String] {
            try await connection.query(
                Statement(
                    name: "test",
                    sql: """
                        SELECT concat_ws(' ', name, url, event_types::text, workflow_id, is_active, coalesce(inactive_reason, '-'))
                        FROM postrider.webhook_destinations WHERE deleted_at IS NULL ORDER BY name COLLATE "C"
                        """, prepare: false)
            ).map { try $0.string(0) }
        }
    }

    @Test func exportBecomesDestinationsOnce() async throws {
        let town = try await Town()
        let export =
            "["
            + [
                Self.workflow("1", "user-registration", nodes: [Self.post("user-registration")]),
                Self.workflow("2", "agent-created", active: false, nodes: [Self.post("/agent-created/")]),
                Self.workflow("3", "Orders", nodes: [Self.post("orders/in"), Self.post("orders/out"), Self.node(#""path": "orders/get""#)]),
                Self.workflow(
                    "4", "Others",
                    nodes: [
                        Self.node(#""httpMethod": "POST", "path": "off""#, disabled: true, name: "Off"),
                        Self.node(#""httpMethod": "POST", "path": "user/:id""#, name: "Dynamic"),
                        Self.node(#""multipleMethods": true, "httpMethod": ["GET", "POST"], "path": "several", "authentication": "jwtAuth""#),
                    ]),
                Self.workflow("5", "No webhook", nodes: []),
            ].joined(separator: ",") + "]"
        let options = ["--events", "orders/in=order.created,order.paid", "--events", "several=*", "--organization", "acme"]
        let plan = try town.importing(export, options + ["--dry-run", "--json"])
        #expect(plan.status == 0, "\(plan.errors)")
        #expect(try await town.rows().isEmpty)
        let actions = try plan.text.split(separator: "\n").map { line in
            let record = try Record(Array(line.utf8))
            return "\(record["action"]) \(record["path"]) \(record["remark"])"
        }
        #expect(
            actions == [
                "create user-registration ", "create agent-created inactive in n8n", "create orders/in ",
                "skip orders/out no event types: give --events orders/out=TYPES",
                #"create several the node asks for a JWT: --option auth={"jwt":…}"#,
                "skip  it takes GET, not POST", "skip  the node is disabled", "skip  its path is not constant", "skip  has no webhook node",
            ])
        let base = "https://n8n.example.com/webhook/"
        let expected = [
            "Orders (orders/in) \(base)orders/in {order.created,order.paid} 3 t -", "Others \(base)several {*} 4 t -",
            "agent-created \(base)agent-created {agent.created} 2 f inactive in n8n",
            "user-registration \(base)user-registration {user.registered} 1 t -",
        ]
        for round in 0..<2 {
            let done = try town.importing(export, options)
            #expect(done.status == 0, "\(done.errors)")
            #expect(done.output.contains("same") == (round == 1))
            #expect(try await town.rows() == expected)
        }
        #expect(
            try await town.connection.query(
                Statement(name: "test", sql: "SELECT count(*) FROM postrider.webhook_destinations WHERE organization_id = 'acme'"))[0].int(0) == 4)
        await town.connection.close()
    }

    @Test func laterExportChangesWhatIsThere() async throws {
        let town = try await Town()
        let export = { (name: String, active: Bool) in Self.workflow("7", name, active: active, nodes: [Self.post("orders")]) }
        #expect(try town.importing(export("Orders", true), ["--events", "orders=order.created"]).status == 0)
        // Types that a person set stay unless others are given; the name and whether it is active follow n8n.
        _ = try await town.connection.script("UPDATE postrider.n8n_workflows SET event_types = '{order.*}'", name: "edit")
        #expect(try town.importing(export("New name", false)).output.contains("update"))
        let url = "https://n8n.example.com/webhook/orders"
        #expect(try await town.rows() == ["New name \(url) {order.*} 7 f inactive in n8n"])
        #expect(try town.importing(export("New name", true)).status == 0)
        #expect(try await town.rows() == ["New name \(url) {order.*} 7 t -"])
        // What a person switched off stays off.
        #expect(try postrider(["n8n", "disable", "New name"], database: town.database).status == 0)
        #expect(try town.importing(export("New name", true), ["--events", "orders=order.paid"]).status == 0)
        #expect(try await town.rows() == ["New name \(url) {order.paid} 7 f disabled by hand"])
        // Also when n8n switched it off first.
        #expect(try postrider(["n8n", "enable", "New name"], database: town.database).status == 0)
        #expect(try town.importing(export("New name", false)).status == 0)
        #expect(try await town.rows() == ["New name \(url) {order.paid} 7 f inactive in n8n"])
        #expect(try postrider(["n8n", "disable", "New name"], database: town.database).status == 0)
        #expect(try town.importing(export("New name", true)).status == 0)
        #expect(try await town.rows() == ["New name \(url) {order.paid} 7 f disabled by hand"])
        // n8n moved.
        let moved = try town.importing(export("New name", true), ["--base-url", "https://flows.example.org/n8n/webhook/"])
        #expect(moved.status == 0, "\(moved.errors)")
        #expect(try await town.rows() == ["New name https://flows.example.org/n8n/webhook/orders {order.paid} 7 f disabled by hand"])
        await town.connection.close()
    }

    @Test func destinationWhoseTagsAreGoneFollowsN8nAndKeepsItsTypes() async throws {
        let town = try await Town()
        let export = { (tags: String, active: Bool) in
            Self.workflow("7", "Orders", active: active, tags: tags, nodes: [Self.post("orders")])
        }
        #expect(try town.importing(export(#"[{"name": "order.*"}]"#, true), ["--events-from", "tag"]).status == 0)
        let later = try town.importing(export("[]", false), ["--events-from", "tag"])
        #expect(later.status == 0 && later.output.contains("update"), "\(later.output)")
        #expect(try await town.rows() == ["Orders https://n8n.example.com/webhook/orders {order.*} 7 f inactive in n8n"])
        await town.connection.close()
    }

    @Test func laterImportNarrowsToAnOrganization() async throws {
        let town = try await Town()
        let export = Self.workflow("7", "Orders", nodes: [Self.post("orders")])
        for (organization, action, stored) in [
            (nil, "create", nil), ("acme", "update", "acme"), ("acme", "same", "acme"), (nil, "same", "acme"), ("beta", "update", "beta"),
        ] as [(String?, String, String?)] {
            let done = try town.importing(
                export, ["--events", "orders=order.created", "--json"] + (organization.map { ["--organization", $0] } ?? []))
            #expect(done.status == 0, "\(done.errors)")
            #expect(try Record(Array(done.text.utf8))["action"] == action, "\(done.output)")
            #expect(done.text.contains(#""events":["order.created"]"#), "\(done.output)")
            let rows = try await town.connection.query(
                Statement(name: "test", sql: "SELECT organization_id FROM postrider.webhook_destinations", prepare: false))
            #expect(try rows.map { try $0.stringOrNil(0) } == [stored])
        }
        await town.connection.close()
    }

    @Test func typesComeFromTagsPathsOrAFile() async throws {
        let town = try await Town()
        let tags = #"[{"id": "t", "name": "user.*"}, {"name": "production"}, "order.paid"]"#
        let tagged = Self.workflow("1", "Tagged", tags: tags, nodes: [Self.post("a")])
        #expect(try town.importing(tagged, ["--events-from", "tag"]).status == 0)
        let path = Self.workflow("2", "Pathed", nodes: [Self.post("invoice/paid")])
        #expect(try town.importing(path, ["--events-from", "path"]).status == 0)
        let map = FileManager.default.temporaryDirectory.appendingPathComponent("map-\(UUID()).json")
        try #"{"b": ["x.y"], "c": "z.*"}"#.write(to: map, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: map) }
        let listed = #"{"data": [\#(Self.workflow("3", "Mapped", nodes: [Self.post("b"), Self.post("c")]))]}"#
        #expect(try town.importing(listed, ["--map", map.path]).status == 0)
        let base = "https://n8n.example.com/webhook/"
        #expect(
            try await town.rows() == [
                "Mapped (b) \(base)b {x.y} 3 t -", "Mapped (c) \(base)c {z.*} 3 t -", "Pathed \(base)invoice/paid {invoice.paid} 2 t -",
                "Tagged \(base)a {user.*,order.paid} 1 t -",
            ])
        for (text, reason) in [("{", "is not JSON"), ("{}", "no workflow"), ("[1]", "no workflow")] {
            let result = try town.importing(text)
            #expect(result.status == 1 && result.errors.contains(reason))
        }
        #expect(try town.importing(path, ["--events", "a..b"]).status == 1)
        let unmapped = try town.importing(path, ["--map", "/nowhere"])
        #expect(unmapped.status == 1 && unmapped.errors.contains("cannot read /nowhere"), "\(unmapped)")
        #expect(try town.importing(path, ["--base-url", "https://n8n.example.com/webhook-test/"]).status == 1)
        await town.connection.close()
    }
}
