// Drives a replay, one batch after the other. Called by `postrider replay`; anybody else may call the SQL function
// replay_batch instead, at the same time too.

public import Outbox
public import Postgres

/// The statements with which a driver of a replay moves it on.
public enum ReplayStore {
    /// Most deliveries of one batch; 1,000 take a few hundredths of a second.
    public static let batch: Int32 = 1_000

    /// How a replay goes on after a batch.
    public struct Step: Sendable, Equatable {
        /// Deliveries that the batch scheduled.
        public let scheduled: Int
        /// running, paused, done, cancelled or failed.
        public let state: String
        /// How long to wait before the next batch; zero when it may come at once.
        public let wait: Duration

        /// Makes a step.
        public init(scheduled: Int, state: String, wait: Duration) {
            self.scheduled = scheduled
            self.state = state
            self.wait = wait
        }
    }

    /// Schedules the next batch in one transaction, as much as the replay's rate allows.
    ///
    /// Whoever is killed on the way has either scheduled the batch and moved the replay's place, or neither. Any number of
    /// drivers may work on one replay: they take turns.
    ///
    /// - Parameters:
    ///   - replay: the replay, `webhook_replays.id`.
    ///   - most: deliveries at most.
    ///   - reading: of a backfill, makes of the text of the destination's payload filter what is asked for each event. Called with
    ///     each batch, since the filter may be changed meanwhile; not while there is none.
    ///   - connection: one's own, for the transaction.
    /// - Returns: what became of it; nothing is scheduled when the replay is not running.
    /// - Throws: `PostgresError`, with SQLSTATE P0002 when there is no such replay; what `reading` and the filter throw.
    public static func next(
        _ replay: Int64, most: Int32 = batch, reading: ((_ filter: String) throws -> (Event) throws -> Bool)? = nil,
        on connection: Connection
    ) async throws -> Step {
        guard let reading else {
            return try step(await connection.query(Queries.replayBatch.plannedAnew, [.int8(replay), .int4(most)]))
        }
        return try await Transaction.run(on: connection) {
            let rows = try await connection.query(Queries.replayNext.plannedAnew, [.int8(replay), .int4(most)])
            let batch = try Batch(rows[0])
            guard batch.isWorthScheduling else {
                return Step(scheduled: 0, state: batch.state, wait: .milliseconds(batch.wait))
            }
            let wanted =
                if let filter = batch.filter {
                    try await wanted(batch, reading(filter), on: connection)
                } else {
                    Array(batch.events.indices)
                }
            let answer = try await connection.query(
                Queries.replaySchedule.plannedAnew, batch.parameters(of: replay, only: wanted))
            let step = try step(answer)
            return Step(
                scheduled: step.scheduled, state: step.state, wait: max(step.wait, .milliseconds(batch.wait)))
        }
    }

    private static func step(_ rows: Rows) throws -> Step {
        Step(
            scheduled: try rows[0].int(0), state: try rows[0].string(1),
            wait: .milliseconds(try rows[0].int64(2)))
    }

    /// The places in a batch of the events that a filter admits.
    private static func wanted(
        _ batch: Batch, _ admits: (Event) throws -> Bool, on connection: Connection
    ) async throws -> [Int] {
        guard !batch.events.isEmpty else { return [] }
        let rows = try await connection.query(Queries.eventLoad.plannedAnew, [.uuids(batch.events)])
        var admitted: Set<UUIDBytes> = []
        for row in rows {
            let work = try EventRow.work(row, first: 0, target: nil)
            var event = work.event
            if work.isHeavy {
                switch try await ClaimStore.payload(of: event.id, on: connection) {
                case .data(let data): event.data = data
                // The delivery says why it fails.
                case .tooLarge: admitted.insert(event.id.uuid); continue
                // ReplaySchedule leaves it out and counts it.
                case .gone: continue
                }
            }
            if try admits(event) { admitted.insert(event.id.uuid) }
        }
        return batch.events.indices.filter { admitted.contains(batch.events[$0]) }
    }

    /// What `ReplayNext` gives.
    private struct Batch {
        let state: String
        /// Milliseconds.
        let wait: Int64
        let events: [UUIDBytes]
        let destinations: [Int32]
        let attempts: [Int16]
        let withoutPayload: Int32
        let doneEvent: UUIDBytes
        let doneDestination: Int32
        let isLast: Bool
        /// The payload filter; nil without one.
        let filter: String?

        init(_ row: Row) throws {
            state = try row.string(0)
            wait = try row.int64(1)
            events = try row.uuids(2)
            destinations = try row.int4s(3)
            attempts = try row.int2s(4)
            withoutPayload = Int32(try row.int(5))
            doneEvent = try row.uuid(6)
            doneDestination = Int32(try row.int(7))
            isLast = try row.bool(8)
            filter = try row.stringOrNil(9)
        }

        /// Whether it moves the replay's place.
        var isWorthScheduling: Bool {
            state == "running" && (isLast || wait == 0 || !events.isEmpty || withoutPayload > 0)
        }

        func parameters(of replay: Int64, only wanted: [Int]) -> [Value] {
            [
                .int8(replay), .uuids(wanted.map { events[$0] }), .int4s(wanted.map { destinations[$0] }),
                .int2s(wanted.map { attempts[$0] }), .int4(withoutPayload), .int4(Int32(events.count - wanted.count)),
                .uuid(doneEvent), .int4(doneDestination), .bool(isLast),
            ]
        }
    }
}
