// What is here: the settings of an Exchanger, fixed for its lifetime.
// Called by: whoever makes one.

internal import CLibCurl

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

    /// Whether HTTP/2 is offered to `https` receivers (ALPN). Default ``endsStreams(libcurl:)`` of the libcurl that is loaded.
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
    ///
    /// A plain connection that its receiver closes is closed at once. One over TLS has the receiver's goodbye to read first: it
    /// stays (CLOSE_WAIT) until this time is over and a further request to anybody begins, when libcurl closes all that are too
    /// old (`CURLOPT_MAXAGE_CONN`). So without requests at most ``maxConnections`` stay.
    public var idleConnectionAge: Duration

    /// How old a connection may be and still be used again, so that a receiver that moves is followed. Default 600 s.
    public var connectionLifetime: Duration

    /// Lower-case names of the answer's headers that are kept.
    /// Default `retry-after`, `content-type`, `webhook-delivery`.
    public var keptHeaders: [String]

    /// Whether a libcurl ends HTTP/2 streams as receivers expect.
    ///
    /// 7.88 resets each stream behind its complete answer (`http2_data_done`). Receivers that guard against rapid resets
    /// (CVE-2023-44487) close the connection with all requests on it: those on nghttp2 after 1,000 and 33 a second, Netty
    /// after 200 in 30 s. 8.14.1 is the oldest that was seen to reset none.
    ///
    /// - Parameter version: as `curl_version_info` gives it, 0xMMmmpp; 0 for one without HTTP/2.
    static func endsStreams(libcurl version: UInt32) -> Bool { version >= 0x080e01 }

    /// The same of the libcurl that is loaded.
    public static let http2OfLibrary = endsStreams(libcurl: clibcurl_http2_version())

    /// Settings with the defaults of every property that is not given.
    public init(
        addressGuard: AddressGuard = AddressGuard(), maxConnections: Int = 512, maxConnectionsPerHost: Int = 0,
        userAgent: String? = nil, http2: Bool = http2OfLibrary, caFile: String? = nil,
        dnsCache: Duration = .seconds(60), dnsFailureCache: Duration = .seconds(1),
        idleConnectionAge: Duration = .seconds(60),
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
