// Requests of commands that read or change as much as there is: they have more time than others.

import OutboxStore
import Postgres
import Testing

@Suite struct AdminTimeTests {
    /// The answer to a request on a connection that gives other questions a second.
    private func answer(_ request: AdminRequest, _ document: String, _ db: TestDatabase) async throws -> String {
        var settings = ConnectionSettings(url: db.url)
        settings.queryTimeout = .seconds(1)
        let connection = try await Connection.open(settings)
        let rows: [[UInt8]]
        do {
            rows = try await AdminStore.run(request, Array(document.utf8), on: connection)
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
        return rows.first.map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// It reads every event of the time, and there may be hundreds of millions.
    @Test func replaysAreCountedToTheEnd() async throws {
        try await withDatabase { db in
            try await db.run(
                """
                CREATE OR REPLACE FUNCTION postrider.count_replay(criteria jsonb, OUT count bigint, OUT without_payload bigint,
                    OUT plan postrider.webhook_replays) LANGUAGE plpgsql VOLATILE AS $$
                BEGIN
                    PERFORM pg_sleep(3);
                    count := 7;
                END
                $$
                """)
            #expect(try await answer(.replayPlan, #"{"what": "deliveries"}"#, db).contains(#""count": 7"#))
        }
    }

    /// What was parked is made due one by one, and there may be millions.
    @Test func endpointIsEnabledHoweverMuchWaitsForIt() async throws {
        try await withDatabase { db in
            try await db.endpoint(settings: "is_active = false")
            try await db.run(
                """
                CREATE FUNCTION public.slowly() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    PERFORM pg_sleep(3);
                    RETURN NULL;
                END
                $$;
                CREATE TRIGGER slowly AFTER UPDATE ON postrider.webhook_destinations
                    FOR EACH ROW EXECUTE FUNCTION public.slowly()
                """)
            let id = try await db.line("SELECT id FROM postrider.webhook_endpoints")
            _ = try await answer(.endpointUpdate, #"{"id": "\#(id)", "is_active": true}"#, db)
            #expect(try await db.line("SELECT is_active FROM postrider.webhook_endpoints") == "t")
        }
    }
}
