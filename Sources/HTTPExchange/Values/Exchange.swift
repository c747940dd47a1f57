// What is here: what became of one request.
// Called by: whoever receives the completions of an Exchanger.

/// One request and its answer, or the reason why there is none.
public struct Exchange: Sendable {
    /// An answer, or a failure. A status of 500 is an answer.
    public enum Result: Sendable {
        /// The receiver answered completely, whatever the status.
        case response(Response)
        /// No complete answer came.
        case failure(Failure)
    }

    /// The token of the request.
    public var token: UInt64

    /// The answer or the failure.
    public var result: Result

    /// What had arrived of the answer when the exchange failed; nil when the final status line had not, or on success.
    public var partial: Response?

    /// How long each phase took.
    public var timings: Timings

    /// Whether the request went over a connection that was already open; false when none was used.
    public var reusedConnection: Bool

    /// The numeric address of the receiver, without port; nil when no connection was made.
    public var remoteAddress: String?

    /// The protocol of the answer; nil when none came.
    public var httpVersion: HTTPVersion?

    /// The answer, or nil when the exchange failed.
    public var response: Response? {
        guard case .response(let response) = result else { return nil }
        return response
    }

    /// The failure, or nil when there was an answer.
    public var failure: Failure? {
        guard case .failure(let failure) = result else { return nil }
        return failure
    }
}

/// Protocol versions of HTTP, by the number people write.
public enum HTTPVersion: String, Sendable, CaseIterable {
    /// HTTP/1.0.
    case http1_0 = "1.0"
    /// HTTP/1.1.
    case http1_1 = "1.1"
    /// HTTP/2.
    case http2 = "2"
}

/// Phases of one exchange, in microseconds. Waiting for a free connection is part of `firstByte` and `total` only.
public struct Timings: Sendable, Hashable {
    /// Name lookup; 0 when the answer was known.
    public var dns: Int

    /// TCP handshake; 0 when the connection was already open.
    public var connect: Int

    /// TLS handshake; 0 when the connection was already open or is plain.
    public var tls: Int

    /// From the start of the exchange to the first byte of the answer, so all phases before included; 0 without answer.
    public var firstByte: Int

    /// From the start of the exchange to its end.
    public var total: Int

    /// Timings in microseconds, all zero by default.
    public init(dns: Int = 0, connect: Int = 0, tls: Int = 0, firstByte: Int = 0, total: Int = 0) {
        self.dns = dns
        self.connect = connect
        self.tls = tls
        self.firstByte = firstByte
        self.total = total
    }
}
