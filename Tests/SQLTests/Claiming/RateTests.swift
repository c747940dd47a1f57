// The bucket of tokens of a destination, by a clock that may be set back.

import Outbox
import OutboxStore
import Postgres
import Testing

@Suite struct RateTests {
    /// What a destination may send now of so many requests, at 5 a second.
    private func take(_ db: TestDatabase, wanted: Int32 = 10) async throws -> Int32? {
        let demand = RateDemand(destination: 1, wanted: wanted, rate: try RateLimit(perSecond: 5, burst: 10))
        return try RateStore.read(try await db.connection.pipeline([RateStore.take([demand])])[0]).first?.permits
    }

    private func setBack(_ db: TestDatabase, by interval: String) async throws {
        try await db.run("UPDATE postrider.webhook_rates SET refilled_at = clock_timestamp() + interval '\(interval)'")
    }

    @Test func clockThatWentBackFarStopsNobodyForLong() async throws {
        try await withDatabase { db in
            #expect(try await take(db) == 10)
            try await setBack(db, by: "1 year")
            #expect(try await take(db) == 0)
            #expect(try await db.count("postrider.webhook_rates WHERE refilled_at <= clock_timestamp()") == 1)
            // As if two seconds had passed since.
            try await setBack(db, by: "-2 seconds")
            #expect(try await take(db) == 10)
        }
    }

    @Test func clockThatWentBackALittleGivesNothingTwice() async throws {
        try await withDatabase { db in
            #expect(try await take(db) == 10)
            try await setBack(db, by: "30 seconds")
            let refilled = try await db.line("SELECT refilled_at FROM postrider.webhook_rates")
            #expect(try await take(db) == 0)
            #expect(try await db.line("SELECT refilled_at FROM postrider.webhook_rates") == refilled)
        }
    }

    /// Else a burst would be as large as the time since the last, or the demand.
    @Test func noMoreThanABurstIsGrantedHoweverMuchIsWanted() async throws {
        try await withDatabase { db in
            #expect(try await take(db, wanted: 100) == 10, "at first")
            try await setBack(db, by: "-1 hour")
            #expect(try await take(db, wanted: 100) == 10, "after an hour")
            #expect(try await db.count("postrider.webhook_rates WHERE tokens BETWEEN 0 AND 0.001") == 1, "nothing is left of it")
        }
    }

    @Test func whatOneWorkerLeavesIsForTheNext() async throws {
        try await withDatabase { db in
            #expect(try await take(db, wanted: 4) == 4)
            // The clock stands still: it is ahead of the database's by less than a minute.
            try await setBack(db, by: "30 seconds")
            #expect(try await take(db) == 6)
            #expect(try await take(db) == 0)
            // Half a request is none; it is whole in a tenth of a second.
            try await db.run("UPDATE postrider.webhook_rates SET tokens = 3.5")
            #expect(try await take(db) == 3)
            #expect(try await db.count("postrider.webhook_rates WHERE tokens = 0.5") == 1)
        }
    }

    /// A worker that is told too early asks in vain; told too late it sends less than the rate.
    @Test func nextPermitIsToldToTheMillisecond() async throws {
        try await withDatabase { db in
            func nextIn(wanted: Int32) async throws -> Int64? {
                let demand = RateDemand(destination: 1, wanted: wanted, rate: try RateLimit(perSecond: 2, burst: 5))
                return try RateStore.read(try await db.connection.pipeline([RateStore.take([demand])])[0]).first?.nextIn
            }
            #expect(try await nextIn(wanted: 4) == 0, "one is left")
            #expect(try await nextIn(wanted: 0) == 0)
            // The clock stands still: it is ahead of the database's by less than a minute.
            try await setBack(db, by: "30 seconds")
            try await db.run("UPDATE postrider.webhook_rates SET tokens = 1")
            #expect(try await nextIn(wanted: 5) == 500)
            try await db.run("UPDATE postrider.webhook_rates SET tokens = 0.75")
            #expect(try await nextIn(wanted: 5) == 125)
        }
    }
}
