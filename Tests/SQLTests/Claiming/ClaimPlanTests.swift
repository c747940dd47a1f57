// The plans of the statements on the road of an event: by their indexes, whatever the statistics say.

import Foundation
import Outbox
import Postgres
import TestSupport
import Testing

@testable import OutboxStore

@Suite struct ClaimPlanTests {
    private static func bounds(_ id: String) -> String { "array_fill('\(id)'::uuid, '{3}'), '{0,1,2}', \(span)" }
    /// The ids of which a worker that is busy with new events reads the events.
    private static let span: String = {
        let now = UInt64(Date().timeIntervalSince1970 * 1000)
        return [now - 86_400_000, now + 86_400_000].map { "'\(EventID(high: $0 << 16, low: 0))'" }.joined(separator: ", ")
    }()

    /// The files whose statements workers run all the time.
    private static let road: Set = ["attempts", "claims", "destinations", "workers"]
    /// Their statements whose headings name an index, with values for their parameters; IDS stands for three events.
    private static let values = [
        "EventClaim": "1, 100, 100, \(bounds("00000000-0000-0000-0000-000000000000"))", "EventPayload": "'01900000-0000-7000-8000-000000000001', 1",
        "RetryPeek": "",
        "RetryClaim": "1, '{1,2,3}', '{10,10,10}', \(span)", "ClaimFinish": "1, '{1,2,3}'",
        "ClaimShrink": "1, '{1,2,3}', 'IDS', '{1,1,1}', '{1,1,1}', '{f,t,f}'", "ClaimTakeOver": "1, 2, 1, 100",
        "EventLoad": "'IDS'", "DeliverySettled": "'IDS', 1", "DestinationHold": "1", "DestinationDisable": "1, 'x', NULL, 5",
        "SecretLoad": "'{1,2,3}'",
        "OrderEnroll": "1", "SecretNextExpiry": "", "RoutingChanges": "1, now()", "RoutingChangesPrune": "100",
        "AttemptRecordDelivered":
            "1, 'IDS', '{1,1,1}', '{1,1,1}', '{200,200,200}', '{1,1,1}', '{0,0,0}', '{a,b,c}'",
        "AttemptRecordFailed":
            "1, 'IDS', '{1,1,1}', '{1,1,1}', '{500,500,500}', '{1,1,1}', '{0,0,0}', '{a,b,c}', '{a,b,c}', '{a,b,c}', "
            + "'{1,1,1}', '{1,2,3}', '{NULL,6,6}', '{NULL,1,1}'",
        "DeliverySnooze": "1, 'IDS', '{1,1,1}', '{1,1,1}', '{1,1,1}', '{1,2,3}', '{t,f,f}'",
        "WorkerLock": "1", "WorkerHeartbeat": "1, 1, 1, 1, 1, 1", "WorkerFarewell": "1, 1, 1, 1, 1, 1",
    ]
    /// Scans of these in order of their key, up to a limit; all other scans must have a condition.
    private static let ordered: Set = ["EventClaim", "RetryPeek", "ClaimTakeOver", "OrderEnroll"]

    /// What workers set for the session of a work connection.
    private static func sessionSettings(isLocal: Bool = false) throws -> String {
        let query = try #require(try NamedQuery.all()["WorkSettings"])
        return query.sql.replacingOccurrences(of: "$1", with: "\(isLocal)")
    }

    private func call(_ name: String, _ ids: String) -> String {
        let values = (Self.values[name] ?? "").replacingOccurrences(of: "IDS", with: ids)
        return "EXECUTE \(name)" + (values.isEmpty ? "" : "(\(values))")
    }

    /// The index itself, or for a partitioned one the indexes of its partitions.
    private func leaves(of index: String, _ db: TestDatabase) async throws -> Set<String> {
        // The index of the attempts' partitions has a name that Postgres made.
        let leaves = try await db.lines(
            """
            SELECT c.relname FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = 'postrider.\(index)'::regclass
            """)
        return Set(leaves.isEmpty ? [index] : leaves)
    }

    private func check(_ query: NamedQuery, _ plan: Plan, _ state: String, _ db: TestDatabase) async throws {
        let told = Comment("\(query.name), \(state)")
        let scans = plan.all.filter { $0.kind.hasPrefix("Index") }
        for index in query.indexes {
            let leaves = try await leaves(of: index, db)
            let used = scans.filter { leaves.contains($0.index ?? "") }
            #expect(!used.isEmpty, "\(told): \(index)")
            if !Self.ordered.contains(query.name) {
                #expect(used.allSatisfy { $0.condition != nil }, "\(told): \(index)")
            }
        }
        let read = plan.all.filter { $0.kind == "Seq Scan" }.compactMap(\.relation)
        // Claims are few: one for each batch in flight.
        let readsClaims = ["OrderEnroll", "DeliverySettled"].contains(query.name)
        let short: Set = readsClaims ? ["webhook_routing", "webhook_claims"] : ["webhook_routing"]
        #expect(read.filter { !short.contains($0) } == [], told)
        // Whatever is joined to the log or the attempts probes their keys.
        let partitions = scans.filter { ($0.relation ?? "").contains(/webhook_(event_log|attempts)_/) }
        #expect(partitions.allSatisfy { $0.condition != nil }, told)
        // A takeover sorts the claims of one worker, which are few.
        for limit in plan.all where limit.kind == "Limit" && query.name != "ClaimTakeOver" {
            #expect(!limit.all.contains { $0.kind.hasSuffix("Sort") }, told)
        }
    }

    private func checkAll(_ queries: [NamedQuery], _ state: String, _ db: TestDatabase) async throws {
        let ids = try await db.line("SELECT coalesce(array_agg(id), '{}') FROM (SELECT id FROM postrider.webhook_event_log LIMIT 3) AS e")
        for mode in ["force_custom_plan", "force_generic_plan"] {
            try await db.run("SET plan_cache_mode = \(mode)")
            for query in queries {
                try await check(query, Plan.of(call(query.name, ids), in: db), "\(state), \(mode)", db)
            }
        }
    }

    /// As the owner, and as a worker whom row-level security binds.
    @Test(arguments: ["NONE", "postrider_worker"]) func everyStatementUsesTheIndexesItNames(role: String) async throws {
        let queries = try NamedQuery.all().values.filter { Self.road.contains($0.file) && !$0.indexes.isEmpty }
            .sorted { $0.name < $1.name }
        #expect(queries.map(\.name) == Self.values.keys.sorted())
        try await withDatabase { db in
            try await db.run(Self.sessionSettings())
            try await db.run("SET ROLE \(role)")
            for query in queries { try await db.run("PREPARE \(query.name) AS \(query.sql)") }
            // The worst statistics: tables known to be empty.
            try await vacuum(db, role)
            try await checkAll(queries, "empty", db)
            try await db.run("RESET ROLE")
            try await db.fill()
            try await db.run("SET ROLE \(role)")
            // Plans that were kept from when the tables were empty, then plans of true statistics.
            try await checkAll(queries, "filled", db)
            let kept = try await Plan.of(call("EventClaim", ""), running: true, in: db)
            #expect(kept.sharedBlocks < 2000, "a claim of 100 events by the kept plan")
            try await vacuum(db, role)
            try await checkAll(queries, "analyzed", db)
            let fresh = try await Plan.of(call("EventClaim", ""), running: true, in: db)
            #expect(fresh.sharedBlocks < 2000, "a claim of 100 events")
            let retries = try await Plan.of(call("RetryClaim", ""), running: true, in: db)
            #expect(retries.sharedBlocks < 1000, "a claim of 30 retries")
        }
    }

    private func vacuum(_ db: TestDatabase, _ role: String) async throws {
        for statement in ["RESET ROLE", "VACUUM ANALYZE", "SET ROLE \(role)"] { try await db.run(statement) }
    }

    /// A destination that is down has hundreds of thousands of retries, nearly all of them later.
    @Test func claimOfDueRetriesDoesNotReadTheOthers() async throws {
        let query = try #require(try NamedQuery.all()["RetryClaim"])
        try await withDatabase { db in
            try await db.run(Self.sessionSettings())
            try await db.run(
                """
                INSERT INTO postrider.webhook_retries (event_id, due_at, destination_id, attempt_number)
                SELECT gen_random_uuid(), now() + n * interval '1 hour', 1, 2 FROM generate_series(-4, 30000) AS n
                """)
            try await db.run("PREPARE RetryClaim AS \(query.sql)")
            let worker = try await db.worker()
            let plan = try await Plan.of("EXECUTE RetryClaim(\(worker), '{1}', '{1000}', \(Self.span))", running: true, in: db)
            #expect(plan.sharedBlocks < 200)
            #expect(try await db.count("postrider.webhook_retries") == 30_000)
        }
    }

    /// Many destinations are loaded portion by portion: none reads what another does, also before the first ANALYZE.
    @Test(arguments: [true, false]) func portionOfDestinationsReadsNoOthers(isAnalyzed: Bool) async throws {
        let query = try #require(try NamedQuery.all()["DestinationLoad"])
        try await withDatabase { db in
            try await db.run(
                """
                INSERT INTO postrider.webhook_destinations (kind, name, url, event_types)
                SELECT 'endpoint', 'e' || n, 'https://example.com/' || n, '{a}' FROM generate_series(1, 20000) AS n
                """)
            if isAnalyzed { try await db.run("ANALYZE postrider.webhook_destinations") }
            // As RoutingStore does.
            try await db.run("BEGIN; \(Self.sessionSettings(isLocal: true))")
            try await db.run("PREPARE DestinationLoad AS \(query.sql)")
            let plan = try await Plan.of("EXECUTE DestinationLoad(NULL, 10000, 1000)", running: true, in: db)
            #expect(plan.sharedBlocks < 100)
        }
    }

    /// Rows that were claimed and cannot be cleaned up, here because the test's own transaction deleted them.
    @Test func claimBeginsBehindDeadRows() async throws {
        let query = try #require(try NamedQuery.all()["EventClaim"])
        try await withDatabase { db in
            try await db.run(Self.sessionSettings())
            try await db.fill()
            try await db.run("PREPARE EventClaim AS \(query.sql)")
            let first = try await db.line("SELECT id FROM postrider.webhook_queue ORDER BY id OFFSET 90000 LIMIT 1")
            try await db.run("BEGIN; DELETE FROM postrider.webhook_queue WHERE id < '\(first)'")
            let behind = try await Plan.of("EXECUTE EventClaim(1, 100, 100, \(Self.bounds(first)))", running: true, in: db)
            let front = try await Plan.of(call("EventClaim", ""), running: true, in: db)
            // 90,000 rows fill 400 pages of the table and as many of its index.
            #expect(front.sharedBlocks > behind.sharedBlocks + 600)
            #expect(try await db.count("postrider.webhook_queue") == 9_800)
        }
    }

    /// Years of history must not make every claim slower: 1.7 µs for each week that is opened.
    @Test(arguments: ["EventClaim", "RetryClaim"]) func claimOpensTheWeeksItNamesAndNoOthers(name: String) async throws {
        let query = try #require(try NamedQuery.all()[name])
        try await withDatabase { db in
            try await db.run(Self.sessionSettings())
            try await db.run(OldWeeks.sql)
            try await db.run("PREPARE \(name) AS \(query.sql)")
            for _ in 0..<10 { try await db.run(call(name, "")) }
            // Planning each claim anew would cost more than opening all weeks.
            #expect(try await db.line("SELECT generic_plans FROM pg_prepared_statements WHERE name = lower('\(name)')") == "10")
            for mode in ["force_generic_plan", "force_custom_plan"] {
                try await db.run("SET plan_cache_mode = \(mode)")
                let weeks = try await Plan.of(call(name, ""), in: db).all.filter { $0.relation?.hasPrefix("webhook_event_log_") == true }
                #expect((1...2).contains(weeks.count), "of 30, \(mode)")
            }
        }
    }

    /// The question that begins every recording, with a history behind it.
    @Test func beginOfASettlementDoesNotReadTheHistory() async throws {
        try await withDatabase { db in
            try await db.run(Self.sessionSettings())
            let call = "SELECT postrider.begin_settlement(1, 1, '01900000-0000-7000-8000-000000000001', 1, 1::smallint, 1)"
            try await db.run("SET plan_cache_mode = force_generic_plan")
            try await db.fill()
            // The first time reads the catalogs of all partitions, and so does one after somebody has changed any of them.
            var fewest = Int.max
            for _ in 1...4 { fewest = min(fewest, try await Plan.of(call, running: true, in: db).sharedBlocks) }
            #expect(fewest < 100)
        }
    }

    /// What the command line asks of one event or delivery, with a history behind it, in a session without settings.
    @Test func questionsAboutOneEventDoNotReadTheHistory() async throws {
        let queries = try NamedQuery.all()
        try await withDatabase { db in
            try await db.fill()
            try await db.run("ANALYZE")
            let known = try await db.line(
                """
                SELECT event_id || '|' || postrider.delivery_id(event_id, destination_id), right(tableoid::regclass::text, 7)
                FROM postrider.webhook_attempts LIMIT 1
                """
            ).split(separator: "|")
            for (name, filter) in [
                ("EventShow", #"{"id": "\#(known[0])"}"#), ("DeliveryShow", #"{"id": "\#(known[1])"}"#),
                ("DeliveryList", #"{"event": "\#(known[0])", "limit": 10}"#),
            ] {
                let sql = try #require(queries[name]).sql.replacingOccurrences(of: "$1", with: "'\(filter)'")
                let read = try await Plan.of(sql, in: db).all.filter { $0.kind == "Seq Scan" }.compactMap(\.relation)
                #expect(read.filter { $0.hasSuffix(known[2]) } == [], "\(name)")
                #expect(!read.contains("webhook_queue"), "\(name)")
            }
        }
    }

    /// Rescues and large payloads run beside the road, in sessions without settings, planned anew each time.
    @Test func rescuesProbeTheLogWithoutSettings() async throws {
        let queries = try NamedQuery.all()
        try await withDatabase { db in
            try await db.fill()
            for analyzed in [false, true] {
                if analyzed { try await db.run("ANALYZE") }
                let ids = try await db.line("SELECT array_agg(id) FROM (SELECT id FROM postrider.webhook_event_log LIMIT 300) AS e")
                for name in ["EventLoad", "DeliverySettled"] {
                    let sql = try #require(queries[name]).sql.replacing("$1", with: "'\(ids)'").replacing("$2", with: "1")
                    let plan = try await Plan.of(sql, in: db)
                    let large = plan.all.filter { $0.kind == "Seq Scan" && $0.relation?.contains(/_(log|attempts)_\d/) == true }
                    // Partitions that are empty are read as they like.
                    let current = try await db.line("SELECT tableoid::regclass::text FROM postrider.webhook_event_log LIMIT 1")
                    let week = current.suffix(7)
                    #expect(large.filter { $0.relation?.hasSuffix(week) == true }.count == 0, "\(name), analyzed: \(analyzed)")
                }
            }
            #expect(!Queries.eventPayload.plannedAnew.prepare)
        }
    }
}
