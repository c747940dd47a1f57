// Headers and credentials out of settings and the environment, client certificates and proxies: a real worker, real
// receivers that check what they get.

import Foundation
import Outbox
import OutboxStore
import OutboxWorker
import Postgres
import TestSupport
import Testing

extension Outpost {
    fileprivate func set(_ name: String, _ value: String, organization: String? = nil, shared: Bool = false) async throws {
        try await sql(
            "INSERT INTO postrider.webhook_settings (name, value, organization_id, is_shared) VALUES ($1, $2, $3, $4)",
            [.text(name), .text(value), organization.map { .text($0) } ?? .null, .bool(shared)])
    }

    /// An endpoint with headers and options, both as JSON.
    @discardableResult
    fileprivate func endpoint(
        _ url: String, headers: String = "{}", options: String = "{}", organization: String? = nil, profile: String = "standard",
        settings: String = ""
    ) async throws -> Int {
        let id = try await endpoint(url, profile: profile)
        try await sql(
            """
            UPDATE postrider.webhook_destinations SET headers = $1::jsonb, options = $2::jsonb, organization_id = $3
            \(settings.isEmpty ? "" : ", " + settings) WHERE id = $4
            """, [.text(headers), .text(options), organization.map { .text($0) } ?? .null, .int(id)])
        return id
    }

    fileprivate func waiting(_ destination: Int) async throws -> Int {
        try await count("postrider.webhook_retries WHERE destination_id = \(destination) AND attempt_number = 1")
    }
}

extension Scenarios {
    @Suite struct AccessScenarios {
        @Test func credentialsComeFromSettingsAndTheEnvironment() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.set("TOKEN", "from settings")
            try await outpost.set("PASSWORD", "open sesame")
            try await outpost.endpoint(
                receiver.url("/basic"),
                headers: #"{"X-Token": "${TOKEN}", "X-Bird": "a ${WEBHOOK_TOKEN} z", "X-Literal": "$${TOKEN}"}"#,
                options: #"{"auth": {"basic": {"username": "Aladdin", "password": "${PASSWORD}"}}}"#)
            try await outpost.endpoint(receiver.url("/bearer"), options: #"{"auth": {"bearer": "${WEBHOOK_TOKEN}"}}"#)
            // The worker has keys and seals what plain SQL wrote, while it delivers.
            let change = { (settings: inout WorkerSettings) in
                settings.grants.variables["WEBHOOK_TOKEN"] = .init("from-environment")
                settings.secretKeys = try? KeyRing(list: Rings.first)
            }
            try await outpost.withWorkers(2, change) {
                try await outpost.emit("a.b", count: 10)
                try await receiver.wait(for: 20)
                try await eventually("the settings to be sealed") {
                    try await outpost.count("postrider.webhook_settings WHERE starts_with(value, 'sealed:v1:first:')") == 2
                }
                try await outpost.emit("a.b", count: 10)
                try await receiver.wait(for: 40)
                try await outpost.settled()
            }
            // A new worker opens what is sealed.
            try await outpost.withWorkers(1, change) {
                try await outpost.emit("a.b", count: 10)
                try await receiver.wait(for: 60)
                try await outpost.settled()
            }
            let (basic, bearer) = (receiver.received.filter { $0.path == "/basic" }, receiver.received.filter { $0.path == "/bearer" })
            #expect(basic.count == 30 && bearer.count == 30)
            for request in basic {
                #expect(request.headers["x-token"] == "from settings")
                #expect(request.headers["x-bird"] == "a from-environment z")
                #expect(request.headers["x-literal"] == "${TOKEN}")
                #expect(request.headers["authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
            }
            #expect(bearer.allSatisfy { $0.headers["authorization"] == "Bearer from-environment" })
        }

        @Test func whatIsMissingHoldsDeliveriesUntilItIsThere() async throws {
            let outpost = try await Outpost()
            let (receiver, other) = (try Receiver(), try Receiver())
            let target = try await outpost.endpoint(receiver.url(), headers: #"{"X-Token": "${LATER}"}"#)
            try await outpost.endpoint(other.url())
            // In the worker's environment, and not exposed.
            let hidden = try await outpost.endpoint(receiver.url(), headers: #"{"X-Path": "${PATH}"}"#)
            try await outpost.withWorkers(2) {
                try await outpost.emit("a.b", count: 5)
                try await other.wait(for: 5)
                try await eventually("the others to wait") {
                    let (first, second) = (try await outpost.waiting(target), try await outpost.waiting(hidden))
                    return first == 5 && second == 5
                }
                #expect(receiver.received.isEmpty)
                #expect(try await outpost.count("postrider.webhook_destinations WHERE is_active") == 3)
                #expect(try await outpost.count("postrider.webhook_attempts WHERE destination_id <> \(target + 1)") == 0)
                try await outpost.set("LATER", "now")
                try await receiver.wait(for: 5)
                try await outpost.sql("UPDATE postrider.webhook_settings SET value = 'another'")
                try await eventually("the new value to be sent") {
                    try await outpost.emit("a.b")
                    return receiver.received.contains { $0.headers["x-token"] == "another" }
                }
                try await outpost.sql("UPDATE postrider.webhook_destinations SET headers = '{}' WHERE id = \(hidden)")
                try await outpost.settled()
            }
            #expect(receiver.received.prefix(5).allSatisfy { $0.headers["x-token"] == "now" })
            #expect(receiver.received.allSatisfy { $0.headers["x-path"] == nil })
            #expect(try await outpost.count("postrider.webhook_attempts WHERE attempt_number <> 1") == 0)
        }

        @Test func organizationsGetTheirOwnSettingsAlone() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.set("MINE", "acme's", organization: "acme")
            try await outpost.set("MINE", "beta's", organization: "beta")
            try await outpost.set("BETA", "beta's", organization: "beta")
            try await outpost.set("TOP", "operator's")
            try await outpost.set("ALL", "everybody's", shared: true)
            try await outpost.endpoint(receiver.url("/own"), headers: #"{"X-A": "${MINE}", "X-B": "${ALL}"}"#, organization: "acme")
            var barred: [Int] = []
            for name in ["BETA", "TOP", "SECRET"] {
                barred.append(try await outpost.endpoint(receiver.url("/stolen"), headers: #"{"X-A": "${\#(name)}"}"#, organization: "acme"))
            }
            try await outpost.withWorkers(1, { $0.grants.variables["SECRET"] = .init("worker's") }) {
                try await outpost.sql("SELECT postrider.emit('a.b', '{}', 'acme')")
                try await receiver.wait(for: 1)
                for destination in barred {
                    try await eventually("deliveries to wait") { try await outpost.waiting(destination) == 1 }
                }
            }
            #expect(receiver.received.map(\.path) == ["/own"])
            #expect(receiver.received[0].headers["x-a"] == "acme's" && receiver.received[0].headers["x-b"] == "everybody's")
        }

        @Test func tokenIsSignedAnewForEachAttempt() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, place in place == 0 ? .status(503) : .ok }
            let key = "a passphrase of n8n with 32 bytes and more"
            try await outpost.set("KEY", key)
            try await outpost.endpoint(
                receiver.url(), options: #"{"auth": {"jwt": {"algorithm": "HS256", "key": "${KEY}", "issuer": "postrider", "lifetime": 30}}}"#,
                profile: "n8n", settings: "base_delay_ms = 1100, jitter = 0")
            let before = Int64(Date().timeIntervalSince1970)
            try await outpost.withWorkers {
                try await outpost.emit("a.b")
                try await receiver.wait(for: 2)
                try await outpost.settled()
            }
            let delivery = try await outpost.text("SELECT id::text FROM postrider.webhook_deliveries")
            var issued: [Int64] = []
            for request in receiver.received {
                let claims = try verified(request, key: key)
                #expect(claims["iss"] as? String == "postrider" && claims["jti"] as? String == delivery)
                let issuedAt = try #require(claims["iat"] as? Int64)
                #expect(claims["exp"] as? Int64 == issuedAt + 30)
                issued.append(issuedAt)
            }
            #expect(issued[0] >= before && issued[1] > issued[0])
        }

        /// Python checks signature and body hash, as a receiver would, with hmac and hashlib alone.
        private func verified(_ request: Received, key: String) throws -> [String: Any] {
            let script = #"""
                import base64, hashlib, hmac, json, sys
                key, header, body = sys.argv[1].encode(), sys.argv[2], base64.b64decode(sys.argv[3])
                kind, token = header.split(" ")
                signed, _, signature = token.rpartition(".")
                decode = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
                assert kind == "Bearer" and hmac.compare_digest(decode(signature), hmac.new(key, signed.encode(), hashlib.sha256).digest())
                claims = json.loads(decode(signed.split(".")[1]))
                assert claims["body_sha256"] == hashlib.sha256(body).hexdigest()
                print(json.dumps(claims))
                """#
            let header = try #require(request.headers["authorization"])
            let program = try Program(["python3", "-c", script, key, header, Data(request.body).base64EncodedString()])
            return try #require(try JSONSerialization.jsonObject(with: Data(program.readLine().utf8)) as? [String: Any])
        }

        @Test func receiverThatDemandsACertificateGetsThatOfTheDestination() async throws {
            let outpost = try await Outpost()
            let certificates = try Certificates.shared.get()
            let host = try TLSHost(.mutual)
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID())")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            try await outpost.set("CA", String(contentsOfFile: certificates.authority, encoding: .utf8), shared: true)
            let (ana, bia) = (try certificates.client("ana"), try certificates.client("bia"))
            try await outpost.set("CERT", ana.certificate, organization: "acme")
            try await outpost.set("KEY", ana.key, organization: "acme")
            try bia.certificate.write(to: folder.appendingPathComponent("bia.pem"), atomically: true, encoding: .utf8)
            try bia.key.write(to: folder.appendingPathComponent("bia.key"), atomically: true, encoding: .utf8)
            let acme = try await outpost.endpoint(
                host.url(), options: #"{"tls": {"certificate": "${CERT}", "key": "${KEY}", "ca": "${CA}"}}"#, organization: "acme")
            let common = try await outpost.endpoint(
                host.url(), options: #"{"tls": {"certificate": "file:bia.pem", "key": "file:bia.key", "ca": "${CA}"}}"#)
            let nobody = try await outpost.endpoint(host.url(), options: #"{"tls": {"ca": "${CA}"}}"#, settings: "max_attempts = 1")
            // As it is run: the folder and the guard are settings of the process.
            let worker = try WorkerProcess(outpost, environment: ["POSTRIDER_TLS_FOLDER": folder.path])
            for _ in 0..<5 { try await outpost.sql("SELECT postrider.emit('a.b', '{}', 'acme')") }
            try await eventually("all to be settled") { try await outpost.count("postrider.webhook_attempts") == 15 }
            #expect(worker.stop() == 0)
            let bodies = try await outpost.sql(
                "SELECT destination_id, outcome, coalesce(response_body, ''), count(*) FROM postrider.webhook_attempts GROUP BY 1, 2, 3 ORDER BY 1"
            ).map { "\(try $0.int(0)) \(try $0.int(1)) \(try $0.string(2)) \(try $0.int(3))" }
            #expect(bodies == ["\(acme) 0 ana 5", "\(common) 0 bia 5", "\(nobody) 2  5"])
        }

        @Test func replacedFilesCountWithoutAChangeInTheDatabase() async throws {
            let outpost = try await Outpost()
            let certificates = try Certificates.shared.get()
            let host = try TLSHost(.mutual)
            let folder = FileManager.default.temporaryDirectory.appendingPathComponent("tls-\(UUID())")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: folder) }
            let file = folder.appendingPathComponent("client.pem")
            let (ana, bia) = (try certificates.client("ana"), try certificates.client("bia"))
            // Both in one file, so that no handshake sees the certificate of one with the key of the other.
            let place = { (client: (certificate: String, key: String)) in
                try (client.certificate + client.key).write(to: file, atomically: true, encoding: .utf8)
            }
            try await outpost.set("CA", String(contentsOfFile: certificates.authority, encoding: .utf8))
            let target = try await outpost.endpoint(
                host.url(), options: #"{"tls": {"certificate": "file:client.pem", "key": "file:client.pem", "ca": "${CA}"}}"#)
            let version = try await outpost.text("SELECT version::text FROM postrider.webhook_routing")
            let shown = { (name: String) in
                try await outpost.count("postrider.webhook_attempts WHERE outcome = 0 AND response_body = '\(name)'")
            }
            let change = { (settings: inout WorkerSettings) in
                settings.fileAge = .milliseconds(50)
                settings.grants.readFile = { (name) throws(SettingFault) in
                    guard let text = try? String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8) else {
                        throw SettingFault("there is no \(name)")
                    }
                    return text
                }
            }
            try await outpost.withWorkers(1, change) {
                try await outpost.emit("a.b")
                try await eventually("the delivery to wait for the file") { try await outpost.waiting(target) == 1 }
                try place(ana)
                try await eventually("the delivery") { try await shown("ana") == 1 }
                try place(bia)
                try await eventually("the new certificate to be shown") {
                    try await outpost.emit("a.b")
                    return try await shown("bia") > 0
                }
                try FileManager.default.removeItem(at: file)
                try await eventually("deliveries to wait again") {
                    try await outpost.emit("a.b")
                    return try await outpost.waiting(target) > 0
                }
                try place(bia)
                try await outpost.settled()
            }
            #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome <> 0") == 0)
            #expect(try await outpost.text("SELECT version::text FROM postrider.webhook_routing") == version)
        }

        /// What n8n means stands where people look; elsewhere the same words mean nothing.
        @Test func answersOfN8nAreExplained() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { request, _ in
                if request.path == "/webhook/auth" { return Reply(status: 403, body: "Authorization data is wrong!") }
                let message = #"The requested webhook \"POST off\" is not registered."#
                return Reply(status: 404, body: #"{"code":404,"message":"\#(message)","hint":"The workflow must be active"}"#)
            }
            try await outpost.sql(
                "INSERT INTO postrider.n8n_workflows (name, webhook_url, event_types) SELECT p, $1 || p, '{*}' FROM unnest('{auth,off}'::text[]) AS p",
                [.text(receiver.url("/webhook/"))])
            try await outpost.endpoint(receiver.url("/webhook/auth"))
            try await outpost.withWorkers {
                try await outpost.emit("a.b")
                try await eventually("three attempts") { try await outpost.count("postrider.webhook_attempts") == 3 }
            }
            let told = try await outpost.sql(
                "SELECT failure || ': ' || error_message FROM postrider.webhook_attempts ORDER BY destination_id"
            ).map { try $0.string(0) }
            #expect(
                told == [
                    "client_error: n8n: the credentials are not those of the webhook node",
                    "workflow_inactive: n8n: no active workflow has this webhook; activate it in n8n", "client_error: the receiver answered 403",
                ])
        }

        @Test func proxyCarriesWhatItIsAllowedTo() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            let proxy = try ForwardProxy(password: "secret")
            try await outpost.set("PROXY_PASSWORD", "secret")
            let options = { (kind: String, proxy: String) in #"{"proxy": "\#(kind)://user:${PROXY_PASSWORD}@\#(proxy)"}"# }
            let url = "http://hooks.behind.example:\(receiver.port)"
            try await outpost.endpoint(url + "/http", options: options("http", proxy.place))
            try await outpost.endpoint(url + "/socks", options: options("socks5h", proxy.place))
            let barred = try await outpost.endpoint(url + "/barred", options: options("http", "127.0.0.1:1"))
            // An address that may not be dialed straight is not asked of the proxy either.
            let inner = try await outpost.endpoint("http://10.0.0.1/inner", options: options("http", proxy.place), settings: "max_attempts = 1")
            try await outpost.withWorkers(1, { $0.grants.proxies = [proxy.place: false] }) {
                try await outpost.emit("a.b")
                try await receiver.wait(for: 2)
                try await eventually("the third to wait") { try await outpost.waiting(barred) == 1 }
                try await eventually("the fourth to be refused") {
                    try await outpost.count("postrider.webhook_attempts WHERE destination_id = \(inner) AND failure = 'refused_address'") == 1
                }
            }
            #expect(Set(receiver.received.map(\.path)) == ["/http", "/socks"])
            #expect(receiver.received.allSatisfy { $0.headers["proxy-authorization"] == nil })
            let told = Set([proxy.nextRequest(), proxy.nextRequest()])
            #expect(told == ["POST \(url)/http", "SOCKS hooks.behind.example:\(receiver.port)"])
        }

        /// Two attempts may be made: that of the proxy that was down is none, so the receiver's first fault is not the last.
        @Test func attemptsThatEndAtAProxySpendNone() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, before in before == 0 ? .status(500) : .ok }
            let id = try await outpost.endpoint(
                receiver.url(), options: #"{"proxy": "http://127.0.0.1:1"}"#, settings: "max_attempts = 2, base_delay_ms = 10")
            try await outpost.withWorkers(1, { $0.grants.proxies = ["127.0.0.1:1": false] }) {
                try await outpost.emit("a.b")
                try await eventually("an attempt to end at the proxy") {
                    try await outpost.count("postrider.webhook_attempts WHERE failure = 'proxy'") > 0
                }
                try await outpost.sql("UPDATE postrider.webhook_destinations SET options = '{}' WHERE id = \(id)")
                try await receiver.wait(for: 2)
                try await outpost.settled()
            }
            let attempts = try await outpost.sql(
                "SELECT coalesce(failure, 'delivered') FROM postrider.webhook_attempts ORDER BY attempt_number"
            ).map { try $0.string(0) }
            #expect(attempts.suffix(2) == ["server_error", "delivered"])
            #expect(attempts.dropLast(2).allSatisfy { $0 == "proxy" } && attempts.count > 2)
        }
    }
}
