// What a worker tells of its connections: real workers, real sockets, real TLS.

import HTTPExchange
import OutboxWorker
import TestSupport
import Testing

extension Scenarios {
    @Suite struct ConnectionScenarios {
        @Test func rowOfAWorkerTellsItsConnectionsAndHandshakes() async throws {
            let outpost = try await Outpost()
            let (keeping, closing) = (try Receiver(), try TLSHost(.close))
            // One request after the other: each connection can begin with the ticket of the one before.
            try await outpost.endpoint(keeping.url("/"), settings: "max_concurrency = 1")
            try await outpost.endpoint(closing.url(.valid), settings: "max_concurrency = 1")
            let row = {
                try await outpost.text(
                    """
                    SELECT concat_ws(' ', requests, connections_opened, connections_reused, tls_handshakes, tls_resumed)
                    FROM postrider.webhook_workers
                    """)
            }
            try await outpost.withWorkers(1, { $0.exchanger.caFile = closing.authority }) {
                try await outpost.emit("a.b", count: 5)
                try await outpost.settled()
                // Five to each; one connection that is kept and five that are not; the first handshake had no session.
                try await eventually("the row to tell") { try await row() == "10 6 4 5 4" }
                try await outpost.emit("a.b")
                try await outpost.settled()
            }
            #expect(try await row() == "12 7 5 6 5", "the last words count too")
        }
    }
}
