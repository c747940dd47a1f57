// What is here: why an exchange has no answer, as a closed list of kinds and one bounded sentence.
// Called by: whoever judges an Exchange.

/// Why an exchange ended without a complete answer.
public struct Failure: Error, Sendable, Hashable, CustomStringConvertible {
    /// The class of the failure.
    public var kind: FailureKind

    /// One line of printable ASCII, at most 200 characters, without path or query of the URL, user information or
    /// header values.
    public var message: String

    /// The kind's name and the message.
    public var description: String { "\(kind.rawValue): \(message)" }
}

/// Classes of failure; the raw values are the names recorded with attempts.
public enum FailureKind: String, Sendable, CaseIterable {
    /// The name has no address, or the lookup failed.
    case dns
    /// No TCP connection: refused, unreachable.
    case connect
    /// The TLS handshake failed for another reason than the certificate.
    case tls
    /// The receiver's certificate is not trusted, expired, or for another name.
    case certificate
    /// A limit of time passed; the message names the phase.
    case timeout
    /// The connection broke or was closed before any answer or in the middle of one.
    case reset
    /// The answer is not HTTP, or contradicts itself.
    case protocolError = "protocol"
    /// The headers or trailers of the answer exceed their limit.
    case tooLarge = "too_large"
    /// The host is, or resolves to, an address that may not be dialed. No connection was attempted.
    case refusedAddress = "refused_address"
    /// The request itself is not acceptable. Nothing was sent.
    case invalidRequest = "invalid_request"
    /// The proxy of the request's route cannot be reached, or refuses us.
    case proxy
    /// This process has no descriptor, memory, thread or place among its lookups for it. It says nothing about the receiver.
    case worker
    /// The caller took the request back, or the exchanger was shut down.
    case cancelled
}
