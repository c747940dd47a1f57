// What workers tell each other about destinations that fail. Called by the worker's breaker keeper.

public import Postgres

/// Something the other workers should know about a destination.
public struct BreakerReport: Sendable, Equatable {
    /// The destination, `webhook_destinations.id`.
    public let destination: Int32
    /// The URL that failed: one that is given another meanwhile is not blamed for it.
    public let url: String
    /// Whether its breaker opens; otherwise only its failures are counted.
    public var opens: Bool
    /// For how long its receiver asked to be left alone; zero when it did not.
    public var pause: Duration
    /// For how long there has been nothing but failure.
    public var failingFor: Duration
    /// Class of the last failure; nil for none.
    public let failure: String?

    /// Makes a report.
    public init(
        destination: Int32, url: String, opens: Bool, pause: Duration, failingFor: Duration, failure: String?
    ) {
        self.destination = destination
        self.url = url
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
    /// Whether this worker may send the probe from now on.
    public let mayProbe: Bool
    /// Whether it was told so before, and the probe is still its.
    public let holdsProbe: Bool

    /// Makes a row.
    public init(destination: Int32, pause: Duration, isOpen: Bool, mayProbe: Bool, holdsProbe: Bool = false) {
        self.destination = destination
        self.pause = pause
        self.isOpen = isOpen
        self.mayProbe = mayProbe
        self.holdsProbe = holdsProbe
    }
}

/// The statements of `sql/queries/breakers.sql`.
public enum BreakerStore {
    /// Tells of destinations that fail (`BreakerReport`), and makes those inactive that have failed for as long as they may
    /// (`BreakerDisable`).
    ///
    /// - Parameter reports: at least one, each destination once.
    /// - Returns: the destinations that were made inactive, and those of which nothing could be told because somebody holds
    ///   their row, as an `UPDATE` that is not committed does. Of those that were deleted or have another URL nothing is told.
    /// - Throws: `PostgresError`.
    public static func report(
        _ reports: [BreakerReport], on connection: Connection
    ) async throws -> (disabled: [Int32], held: Set<Int32>) {
        let answer = try await connection.query(
            Queries.breakerReport,
            [
                .int4s(reports.map(\.destination)), .bools(reports.map(\.opens)),
                .int8s(reports.map { milliseconds($0.pause) }), .int8s(reports.map { milliseconds($0.failingFor) }),
                .texts(reports.map { $0.failure }), .texts(reports.map(\.url)),
            ])
        let held = Set(try answer.filter { try !$0.bool(1) }.map { try id($0) })
        let overdue = try answer.filter { try $0.bool(2) }.map { try id($0) }
        let disabled = overdue.isEmpty ? [] : try await disable(overdue, on: connection)
        return (disabled, held)
    }

    /// None when somebody who changes destinations is not done yet: the next failures of these ask again.
    private static func disable(_ overdue: [Int32], on connection: Connection) async throws -> [Int32] {
        do {
            return try await connection.query(Queries.breakerDisable, [.int4s(overdue)]).map { try id($0) }
        } catch let error as PostgresError where error.sqlState == "55P03" {
            return []
        }
    }

    /// Tells of destinations that work again (`BreakerClose`).
    ///
    /// - Returns: those of which it could not be told because somebody holds their breaker's row.
    /// - Throws: `PostgresError`.
    @discardableResult
    public static func close(_ destinations: [Int32], on connection: Connection) async throws -> Set<Int32> {
        Set(try await connection.query(Queries.breakerClose, [.int4s(destinations)]).map { try id($0) })
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
            .map { try row($0) }
    }

    private static func id(_ row: Row) throws -> Int32 { Int32(try row.int(0)) }

    private static func row(_ row: Row) throws -> BreakerRow {
        BreakerRow(
            destination: try id(row), pause: .milliseconds(try row.int64(1)), isOpen: try row.int(2) > 0,
            mayProbe: try row.bool(3), holdsProbe: try row.bool(4))
    }

    private static func milliseconds(_ duration: Duration) -> Int64 {
        duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
    }
}
