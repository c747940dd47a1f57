// What SQL shows of sealed secrets, and that its rule for credentials is the program's.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct SecretViewTests {
    @Test(arguments: [
        "Authorization", "Proxy-Authorization", "X-AUTH", "Cookie", "X-Api-Key", "apikey", "X-Keyboard", "X-Team", "Accept",
        "Access-Token", "X-Shared-SECRET", "x-passwd", "Password", "credentials", "key", "Key-Id", "traceparent",
    ])
    func ruleForCredentialsIsTheProgramsOwn(name: String) async throws {
        try await withRollback { db in
            let rows = try await db.query("SELECT postrider.holds_credential($1)", [.text(name)])
            #expect(try rows[0].bool(0) == HeaderField.holdsCredential(name))
        }
    }

    @Test func viewsShowTheKeyOfASealedSecretAndNothingElse() async throws {
        try await withDatabase { db in
            try await db.endpoint()
            try await db.run(#"UPDATE postrider.webhook_endpoints SET headers = '{"Cookie": "marker", "X-Team": "a"}'"#)
            let keys = try KeyRing(list: "k1:" + String(repeating: "A", count: 43) + "=")
            #expect(try await SecretStore.seal(.plain, with: keys, on: db.connection).sealed == 2)
            #expect(try await db.line("SELECT secret FROM postrider.webhook_endpoints") == "•••• sealed with k1")
            #expect(
                try await db.line("SELECT postrider.shown_headers(headers) FROM postrider.webhook_endpoints")
                    == #"{"Cookie": "••••", "X-Team": "a"}"#)
            #expect(try await db.line("SELECT headers::text FROM postrider.webhook_endpoints").contains("sealed:v1:k1:"))
        }
    }

    @Test func rowsThatOthersHoldAreLeftAndSealedLater() async throws {
        try await withDatabase { db in
            let held = try await db.endpoint("held")
            try await db.endpoint("free")
            let other = try await db.connect()
            try await other.run("BEGIN; SELECT FROM postrider.webhook_secrets WHERE destination_id = \(held) FOR UPDATE")
            let keys = try KeyRing(list: "k1:" + String(repeating: "A", count: 43) + "=")
            #expect(try await SecretStore.seal(.all, with: keys, on: db.connection).sealed == 1)
            try await other.run("ROLLBACK")
            #expect(try await SecretStore.seal(.all, with: keys, on: db.connection).sealed == 1)
            #expect(try await SecretStore.seal(.all, with: keys, on: db.connection).sealed == 0)
        }
    }
}
