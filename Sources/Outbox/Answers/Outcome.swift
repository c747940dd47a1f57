// What came of one attempt, in words of the domain. Made by the worker from an HTTP exchange, judged by the verdict.

/// The result of one attempt.
public enum Outcome: Sendable {
    /// The receiver answered.
    case answered(Answer)
    /// No complete answer came.
    case failed(ExchangeFailure)
    /// The receiver took the batch, but refused this event of it.
    case refusedItem
    /// Nothing was sent: the destination's transform failed.
    case untransformed
}

/// The part of an answer that decides what happens next.
public struct Answer: Sendable, Equatable {
    /// What a receiver may ask for with the header `webhook-delivery`, on any status.
    public enum Control: String, Sendable {
        /// Send nothing more to this endpoint.
        case disable
        /// Give up this delivery.
        case abortMessage = "abort-message"
    }

    /// The HTTP status.
    public var status: Int
    /// What `Retry-After` asks for; nil without it or when it cannot be read.
    public var retryAfter: Duration?
    /// What `webhook-delivery` asks for.
    public var control: Control?
    /// The beginning of the body; a few hundred bytes are enough to recognise n8n.
    public var bodyPrefix: [UInt8]

    /// Makes an answer of parts that were read before.
    public init(status: Int, retryAfter: Duration? = nil, control: Control? = nil, bodyPrefix: [UInt8] = []) {
        self.status = status
        self.retryAfter = retryAfter
        self.control = control
        self.bodyPrefix = bodyPrefix
    }

    /// Makes an answer of a status and header fields, names in any case.
    ///
    /// - Parameter unixSeconds: Now, against which a date in `Retry-After` is measured.
    public init(
        status: Int,
        headers: some Sequence<(name: String, value: String)>,
        bodyPrefix: [UInt8] = [],
        unixSeconds: Int64
    ) {
        self.init(status: status, bodyPrefix: bodyPrefix)
        for header in headers {
            switch header.name.lowercased() {
            case "retry-after": retryAfter = RetryAfter.parse(header.value, nowUnixSeconds: unixSeconds)
            case "webhook-delivery": control = Control(rawValue: header.value.lowercased())
            default: break
            }
        }
    }
}
