// A short history in which everything happens once: what the audits are asked about.

import Outbox
import OutboxStore
import Postgres
import Testing

/// A database after a morning of deliveries, failures, a dead worker and a parked destination.
struct Morning {
    let db: TestDatabase
    private(set) var sales: Int32 = 0
    private(set) var billing: Int32 = 0
    private(set) var parked: Int32 = 0
    /// Delivered to billing at once, to sales after two retries.
    let retried: EventID
    /// Delivered to sales, a dead letter at billing.
    let dead: EventID
    /// Delivered to sales by two workers.
    let doubled: EventID
    /// Will be tried again at sales in ten minutes.
    let waiting: EventID
    /// Wait for their first fan-out, low priority.
    let pending: [EventID]
    /// The worker of nearly everything, and one that died holding a claim.
    let alive: Int64
    let lost: Int64

    init(_ db: TestDatabase) async throws {
        self.db = db
        sales = try await db.endpoint("sales", events: "lead.*")
        billing = try await db.endpoint("billing", events: "lead.created")
        parked = try await db.endpoint("parked", events: "deal.*")
        try await db.run(
            """
            INSERT INTO postrider.n8n_workflows (name, webhook_url, event_types, organization_id)
            VALUES ('silent', 'https://n8n.example/webhook/silent', '{lead.created}', 'acme');
            UPDATE postrider.webhook_endpoints SET is_active = false WHERE name = 'parked'
            """)
        let emit = { (type: String, organization: String) in
            try #require(EventID(try await db.line("SELECT postrider.emit('\(type)', '{}', '\(organization)')")))
        }
        alive = try await db.worker("alive")
        lost = try await db.worker("lost")
        retried = try await emit("lead.created", "acme")
        dead = try await emit("lead.created", "acme")
        doubled = try await emit("lead.updated", "acme")
        waiting = try await emit("lead.updated", "beta")
        let unsent = try await emit("deal.won", "beta")
        _ = try await emit("noise.made", "beta")
        let claim = try #require(try await db.claim(alive))

        var first = Settlement()
        first.deliver(retried, billing)
        first.fail(retried, sales, next: .retry(afterMilliseconds: 0), claim: claim.id)
        first.deliver(dead, sales)
        first.fail(dead, billing, next: .dead, claim: claim.id, failure: "certificate", status: nil)
        first.deliver(doubled, sales)
        first.fail(waiting, sales, next: .retry(afterMilliseconds: 600_000), claim: claim.id)
        first.snooze(event: unsent, target: .init(destination: parked, attempt: 1), next: .park, claim: claim.id)
        first.finish(claim: claim.id)
        try await db.settle(first, alive)

        for number: Int16 in 2...3 {
            let retry = try #require(try await db.claimRetries(alive, [(id: sales, most: 9)]))
            var next = Settlement()
            if number == 2 {
                next.fail(
                    retried, sales, number: 2, next: .retry(afterMilliseconds: 0), claim: retry.id, failure: "timeout",
                    status: nil)
            } else {
                next.deliver(retried, sales, number: 3)
            }
            next.finish(claim: retry.id)
            try await db.settle(next, alive)
        }
        var again = Settlement()
        again.deliver(doubled, sales)
        try await db.settle(again, lost)

        try await db.emit(1, "lead.updated")
        _ = try #require(try await db.claim(lost))
        try await db.expire(lost)
        pending = try await db.emitAtOnce(3, "lead.updated", priority: 2)
        // A working worker's heart beats all the time.
        try await db.run("UPDATE postrider.webhook_workers SET lease_until = 'infinity' WHERE id = \(alive)")
    }
}
