// Names for what went wrong. Recorded with every attempt, counted by the audits, explained by FailureAdvice and docs/wire.md.

/// The class of a failed attempt. A closed set: raw values are stored, counted and documented.
public enum FailureClass: String, Sendable, CaseIterable {
    /// See `ExchangeFailure.dns`.
    case dns
    /// See `ExchangeFailure.connect`.
    case connect
    /// See `ExchangeFailure.tls`.
    case tls
    /// See `ExchangeFailure.certificate`.
    case certificate
    /// See `ExchangeFailure.timeout`.
    case timeout
    /// See `ExchangeFailure.reset`.
    case reset
    /// See `ExchangeFailure.protocolError`; also statuses outside of 200 to 599.
    case protocolError = "protocol"
    /// See `ExchangeFailure.tooLarge`.
    case tooLarge = "too_large"
    /// See `ExchangeFailure.refusedAddress`.
    case refusedAddress = "refused_address"
    /// See `ExchangeFailure.invalidRequest`.
    case invalidRequest = "invalid_request"
    /// See `ExchangeFailure.cancelled`.
    case cancelled
    /// 3xx: redirects are never followed.
    case redirectRefused = "redirect_refused"
    /// 4xx without a class of its own.
    case clientError = "client_error"
    /// 5xx without a class of its own.
    case serverError = "server_error"
    /// 408, 425 and 429: the receiver asks for patience.
    case throttled
    /// 502, 503 and 504: the receiver is overloaded or down.
    case unavailable
    /// 410: the endpoint exists no more.
    case gone
    /// 413 and 415: this payload will never be taken.
    case payloadRefused = "payload_refused"
    /// 404 of an n8n whose workflow is not active.
    case workflowInactive = "workflow_inactive"
    /// 407 over plain http, or a proxy that cannot be reached or refuses us: a fault on our side.
    case proxy
    /// See `ExchangeFailure.worker`.
    case worker
    /// The receiver asked by header that this delivery be given up, or all of them.
    case refusedByReceiver = "refused_by_receiver"
    /// The receiver took the batch that the event was in, but not the event.
    case refusedItem = "refused_item"
    /// An administrator skipped it, to let the events behind it in its ordering key go on.
    case skipped
    /// Five workers died while they held it.
    case poison
    /// The destination's transform failed, or the payload cannot be opened or is too large: nothing was sent.
    case transform
    /// The destination's transform gave null: nothing is to be sent. No failure of anybody.
    case dropped
    /// The payload was erased before it was sent.
    case erased
    /// The destination is of another organization or user now than the event: nothing was sent.
    case scope

    /// The class of a failed exchange.
    init(_ failure: ExchangeFailure) {
        switch failure {
        case .dns: self = .dns
        case .connect: self = .connect
        case .tls: self = .tls
        case .certificate: self = .certificate
        case .timeout: self = .timeout
        case .reset: self = .reset
        case .protocolError: self = .protocolError
        case .tooLarge: self = .tooLarge
        case .refusedAddress: self = .refusedAddress
        case .invalidRequest: self = .invalidRequest
        case .proxy: self = .proxy
        case .worker: self = .worker
        case .cancelled: self = .cancelled
        }
    }
}
