// What went wrong with an exchange, in words of the domain. The raw values are those of HTTPExchange.FailureKind, by which
// ExchangeOutcome.swift of the worker finds them: what is added there is added here, or counts as protocol.

/// Why an exchange ended without a complete answer, as the HTTP client tells it.
public enum ExchangeFailure: String, Sendable, CaseIterable {
    /// The host name did not resolve.
    case dns
    /// No connection came about.
    case connect
    /// The TLS handshake failed for another reason than the certificate.
    case tls
    /// The certificate was refused.
    case certificate
    /// The deadline of the exchange passed.
    case timeout
    /// The connection ended in the middle.
    case reset
    /// What came back is not HTTP.
    case protocolError = "protocol"
    /// The answer's headers exceeded a limit.
    case tooLarge = "too_large"
    /// The address guard refused to connect.
    case refusedAddress = "refused_address"
    /// The request could not be built or was refused by the client; it can never succeed.
    case invalidRequest = "invalid_request"
    /// The destination's proxy cannot be reached, or refuses us.
    case proxy
    /// The worker has no descriptor, memory or thread left for it; says nothing about the receiver.
    case worker
    /// The worker gave up, because it is shutting down; says nothing about the receiver.
    case cancelled
}
