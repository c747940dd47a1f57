// Drains to a receiver behind a reverse proxy, over HTTP/1.1 and over HTTP/2: what one connection for all requests costs.

/// What the proxy in front of the receiver speaks.
enum HTTP2Variant: String, CaseIterable {
    /// The baseline: the same proxy, over as many connections as there are requests in flight.
    case http1 = "HTTP/1.1 to a proxy with TLS"
    /// Whatever libcurl the workers have: with one that resets each stream, this shows what comes of it.
    case http2 = "HTTP/2 to a proxy with TLS"

    /// The drain to measure.
    func drain(events: Int, workers: Int) -> Drain {
        var drain = Drain(events: events, workers: workers)
        drain.front = self == .http2 ? .http2 : .http1
        return drain
    }
}
