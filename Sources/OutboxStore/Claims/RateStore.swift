// Permits of destinations with a rate, which all workers draw from one bucket in Postgres. Steps of the worker's pipeline.

public import Outbox
public import Postgres

/// How many permits a worker could use now.
public struct RateDemand: Sendable {
    /// The destination, `webhook_destinations.id`.
    public let destination: Int32
    /// How many, at least 1.
    public let wanted: Int32
    /// Its rate.
    public let rate: RateLimit

    /// Makes a demand.
    public init(destination: Int32, wanted: Int32, rate: RateLimit) {
        self.destination = destination
        self.wanted = wanted
        self.rate = rate
    }
}

/// What a worker got.
public struct RateGrant: Sendable {
    /// The destination.
    public let destination: Int32
    /// How many requests it may send now, 0 or more.
    public let permits: Int32
    /// Milliseconds until there is another permit; 0 when there is one left.
    public let nextIn: Int64

    /// Makes a grant.
    public init(destination: Int32, permits: Int32, nextIn: Int64) {
        self.destination = destination
        self.permits = permits
        self.nextIn = nextIn
    }
}

/// The bucket of tokens of each destination with a rate.
public enum RateStore {
    /// Takes permits, as many as there are (`RateTake`).
    ///
    /// - Parameter demands: ascending by destination, each once, so that two workers lock the rows in one order.
    public static func take(_ demands: [RateDemand]) -> Step {
        Step(
            Queries.rateTake,
            [
                .int4s(demands.map(\.destination)), .int4s(demands.map(\.wanted)),
                .float8s(demands.map(\.rate.perSecond)), .float8s(demands.map(\.rate.burst)),
            ])
    }

    /// Reads the rows of ``take(_:)``.
    ///
    /// - Throws: `PostgresError` when a row is not of the expected shape.
    public static func read(_ rows: Rows) throws -> [RateGrant] {
        try (0..<rows.count).map { index in
            let row = rows[index]
            return RateGrant(
                destination: Int32(try row.int(0)), permits: Int32(try row.int(1)), nextIn: try row.int64(2))
        }
    }
}
