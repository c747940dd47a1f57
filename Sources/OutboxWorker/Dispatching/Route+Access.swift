// From what the domain says of the way to a destination to what the HTTP client needs. Called by the routing table, once for
// each load, and by tests and probes of the command line.

public import HTTPExchange
public import Outbox

extension Route {
    /// The way that a destination's access asks for; nil for the straight one.
    public convenience init?(_ access: Access?) {
        guard let access, access.identity != nil || access.proxy != nil else { return nil }
        self.init(
            certificate: access.identity?.certificate, key: access.identity?.key,
            authority: access.identity?.authority,
            proxy: access.proxy.map { proxy in
                Proxy(
                    kind: proxy.kind == .http ? .http : .socks5h, host: proxy.host, port: proxy.port,
                    username: proxy.username, password: proxy.password)
            })
    }
}
