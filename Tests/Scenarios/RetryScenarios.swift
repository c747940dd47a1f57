// What happens when receivers fail: retries at due dates, dead letters, parking, patience.

import Foundation
import HTTPExchange
import OutboxWorker
import Postgres
import TestSupport
import Testing

extension Scenarios {
    @Suite struct RetryScenarios {
        /// Short waits, so that a test sees five of them.
        private static let quick = "base_delay_ms = 40, max_delay_ms = 200, jitter = 0"

        @Test func failedDeliveryIsRetriedUntilItSucceeds() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, place in place < 3 ? .status(500) : .ok }
            try await outpost.endpoint(receiver.url(), settings: Self.quick)
            try await outpost.withWorkers {
                let id = try await outpost.emit("a.b")[0]
                try await receiver.wait(for: 4)
                try await outpost.settled()
                let row = try await outpost.sql(
                    "SELECT status, retry_count, error_message FROM postrider.webhook_events")[
                        0]
                #expect(try row.string(0) == "completed")
                #expect(try row.int(1) == 3)
                #expect(try row.string(2).contains("500"))
                #expect(Set(receiver.received.map(\.id)) == [id])
                #expect(Set(receiver.received.map(\.body)).count == 1)
            }
            let attempts = try await outpost.sql(
                "SELECT attempt_number, outcome, next_retry_at >= attempted_at FROM postrider.webhook_attempts ORDER BY 1"
            )
            #expect(try attempts.map { try $0.int(0) } == [1, 2, 3, 4])
            #expect(try attempts.map { try $0.int(1) } == [1, 1, 1, 0])
            #expect(try attempts.prefix(3).allSatisfy { try $0.bool(2) })
        }

        @Test func lastFailureMakesADeadLetter() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, _ in .status(503) }
            try await outpost.endpoint(receiver.url(), settings: "delays_ms = '{20,30}', jitter = 0")
            try await outpost.withWorkers {
                try await outpost.emit("a.b")
                try await receiver.wait(for: 3)
                try await outpost.settled()
            }
            #expect(receiver.received.count == 3)
            let letter = try await outpost.sql(
                "SELECT attempts, failure, error_message FROM postrider.webhook_dead_letters")
            #expect(letter.count == 1)
            #expect(try letter[0].int(0) == 3)
            #expect(try letter[0].string(1) == "unavailable")
            #expect(try await outpost.text("SELECT status FROM postrider.webhook_events") == "failed")
            #expect(try await outpost.text("SELECT status FROM postrider.webhook_deliveries") == "failed")
        }

        /// Retries and parked first attempts of the organization before: the receiver may be another one's by now.
        @Test(arguments: [true, false]) func endpointOfAnotherOrganizationGetsNothingOfTheOneBefore(isParked: Bool) async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, place in place == 0 && !isParked ? .status(500) : .ok }
            let settings = "delays_ms = '{200}', jitter = 0, organization_id = 'acme', is_active = \(!isParked)"
            let id = try await outpost.endpoint(receiver.url(), settings: settings)
            try await outpost.withWorkers {
                try await outpost.sql("SELECT postrider.emit('a.b', '{\"of\": \"acme\"}', organization_id => 'acme')")
                try await eventually("the delivery to wait") { try await outpost.count("postrider.webhook_retries") == 1 }
                try await outpost.sql(
                    "UPDATE postrider.webhook_endpoints SET organization_id = 'beta', is_active = true WHERE destination_id = \(id)")
                try await outpost.settled()
                try await outpost.sql("SELECT postrider.emit('a.b', '{\"of\": \"beta\"}', organization_id => 'beta')")
                try await eventually("the event of the other one to arrive") {
                    receiver.received.contains { ($0.json["data"] as? [String: String])?["of"] == "beta" }
                }
                try await outpost.settled()
            }
            #expect(receiver.received.count == (isParked ? 1 : 2))
            let told = try await outpost.sql(
                "SELECT status, failure, attempt_count FROM postrider.webhook_deliveries ORDER BY created_at, webhook_event_id")
            #expect(try told.map { try $0.string(0) } == ["skipped", "success"])
            #expect(try told[0].string(1) == "scope")
            #expect(try told[0].int(2) == (isParked ? 1 : 2))
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 2)
            #expect(try await outpost.count("postrider.webhook_dead_letters") == 0)
        }

        @Test func dueDatesAreVisibleAndComputedByTheDatabase() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, _ in .status(500) }
            try await outpost.endpoint(receiver.url())
            try await outpost.withWorkers {
                try await outpost.emit("a.b")
                try await eventually("a retry to be scheduled") {
                    try await outpost.count("postrider.webhook_retries") == 1
                }
                let seconds = try await outpost.sql(
                    """
                    SELECT extract(epoch FROM r.due_at - a.attempted_at)::float8
                    FROM postrider.webhook_retries AS r, postrider.webhook_attempts AS a
                    """)[0]
                    .double(0)
                // 30 s and up to a tenth of jitter, and the time it took to record the attempt.
                #expect(seconds > 29.5 && seconds < 40)
                #expect(try await outpost.text("SELECT status FROM postrider.webhook_events") == "processing")
                #expect(
                    try await outpost.count(
                        "postrider.webhook_deliveries WHERE status = 'pending' AND next_retry_at > now()") == 1)
            }
        }

        @Test func retryAfterPostponesTheRetryAndTheDestination() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, place in place == 0 ? Reply(status: 429, headers: ["Retry-After: 2"]) : .ok
            }
            try await outpost.endpoint(receiver.url(), settings: Self.quick)
            try await outpost.withWorkers {
                try await outpost.emit("a.first")
                try await receiver.wait(for: 1)
                try await eventually("the retry to be scheduled") {
                    try await outpost.count("postrider.webhook_retries") == 1
                }
                try await outpost.emit("a.second")
                try await receiver.wait(for: 3)
                try await outpost.settled()
            }
            let times = receiver.received.map(\.arrivedAt)
            #expect(times[1] - times[0] >= 1_900_000_000)
            #expect(times[2] - times[0] >= 1_900_000_000)
        }

        @Test func finalStatusIsNotRetried() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, _ in .status(422) }
            try await outpost.endpoint(receiver.url(), settings: "final_statuses = '4xx'")
            try await outpost.withWorkers {
                try await outpost.emit("a.b")
                try await receiver.wait(for: 1)
                try await outpost.settled()
            }
            #expect(receiver.received.count == 1)
            #expect(try await outpost.count("postrider.webhook_dead_letters WHERE attempts = 1") == 1)
        }

        @Test func inactiveN8nWorkflowIsRetriedWithoutBlame() async throws {
            let outpost = try await Outpost()
            let inactive =
                #"{"code":404,"message":"The requested webhook \"POST agent-created\" is not registered.","hint":"x"}"#
            let receiver = try Receiver { _, place in place < 2 ? Reply(status: 404, body: inactive) : .ok }
            try await outpost.sql(
                "INSERT INTO postrider.n8n_workflows (name, webhook_url, event_types, base_delay_ms, jitter) VALUES ('w', $1, '{agent.created}', 30, 0)",
                [.text(receiver.url("/webhook/agent-created"))])
            try await outpost.withWorkers {
                try await outpost.emit("agent.created", data: #"{"agent": "Bot"}"#)
                try await receiver.wait(for: 3)
                try await outpost.settled()
            }
            #expect(receiver.received.allSatisfy { $0.headers["content-type"] == "application/json" })
            #expect(try await outpost.count("postrider.webhook_attempts WHERE failure = 'workflow_inactive'") == 2)
            #expect(try await outpost.text("SELECT status FROM postrider.webhook_events") == "completed")
        }

        @Test func goneReceiverIsDisabledAndItsDeliveriesWait() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver { _, place in place == 0 ? .status(410) : .ok }
            let id = try await outpost.endpoint(receiver.url())
            try await outpost.withWorkers {
                try await outpost.emit("a.first")
                try await eventually("the endpoint to be disabled") {
                    try await outpost.count(
                        "postrider.webhook_endpoints WHERE NOT is_active AND inactive_reason = 'gone'")
                        == 1
                }
                try await outpost.emit("a.second")
                try await eventually("both deliveries to be parked") {
                    try await outpost.count("postrider.webhook_retries WHERE due_at = 'infinity'") == 2
                }
                #expect(receiver.received.count == 1)
                try await outpost.sql("UPDATE postrider.webhook_destinations SET is_active = true WHERE id = \(id)")
                try await receiver.wait(for: 3)
                try await outpost.settled()
            }
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == 2)
        }

        @Test func refusedAddressIsNeverDialled() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url(), settings: "max_attempts = 1")
            try await outpost.withWorkers(1, { $0.exchanger.addressGuard = .init() }) {
                try await outpost.emit("a.b")
                try await outpost.settled()
            }
            #expect(receiver.received.isEmpty)
            #expect(try await outpost.count("postrider.webhook_attempts WHERE failure = 'refused_address'") == 1)
        }

        @Test func plainHTTPIsRefusedUnlessAllowed() async throws {
            let outpost = try await Outpost()
            let receiver = try Receiver()
            try await outpost.endpoint(receiver.url(), settings: "max_attempts = 1")
            try await outpost.withWorkers(1, { $0.allowsHTTP = false }) {
                try await outpost.emit("a.b")
                try await outpost.settled()
            }
            #expect(receiver.received.isEmpty)
            #expect(try await outpost.count("postrider.webhook_dead_letters WHERE failure = 'invalid_request'") == 1)
        }

        @Test func nothingIsLostWhenReceiversFailAtRandom() async throws {
            let outpost = try await Outpost()
            // Three requests of ten, whosever turn it is; never so many in a row that the breaker opens.
            let receiver = try Receiver { _, place in
                switch place * 7 % 10 {
                case 0: .status(500)
                case 1: .status(503)
                case 2: Reply(hangsUp: true)
                default: .ok
                }
            }
            try await outpost.endpoint(
                receiver.url(), settings: "max_attempts = 50, base_delay_ms = 10, max_delay_ms = 50")
            var ids: Set<String> = []
            try await outpost.withWorkers(3) {
                for round in 0..<30 {
                    try await outpost.sql("BEGIN")
                    let batch = try await outpost.emit("ledger.entry", count: 20)
                    let isKept = round % 3 != 2
                    try await outpost.sql(isKept ? "COMMIT" : "ROLLBACK")
                    if isKept { ids.formUnion(batch) }
                }
                try await outpost.settled(within: .seconds(60))
            }
            let arrived = Set(receiver.received.map(\.id))
            #expect(arrived == ids)
            #expect(try await outpost.count("postrider.webhook_events WHERE status = 'completed'") == ids.count)
            #expect(try await outpost.count("postrider.webhook_attempts WHERE outcome = 0") == ids.count)
            // A request on a kept connection that ends without a byte of answer is repeated at once by the client, because a
            // server may have closed an idle connection: such an attempt arrives twice and is recorded once.
            let failed = try await outpost.count("postrider.webhook_attempts WHERE outcome = 1")
            #expect(failed > 0 && failed <= receiver.received.count - ids.count)
        }
    }
}
