// What is here: one HTTP request as the caller states it.
// Called by: whoever submits to an Exchanger.

/// One request: where to, what, and how long it may take.
public struct Request: Sendable {
    /// Chosen by the caller; comes back in the `Exchange`. Need not be unique for the Exchanger's sake.
    public var token: UInt64

    /// Absolute URL: ASCII, `https` (or `http` when allowed), no user information, port 1 to 65535.
    public var url: String

    /// Method, an RFC 9110 token in the caller's case. Default `POST`.
    public var method: String

    /// Complete lines `Name: value`, sent in this order and in this case. Empty by default.
    ///
    /// Only `Host` and `Content-Length` are added to them. A line with CR, LF, NUL or another control character, a name
    /// that is not a token, and the names that frame a message (`Content-Length`, `Transfer-Encoding`, `Connection`,
    /// `Expect`, `TE`, `Trailer`, `Upgrade`, `Keep-Alive`) make the exchange fail with `.invalidRequest`.
    public var headers: [String]

    /// The bytes to send. Empty by default.
    public var body: [UInt8]

    /// Limit of the whole exchange, name lookup to last byte. Default 30 s.
    public var timeout: Duration

    /// Limit of name lookup, TCP and TLS together. Default 5 s.
    public var connectTimeout: Duration

    /// How many bytes of the answer's body are kept. Default 65,536.
    public var responseLimit: Int

    /// How many bytes of the answer's body are read at most, `responseLimit` or more. Default 256 KiB.
    ///
    /// The answer of a receiver that sends more counts as it stands (``Response/isCut``), and its connection is closed:
    /// reading on would cost all others time, and what is discarded says nothing.
    public var responseHardLimit: Int

    /// Whether a plain `http` URL is accepted. Default false: it then fails with `.invalidRequest`.
    public var allowsHTTP: Bool

    /// A way to the receiver that differs from the straight one: client certificate, authorities, proxy. Default nil.
    public var route: Route?

    /// A request with the defaults of every property that is not given.
    public init(
        token: UInt64 = 0, url: String, method: String = "POST", headers: [String] = [], body: [UInt8] = [],
        timeout: Duration = .seconds(30), connectTimeout: Duration = .seconds(5), responseLimit: Int = 65_536,
        responseHardLimit: Int = 256 << 10, allowsHTTP: Bool = false, route: Route? = nil
    ) {
        self.token = token
        self.url = url
        self.method = method
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.connectTimeout = connectTimeout
        self.responseLimit = responseLimit
        self.responseHardLimit = responseHardLimit
        self.allowsHTTP = allowsHTTP
        self.route = route
    }
}
