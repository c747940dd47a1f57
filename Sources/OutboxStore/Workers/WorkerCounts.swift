// What a worker has counted of its HTTP requests, as its row in webhook_workers shows it. Told with each heartbeat.

internal import Postgres

/// HTTP requests and connections of one life of a worker, since it began.
public struct WorkerCounts: Sendable, Hashable {
    /// Requests that ended, whatever their outcome.
    public var requests = 0
    /// Connections dialled.
    public var connectionsOpened = 0
    /// Requests that went over a connection already open.
    public var connectionsReused = 0
    /// TLS handshakes that succeeded.
    public var tlsHandshakes = 0
    /// Those of them that resumed an earlier session.
    public var tlsResumed = 0

    /// Nothing counted.
    public init() {}

    /// The parameters of a statement, in the order of `WorkerHeartbeat`.
    var values: [Value] {
        [requests, connectionsOpened, connectionsReused, tlsHandshakes, tlsResumed].map { .int8(Int64($0)) }
    }
}
