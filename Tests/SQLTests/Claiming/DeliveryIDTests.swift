// The id of a delivery is worked out twice, in SQL and in Swift, and must be the same.

import Outbox
import Postgres
import Testing

@Suite struct DeliveryIDTests {
    @Test func databaseAndProgramAgreeOnRandomInputs() async throws {
        try await withRollback { db in
            var events = (0..<1000).map { _ in EventID(high: .random(in: 0 ... .max), low: .random(in: 0 ... .max)) }
            var destinations = (0..<1000).map { _ in Int32.random(in: .min ... .max) }
            events += [EventID(high: 0, low: 0), EventID(high: .max, low: .max)]
            destinations += [.max, 0]
            let rows = try await db.query(
                """
                SELECT postrider.delivery_id(e, d)::text
                FROM unnest($1::uuid[], $2::integer[]) WITH ORDINALITY AS u (e, d, n) ORDER BY n
                """,
                [
                    .uuids(events.map { UUIDBytes(high: $0.high, low: $0.low) }), .int4s(destinations),
                ])
            #expect(rows.count == events.count)
            for (index, row) in rows.enumerated() {
                let expected = DeliveryID.text(event: events[index], destination: destinations[index])
                #expect(try row.string(0) == expected)
            }
        }
    }
}
