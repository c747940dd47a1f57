// Everything that can be set about a worker, with its defaults. Filled by the command line and by tests.

public import HTTPExchange
public import Outbox
public import Postgres

/// How a worker runs. Defaults suit two cores; docs/configuration.md lists the variables.
public struct WorkerSettings: Sendable {
    /// Where Postgres is, for claiming and recording.
    public var database: ConnectionSettings
    /// A direct way to the same database for notifications, heartbeats and locks; nil when ``database`` is direct.
    public var directDatabase: ConnectionSettings?
    /// The exchanger's settings: allowed networks, connection limits, certificate authorities.
    public var exchanger = ExchangerSettings()
    /// Whether plain http is sent to; false.
    public var allowsHTTP = false
    /// Requests in flight at once in all; 512.
    public var maxInFlight = 512
    /// Deliveries in memory at once, in flight and waiting; 2,048. What does not fit stays in Postgres.
    public var maxOutstanding = 2048
    /// Bytes of payload in memory before no more is claimed; 64 MiB.
    public var maxPayloadBytes = 64 << 20
    /// Most events of one claim; 500.
    public var maxClaim = 500
    /// The longest wait between looks at the queue of a worker that hears no notifications; 25 ms. One that hears them looks
    /// each 100 ms, or 250 when it is calm, unless this is longer.
    public var floorPoll = Duration.milliseconds(25)
    /// How long exchanges in flight may go on after a request to stop; 25 s.
    public var shutdownGrace = Duration.seconds(25)
    /// The keys that secrets are sealed with; nil (the default) leaves them as they stand.
    public var secretKeys: KeyRing?
    /// How long before the date of a secret somebody is told; 14 days.
    public var secretWarning = Duration.seconds(14 * 86_400)
    /// What destinations may use of this process: variables, proxies, files; nothing (the default).
    public var grants = ProcessGrants.none
    /// How old what was read of files that destinations name may be before they are read again; 55 s, so that a file that
    /// was replaced counts within a minute, the load included.
    public var fileAge = Duration.seconds(55)
    /// Whether to refrain from NOTIFY, LISTEN and session locks altogether: only polling and leases; false. A worker
    /// without a direct connection does so by itself.
    public var isDeaf = false

    /// Settings with defaults for everything but the database.
    public init(database: ConnectionSettings) { self.database = database }
}
