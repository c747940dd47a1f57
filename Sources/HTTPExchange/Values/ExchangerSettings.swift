// What is here: the settings of an Exchanger, fixed for its lifetime.
// Called by: whoever makes one.

/// Settings of an `Exchanger`.
public struct ExchangerSettings: Sendable {
    /// Judges every address before it is dialed. Default: public addresses only.
    public var addressGuard: AddressGuard

    /// Connections open at once; further requests wait, within their own timeout. Default 512.
    public var maxConnections: Int

    /// Connections open at once to one host and port; 0 for no limit. Default 0: the caller caps its concurrency.
    public var maxConnectionsPerHost: Int

    /// `User-Agent` of requests that bring none; nil sends none. Default nil.
    public var userAgent: String?

    /// Whether HTTP/2 is offered to `https` receivers (ALPN). Default true.
    public var http2: Bool

    /// A PEM file of trusted authorities instead of the system's. Default nil.
    public var caFile: String?

    /// How long a name's addresses stand before they are looked up again. Default 60 s.
    ///
    /// For as long again they are still used while the new lookup runs, so that a steady receiver never waits for it.
    public var dnsCache: Duration

    /// How long a failed lookup stands. Default 1 s.
    public var dnsFailureCache: Duration

    /// How long a connection may be idle and still be used again. Default 60 s.
    public var idleConnectionAge: Duration

    /// How old a connection may be and still be used again, so that a receiver that moves is followed. Default 600 s.
    public var connectionLifetime: Duration

    /// Lower-case names of the answer's headers that are kept.
    /// Default `retry-after`, `content-type`, `webhook-delivery`.
    public var keptHeaders: [String]

    /// Settings with the defaults of every property that is not given.
    public init(
        addressGuard: AddressGuard = AddressGuard(), maxConnections: Int = 512, maxConnectionsPerHost: Int = 0,
        userAgent: String? = nil, http2: Bool = true, caFile: String? = nil, dnsCache: Duration = .seconds(60),
        dnsFailureCache: Duration = .seconds(1), idleConnectionAge: Duration = .seconds(60),
        connectionLifetime: Duration = .seconds(600),
        keptHeaders: [String] = ["retry-after", "content-type", "webhook-delivery"]
    ) {
        self.addressGuard = addressGuard
        self.maxConnections = maxConnections
        self.maxConnectionsPerHost = maxConnectionsPerHost
        self.userAgent = userAgent
        self.http2 = http2
        self.caFile = caFile
        self.dnsCache = dnsCache
        self.dnsFailureCache = dnsFailureCache
        self.idleConnectionAge = idleConnectionAge
        self.connectionLifetime = connectionLifetime
        self.keptHeaders = keptHeaders
    }
}

/// Why an `Exchanger` could not be made.
public struct ExchangerError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What was tried, in a few words.
    public let operation: String

    /// The `errno` or curl code that came back.
    public let code: Int32

    /// Operation and code in one line.
    public var description: String { "cannot start the HTTP exchanger: \(operation) failed with code \(code)" }
}
