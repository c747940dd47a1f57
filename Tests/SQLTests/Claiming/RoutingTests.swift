// Destinations as workers load them, also from rows that nobody should have written.

import Outbox
import OutboxStore
import Postgres
import Synchronization
import TestSupport
import Testing

@Suite struct RoutingTests {
    private func load(_ db: TestDatabase) async throws -> Routing { try await RoutingStore.load(on: db.connection) }

    @Test func settingsOfADestinationArriveWhole() async throws {
        try await withRollback { db in
            try await db.run(
                """
                INSERT INTO postrider.webhook_endpoints (name, url, events, organization_id, user_id, headers,
                    max_attempts, base_delay_ms, timeout_ms, max_concurrency, keep_response_bytes, profile, secret)
                VALUES ('sales', 'https://example.com/a?b=c', '{lead.*,deal.won}', 'org', 'user', '{"X-B": "2", "X-A": "1"}',
                    4, 2000, 5000, 7, 100, 'agentes', 'sixteen characters')
                """)
            let routing = try await load(db)
            let sales = try #require(routing.destinations.first)
            #expect(routing.faults.isEmpty)
            #expect(sales.kind == .endpoint && sales.name == "sales" && sales.isEnabled)
            #expect([sales.organization, sales.user] == ["org", "user"])
            #expect(sales.headers.map(\.name) == ["X-A", "X-B"])
            #expect(sales.timeout == .seconds(5))
            #expect(sales.maxConcurrency == 7)
            #expect(sales.retry.maxAttempts == 4)
            #expect(sales.profile.name == "agentes")
            #expect(sales.secrets.count == 1)
            #expect(routing.keptResponseBytes == [sales.id: 100])
            #expect(try await db.line("SELECT id FROM postrider.webhook_endpoints") == sales.uuid)
        }
    }

    /// So many are read portion by portion; numbers have gaps, and the last portion may be empty.
    @Test(arguments: [999, 1000, 2500]) func manyDestinationsArriveWithTheirSecrets(count: Int) async throws {
        try await withRollback { db in
            try await db.run(
                """
                INSERT INTO postrider.webhook_destinations (id, kind, profile, name, url, event_types, deleted_at)
                OVERRIDING SYSTEM VALUE
                SELECT 3 * n - 1000, 'endpoint', 'agentes', 'e' || n, 'https://example.com/', '{a}',
                       CASE WHEN n > \(count) THEN now() END
                FROM generate_series(1, \(count + 10)) AS n;
                INSERT INTO postrider.webhook_secrets (destination_id, version, secret)
                SELECT 3 * n - 1000, v, concat('secret of ', 3 * n - 1000, ' ', v, repeat('.', 20))
                FROM generate_series(1, \(count)) AS n, generate_series(1, 1 + n % 2) AS v
                """)
            let routing = try await load(db)
            #expect(routing.faults.isEmpty)
            let ids = (1...count).map { 3 * $0 - 1000 }
            #expect(routing.destinations.map(\.id) == ids.map(Int32.init))
            let secrets: [[Substring]] = routing.destinations.map { destination in
                destination.secrets.map { $0.reveal().prefix { $0 != "." } }
            }
            let expected: [[Substring]] = ids.map { id in
                let versions = id % 2 == 0 ? [1] : [2, 1]
                return versions.map { "secret of \(id) \($0)" }
            }
            #expect(secrets == expected)
        }
    }

    /// A hundred thousand that did not change are not in memory twice.
    @Test func whatDidNotChangeIsKeptByALoadOfEverything() async throws {
        try await withRollback { db in
            try await db.run(
                """
                INSERT INTO postrider.webhook_endpoints (name, url, events, headers, secret, profile)
                SELECT name, 'https://example.com/', '{a}', '{"X-A": "1"}', 'sixteen characters', 'agentes'
                FROM unnest('{same,header,secret,inactive,faulty,setting}'::text[]) AS n (name);
                INSERT INTO postrider.webhook_settings (name, value, is_shared) VALUES ('A', '1', true);
                UPDATE postrider.webhook_destinations SET headers = '{"X-A": "${A}"}' WHERE name = 'setting'
                """)
            let old = try await load(db)
            let byID = Dictionary(uniqueKeysWithValues: old.destinations.map { ($0.id, $0) })
            func kept() async throws -> [String] {
                let new = try await RoutingStore.load(on: db.connection, keeping: { byID[$0] }).destinations
                #expect(new.map(\.id) == old.destinations.map(\.id))
                return zip(old.destinations, new).filter { $0 === $1 }.map(\.0.name)
            }
            #expect(try await kept() == ["same", "header", "secret", "inactive", "faulty", "setting"])
            try await db.run(
                """
                UPDATE postrider.webhook_destinations SET headers = '{"X-A": "2"}' WHERE name = 'header';
                UPDATE postrider.webhook_secrets SET secret = 'seventeen letters'
                WHERE destination_id = (SELECT id FROM postrider.webhook_destinations WHERE name = 'secret');
                UPDATE postrider.webhook_destinations SET is_active = false WHERE name = 'inactive';
                UPDATE postrider.webhook_settings SET value = '2'
                """)
            try await db.run(
                "SET LOCAL session_replication_role = replica; UPDATE postrider.webhook_destinations SET profile = '?' WHERE name = 'faulty'")
            #expect(try await kept() == ["same"])
        }
    }

    /// No wait is longer than the longest: not the first one either, whose default is 30 s.
    @Test func maximumBelowTheFirstWaitShortensIt() async throws {
        try await withRollback { db in
            try await db.endpoint(settings: "max_delay_ms = 10000, jitter = 0")
            let routing = try await load(db)
            #expect(routing.faults.isEmpty)
            let retry = try #require(routing.destinations.first).retry
            let waits = (1...5).compactMap { retry.delay(afterAttempt: $0, random: 0.5) }
            #expect(waits == Array(repeating: Duration.seconds(10), count: 5))
        }
    }

    @Test func workflowsAreDestinationsBesideEndpoints() async throws {
        try await withRollback { db in
            try await db.run(
                """
                INSERT INTO postrider.n8n_workflows (name, webhook_url, event_types)
                VALUES ('onboarding', 'https://n8n.example.com/webhook/onboarding', '{user.registered}')
                """)
            let workflow = try #require(try await load(db).destinations.first)
            #expect(workflow.kind == .n8n && workflow.profile.name == "n8n" && workflow.secrets.isEmpty)
        }
    }

    @Test func inactiveDestinationsAreLoadedAndDeletedOnesAreNot() async throws {
        try await withRollback { db in
            let (kept, parked, deleted) = (
                try await db.endpoint("kept"), try await db.endpoint("parked"), try await db.endpoint("deleted")
            )
            try await db.run(
                """
                UPDATE postrider.webhook_endpoints SET is_active = false WHERE name = 'parked';
                DELETE FROM postrider.webhook_endpoints WHERE name = 'deleted'
                """)
            let destinations = try await load(db).destinations
            #expect(destinations.map(\.id) == [kept, parked])
            #expect(destinations.map(\.isEnabled) == [true, false])
            #expect(!destinations.map(\.id).contains(deleted))
        }
    }

    @Test func secretsThatSignNowAreLoadedNewestFirst() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            for secret in ["second", "third"] {
                try await db.run(
                    "SELECT postrider.rotate_secret(id, 'whsec_' || encode('\(secret)-secret-of-24-bytes', 'base64')) "
                        + "FROM postrider.webhook_endpoints")
            }
            #expect(try await load(db).destinations[0].secrets.count == 3)
            try await db.run(
                "UPDATE postrider.webhook_secrets SET expires_at = clock_timestamp() - interval '1 second' WHERE version = 2")
            let secrets = try await load(db).destinations[0].secrets
            let newest = try await db.line(
                "SELECT secret FROM postrider.webhook_secrets WHERE destination_id = \(id) ORDER BY version DESC")
            #expect(secrets.count == 2)
            #expect(secrets.first?.reveal() == newest)
        }
    }

    /// Faults that no check of the table finds, because only the program knows profiles, or somebody went around it.
    @Test(arguments: [
        ("profile = 'no-such'", "no-such"),
        ("url = 'https://[::1'", "bracket"),
        ("url = 'https://example.com:99999/'", "port"),
        ("final_statuses = 'sometimes'", "sometimes"),
        (#"headers = '{"X A": "1"}'"#, "header"),
        (#"headers = '{"Host": "other"}'"#, "host"),
        (#"headers = '{"X-A": null}'"#, "x-a"), (#"headers = '{"X-A": {"b": 1}}'"#, "x-a"), (#"headers = '{"X-A": 1}'"#, "x-a"),
        (#"headers = '{"X-A": "1\r\nX-Evil: 2"}'"#, "header"), (#"headers = '{"X-A": "1", "x-a": "2"}'"#, "twice"),
        ("headers = '[1]'", "headers"), ("headers = 'null'", "headers"), ("url = E'https://a.example/\\r\\nX-Evil: 1'", "byte"),
        ("url = ''", "bytes"), ("max_concurrency = 0", "concurrency"), ("timeout_ms = 0", "timeout"), ("jitter = 2", "jitter"),
        ("delays_ms = '{-1}'", "delay"), ("max_attempts = 0", "max_attempts"),
    ])
    func faultyRowIsParkedAndReported(fault: String, word: String) async throws {
        try await withRollback { db in
            try await db.openGates()
            let good = try await db.endpoint("good", events: "a.*")
            let bad = try await db.endpoint("bad", events: "b.*", settings: fault)
            let routing = try await load(db)
            #expect(routing.destinations.map(\.id) == [good, bad])
            #expect(routing.destinations.map(\.isEnabled) == [true, false])
            #expect(routing.destinations[1].patterns.map(\.description) == ["b.*"])
            #expect(routing.faults.map(\.destination) == [bad])
            #expect(routing.faults[0].wasActive)
            #expect(routing.faults[0].reason.lowercased().contains(word), "\(routing.faults[0].reason)")
        }
    }

    /// What comes meanwhile waits in its order, and what was on its way is judged by the row.
    @Test(arguments: [
        ("url = ''", "'{\"order\": true, \"priority\": \"high\"}'"), ("profile = 'none'", "'{\"order\": true, \"priority\": \"high\"}'"),
        ("name = name", "'{\"order\": true, \"rate\": 5}'"),
    ]) func standInKeepsOrderAndRetryPolicyOfItsRow(fault: String, options: String) async throws {
        try await withRollback { db in
            try await db.openGates()
            let common = "options = \(options), delays_ms = '{7}', jitter = 0, final_statuses = '4xx'"
            try await db.endpoint("bad", settings: "\(common), \(fault)")
            let routing = try await load(db)
            #expect(routing.faults.count == 1)
            let parked = try #require(routing.destinations.first)
            #expect(!parked.isEnabled && parked.isOrdered)
            #expect(try parked.retry == RetryPolicy(delays: [.milliseconds(7)], jitter: 0))
            #expect(try parked.finalStatuses == FinalStatuses("4xx"))
        }
    }

    @Test func faultOfASecretDoesNotTellTheSecret() async throws {
        try await withRollback { db in
            try await db.endpoint()
            try await db.run("UPDATE postrider.webhook_secrets SET secret = 'whsec_not base64 !'")
            let faults = try await load(db).faults
            #expect(faults.count == 1)
            #expect(!faults[0].reason.contains("not base64 !"))
        }
    }

    /// The overlap of a secret goes on when the profile changes, and for the new receiver it could not sign.
    @Test func olderSecretThatDoesNotFitTheProfileIsLeftOut() async throws {
        try await withRollback { db in
            let id = try await db.endpoint(settings: "profile = 'github'")
            try await db.run("UPDATE postrider.webhook_secrets SET secret = 'not base64 !'")
            #expect(try await load(db).faults.isEmpty)
            try await db.run("UPDATE postrider.webhook_endpoints SET profile = 'standard'")
            #expect(try await load(db).faults.map(\.destination) == [id])
            for count in 1...2 {
                try await db.run("SELECT postrider.rotate_secret(id) FROM postrider.webhook_endpoints")
                let routing = try await load(db)
                #expect(routing.faults.isEmpty && routing.destinations.map(\.secrets.count) == [count])
                // It is told, so that nobody looks in vain for why a receiver with the old secret refuses.
                #expect(routing.unfitSecrets == [id: 1])
            }
            // What cannot be opened may fit for all we know.
            let ring = try KeyRing(list: "k1:" + String(repeating: "BwcH", count: 10) + "Bwc=")
            let sealed = try SealedSecret(sealing: "not base64 !", for: .version(1, destination: id), with: ring).text
            try await db.run("UPDATE postrider.webhook_secrets SET secret = '\(sealed)' WHERE version = 1")
            #expect(try await load(db).locked == [id])
            #expect(try await RoutingStore.load(on: db.connection, keys: ring).faults.isEmpty)
        }
    }

    @Test func olderEd25519SecretIsLeftOutWhereTheProfileHasNone() async throws {
        try await withRollback { db in
            var generator = SystemRandomNumberGenerator()
            let secret = try Secret.generateEd25519(using: &generator).reveal()
            let id = try await db.endpoint()
            try await db.run(
                """
                UPDATE postrider.webhook_secrets SET secret = '\(secret)';
                INSERT INTO postrider.webhook_profiles (name, envelope, headers, signs, secret_form)
                VALUES ('own', '{data}', '{"X-Signature: {signature}"}', '{body}', 'standard');
                UPDATE postrider.webhook_endpoints SET profile = 'own'
                """)
            #expect(try await load(db).faults.map(\.destination) == [id])
            try await db.run("SELECT postrider.rotate_secret(id) FROM postrider.webhook_endpoints")
            let routing = try await load(db)
            #expect(routing.faults.isEmpty && routing.destinations.map(\.secrets.count) == [1])
        }
    }

    @Test(arguments: ["'{a..b}'", "'{a.b,NULL}'", "'{}'::text[] || E'a\\nb'::text", "'{a.*.b,c.*}'"])
    func rowWhosePatternsCannotBeReadParksEverything(patterns: String) async throws {
        try await withRollback { db in
            try await db.openGates()
            let bad = try await db.endpoint(settings: "event_types = \(patterns), organization_id = 'acme'")
            let routing = try await load(db)
            #expect(routing.destinations.map(\.id) == [bad])
            #expect(routing.destinations.map(\.isEnabled) == [false])
            // Whatever they were meant for waits.
            #expect(routing.destinations[0].patterns.map(\.description) == ["*"])
            #expect(routing.destinations[0].organization == "acme")
            #expect(routing.faults.map(\.destination) == [bad])
        }
    }

    @Test func everyChangeRaisesTheVersionAndIsAnnounced() async throws {
        try await withDatabase { db in
            try await db.endpoint()
            let listener = try await db.connect()
            try await listener.listen("postrider_routing")
            let announced = listener.notifications()
            var version = try await load(db).version
            for change in [
                "UPDATE postrider.webhook_endpoints SET name = 'other'",
                "SELECT postrider.rotate_secret(id) FROM postrider.webhook_endpoints",
                "DELETE FROM postrider.webhook_endpoints",
            ] {
                try await db.run(change)
                let next = try await load(db).version
                #expect(next > version, "\(change)")
                let notification = try await withDeadline(.seconds(20), "word of \(change)") { await announced.first { _ in true } }
                #expect(notification?.channel == "postrider_routing")
                version = next
            }
        }
    }

    @Test func versionAskedInAPipelineIsTheSame() async throws {
        try await withRollback { db in
            let rows = try await db.connection.pipeline([RoutingStore.version()])
            #expect(try rows[0][0].int64(0) == (try await load(db).version))
        }
    }

    /// A standby that took over may lack the last changes, and the next ones have the versions of those.
    @Test func everythingIsLoadedAfterVersionsWereLost() async throws {
        try await withRollback { db in
            try await db.endpoint()
            let now = try await load(db)
            func changes(since version: Int64) async throws -> [Int32]? {
                try await RoutingStore.loadChanges(since: version, loadedAt: now.loadedAt, on: db.connection)?.ids
            }
            #expect(try await changes(since: now.version) == [])
            #expect(try await changes(since: now.version + 1) == nil)
        }
    }

    /// Such a standby has counted on beyond the versions that were lost with the other, and is asked only then.
    @Test func everythingIsLoadedWhenTheServerHasCountedOn() async throws {
        try await withRollback { db in
            try await db.endpoint()
            let before = try await load(db)
            try await db.endpoint("lost")
            let lost = try await load(db)
            try await db.run(
                """
                UPDATE postrider.webhook_routing SET version = \(before.version);
                DELETE FROM postrider.webhook_routing_changes WHERE version > \(before.version)
                """)
            var made: [Int32] = []
            while try await load(db).version <= lost.version {
                let id = try await db.endpoint("new \(made.count)")
                made.append(id)
            }
            func changes(since old: Routing) async throws -> [Int32]? {
                try await RoutingStore.loadChanges(since: old.version, loadedAt: old.loadedAt, on: db.connection)?.ids
            }
            #expect(try await changes(since: lost) == nil)
            #expect(try await changes(since: before) == made)
        }
    }

    /// A file is replaced without any change of a row.
    @Test func filesAreReadAgainForThoseThatNameThem() async throws {
        try await withRollback { db in
            try await db.endpoint("plain")
            try await db.endpoint("parked", settings: #"options = '{"tls": {"ca": "file:ca.pem"}}', is_active = false"#)
            let id = try await db.endpoint("reader", settings: #"options = '{"tls": {"ca": "file:ca.pem"}}'"#)
            let file = Mutex<String?>(nil)
            let grants = ProcessGrants(readFile: { (name) throws(SettingFault) in
                guard let text = file.withLock({ $0 }) else { throw SettingFault("there is no \(name)") }
                return text
            })
            let first = try await RoutingStore.load(on: db.connection, grants: grants)
            #expect(first.fileReaders == [id] && first.locked == [id])
            func changes(rereading files: Set<Int32>) async throws -> Routing {
                let load = try await RoutingStore.loadChanges(
                    since: first.version, loadedAt: first.loadedAt, on: db.connection, grants: grants, rereading: files)
                #expect(load?.ids == files.sorted())
                return try #require(load?.routing)
            }
            for text in ["one", "another"].map({ "-----BEGIN CERTIFICATE-----\n\($0)\n-----END CERTIFICATE-----" }) {
                file.withLock { $0 = text }
                #expect(try await changes(rereading: []).destinations.isEmpty)
                let routing = try await changes(rereading: first.fileReaders)
                #expect(routing.destinations.map { $0.access?.identity?.authority } == [text])
                #expect(routing.fileReaders == [id] && routing.locked.isEmpty)
            }
            file.withLock { $0 = nil }
            let gone = try await changes(rereading: first.fileReaders)
            #expect(gone.locked == [id] && gone.fileReaders == [id])
            #expect(gone.faults.map(\.reason) == ["there is no ca.pem"] && gone.faults[0].isLocal)
        }
    }

    @Test func disablingTellsWhyAndHappensOnce() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            for reason in ["gone (410)", "another reason"] {
                try await RoutingStore.disable(destination: id, reason: reason, on: db.connection)
            }
            #expect(
                try await db.lines("SELECT is_active, inactive_reason FROM postrider.webhook_endpoints") == ["f|gone (410)"])
        }
    }

    /// A row, or what it names, that was mended between the load and the disabling.
    @Test(arguments: [
        "UPDATE postrider.webhook_endpoints SET url = 'https://mended.example.com/'",
        "INSERT INTO postrider.webhook_profiles (name, envelope) VALUES ('bare', '{data}')",
    ]) func faultOfAnOlderLoadDisablesNothing(mending: String) async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            let found = try await load(db).version
            func disable(_ version: Int64) async throws -> Bool {
                try await RoutingStore.disable(destination: id, reason: "faulty", foundAt: version, on: db.connection)
            }
            try await db.run(mending)
            let now = try await load(db).version
            #expect(now > found, "the change is one of the routing")
            #expect(try await !disable(found))
            #expect(try await db.line("SELECT is_active FROM postrider.webhook_endpoints") == "t")
            #expect(try await disable(now))
        }
    }

    /// The row is held while the disabling comes, and mended when it is let go.
    @Test func faultThatIsBeingMendedDisablesNothing() async throws {
        try await withDatabase { db in
            let id = try await db.endpoint()
            let found = try await load(db).version
            let other = try await db.connect()
            var answer: Bool?
            // On a busy machine the wait of 200 ms may end first.
            for round in 1...50 where answer == nil {
                try await other.run("BEGIN; UPDATE postrider.webhook_endpoints SET url = 'https://mended.example.com/\(round)'")
                async let disabled = RoutingStore.disable(
                    destination: id, reason: "faulty", foundAt: found, on: db.connection)
                var waits = 0
                while try await other.lines("SELECT count(*) FROM pg_locks WHERE NOT granted") == ["0"], waits < 1000 { waits += 1 }
                try await other.run("COMMIT")
                answer = try? await disabled
            }
            #expect(answer == false)
            #expect(try await db.line("SELECT is_active FROM postrider.webhook_endpoints") == "t")
        }
    }

    @Test func answerOfAnOldURLDisablesNothing() async throws {
        try await withRollback { db in
            let id = try await db.endpoint()
            let url = try await db.line("SELECT url FROM postrider.webhook_endpoints")
            try await db.run("UPDATE postrider.webhook_endpoints SET url = 'https://mended.example.com/'")
            func disable(_ url: String?) async throws -> Bool {
                try await RoutingStore.disable(destination: id, reason: "gone", url: url, on: db.connection)
            }
            #expect(try await !disable(url))
            #expect(try await db.line("SELECT is_active FROM postrider.webhook_endpoints") == "t")
            #expect(try await disable("https://mended.example.com/"))
            #expect(try await !disable(nil), "it is disabled already")
            #expect(try await db.line("SELECT inactive_reason FROM postrider.webhook_endpoints") == "gone")
        }
    }
}
