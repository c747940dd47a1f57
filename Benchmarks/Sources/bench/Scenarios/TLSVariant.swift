// Drains to receivers with and without TLS, over connections that are kept and over such as the receiver closes.

/// How the receiver of a drain speaks.
enum TLSVariant: String, CaseIterable {
    /// Plain http, connections kept: the baseline.
    case plain = "plain http"
    /// TLS, connections kept.
    case tls = "TLS"
    /// Plain http, each connection closed by the receiver after so many requests.
    case plainClosed = "plain http, closed after 100 requests"
    /// The same with TLS: each new connection begins with a handshake, which resumes a session or does not.
    case tlsClosed = "TLS, closed after 100 requests"

    /// The drain to measure.
    func drain(events: Int, workers: Int) -> Drain {
        var drain = Drain(events: events, workers: workers)
        drain.isSecure = self == .tls || self == .tlsClosed
        drain.closeAfter = self == .plainClosed || self == .tlsClosed ? 100 : nil
        return drain
    }
}
