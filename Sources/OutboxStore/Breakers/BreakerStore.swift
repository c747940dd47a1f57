// What workers tell each other about destinations that fail. Called by the worker's breaker keeper.

public import Postgres

/// Something the other workers should know about a destination.
public struct BreakerReport: Sendable, Equatable {
    /// The destination, `webhook_destinations.id`.
    public let destination: Int32
    /// Whether its breaker opens; otherwise only its failures are counted.
    public var opens: Bool
    /// For how long its receiver asked to be left alone; zero when it did not.
    public var pause: Duration
    /// For how long there has been nothing but failure.
    public var failingFor: Duration
    /// Class of the last failure; nil for none.
    public let failure: String?

    /// Makes a report.
    public init(destination: Int32, opens: Bool, pause: Duration, failingFor: Duration, failure: String?) {
        self.destination = destination
        self.opens = opens
        self.pause = pause
        self.failingFor = failingFor
        self.failure = failure
    }
}

/// One row of `webhook_breakers`, as a worker needs it.
public struct BreakerRow: Sendable, Equatable {
    /// The destination, `webhook_destinations.id`.
    public let destination: Int32
    /// For how long nothing may be sent; zero for none.
    public let pause: Duration
    /// Whether the breaker has opened, so that only a probe may be sent after the pause.
    public let isOpen: Bool
    /// Whether this worker may send the probe.
    public let mayProbe: Bool

    /// Makes a row.
    public init(destination: Int32, pause: Duration, isOpen: Bool, mayProbe: Bool) {
        self.destination = destination
        self.pause = pause
        self.isOpen = isOpen
        self.mayProbe = mayProbe
    }
}

/// The statements of `sql/queries/breakers.sql`.
public enum BreakerStore {
    /// Tells of destinations that fail (`BreakerReport`), and makes those inactive that have failed for as long as they may
    /// (`BreakerDisable`).
    ///
    /// - Parameter reports: at least one, each destination once.
    /// - Returns: the destinations that were made inactive.
    /// - Throws: `PostgresError`.
    public static func report(
        _ reports: [BreakerReport], on connection: Connection
    ) async throws -> [Int32] {
        let answer = try await connection.query(
            Queries.breakerReport,
            [
                .int4s(reports.map(\.destination)), .bools(reports.map(\.opens)),
                .int8s(reports.map { milliseconds($0.pause) }), .int8s(reports.map { milliseconds($0.failingFor) }),
                .texts(reports.map { $0.failure }),
            ])
        let overdue = try answer.filter { try $0.bool(1) }.map { try id($0) }
        guard !overdue.isEmpty else { return [] }
        return try await connection.query(Queries.breakerDisable, [.int4s(overdue)]).map { try id($0) }
    }

    /// Tells of destinations that work again (`BreakerClose`).
    ///
    /// - Throws: `PostgresError`.
    public static func close(_ destinations: [Int32], on connection: Connection) async throws {
        _ = try await connection.query(Queries.breakerClose, [.int4s(destinations)])
    }

    /// Looks at all breakers, and takes the probes of those whose pause is over (`BreakerLook`).
    ///
    /// - Parameters:
    ///   - worker: who may send the probes then.
    ///   - shut: destinations to which it cannot send; nil when it sends nothing any more, and takes no probe.
    ///   - connection: where to ask.
    /// - Throws: `PostgresError`.
    public static func look(
        worker: Int64, except shut: Set<Int32>? = [], on connection: Connection
    ) async throws -> [BreakerRow] {
        let shut = shut.map { Value.int4s($0.sorted()) } ?? .null
        return try await connection.query(Queries.breakerLook, [.int8(worker), shut])
            .map { try row($0, mayProbe: $0.bool(3)) }
    }

    private static func id(_ row: Row) throws -> Int32 { Int32(try row.int(0)) }

    private static func row(_ row: Row, mayProbe: Bool) throws -> BreakerRow {
        BreakerRow(
            destination: try id(row), pause: .milliseconds(try row.int64(1)), isOpen: try row.int(2) > 0,
            mayProbe: mayProbe)
    }

    private static func milliseconds(_ duration: Duration) -> Int64 {
        duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
    }
}
