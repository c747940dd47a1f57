// What is here: all hosts and URLs that were used lately, and the decision whether a host may be dialed now.
// Called by: Loop only, on its thread.

import CLibCurl

/// Whether a request may start.
enum Readiness {
    /// The host's addresses are known and permitted.
    case ready
    /// A lookup is under way; the request waits for it.
    case waits
    /// The host cannot be dialed.
    case failed(Failure)
}

/// Hosts by name and port, and targets by URL.
struct HostTable {
    private static let maximum = 8_192

    private let addressGuard: AddressGuard
    private let counters: RunningCounters
    private let freshFor: Int64
    private let failureFor: Int64
    private var lookups: Lookups
    private var targets: [String: Target] = [:]
    private var hosts: [String: Host] = [:]
    /// Keys whose addresses libcurl still holds although their host was dropped.
    private var dropped: [String] = []

    init(settings: ExchangerSettings, counters: RunningCounters, mailbox: Mailbox) {
        addressGuard = settings.addressGuard
        self.counters = counters
        freshFor = max(0, settings.dnsCache.nanoseconds)
        failureFor = max(0, settings.dnsFailureCache.nanoseconds)
        lookups = Lookups(mailbox: mailbox)
    }

    /// The target of a URL, from the table or through the gate.
    ///
    /// - Throws: `Failure` of kind `.invalidRequest` when the gate refuses, `.worker` when there is no memory for it.
    mutating func target(for url: String) throws(Failure) -> Target {
        if let known = targets[url] { return known }
        let parts = try URLGate.parts(of: url)
        let key = Self.key(parts.host, parts.port)
        if targets.count >= Self.maximum { targets.removeAll() }
        if hosts.count >= Self.maximum { dropIdleHosts() }
        let host = hosts[key] ?? Host(name: parts.host, port: parts.port)
        hosts[key] = host
        let target = Target(url: Array(url.utf8CString), isSecure: parts.isSecure, host: host)
        targets[url] = target
        return target
    }

    /// The target of a URL behind a proxy: the proxy is dialed, and looks the URL's host up itself.
    ///
    /// - Throws: `Failure` of kind `.invalidRequest` when the gate refuses, `.worker` when there is no memory for it; of kind
    ///   `.refusedAddress` when the URL's host is written as an address that may not be dialed, or as `localhost`, which
    ///   would be the proxy's own.
    mutating func target(for url: String, through proxy: Route.Proxy) throws(Failure) -> Target {
        let key = "proxy \(proxy.host):\(proxy.port) "
        if let known = targets[key + url] { return known }
        let parts = try URLGate.parts(of: url)
        let isLocal = parts.host == "localhost" || parts.host.hasSuffix(".localhost")
        if let address = IPAddress(isLocal ? "127.0.0.1" : parts.host), !addressGuard.permits(address) {
            throw .refusedAddress
        }
        if targets.count >= Self.maximum { targets.removeAll() }
        if hosts.count >= Self.maximum { dropIdleHosts() }
        let new = Host(name: proxy.host, port: proxy.port, isProxy: true)
        let host = hosts[new.key] ?? new
        hosts[new.key] = host
        let target = Target(url: Array(url.utf8CString), isSecure: parts.isSecure, host: host)
        targets[key + url] = target
        return target
    }

    /// Whether the host may be dialed now; begins a lookup when one is due.
    mutating func readiness(of host: Host, now: Int64) -> Readiness {
        if let literal = host.literal {
            if now >= host.freshUntil {
                host.verdict = permits(literal, of: host) ? .permitted : .refused
                host.freshUntil = now + freshFor
            }
            return Self.readiness(of: host)
        }
        guard now >= host.freshUntil else { return Self.readiness(of: host) }
        if host.lookupStartedAt == nil {
            host.lookupStartedAt = now
            counters.lookups.increment()
            lookups.begin(key: host.key, name: host.name, now: now)
        }
        if case .permitted = host.verdict, now < host.usableUntil { return .ready }
        return .waits
    }

    /// Whether nobody has been asked for the host's addresses yet, because other lookups hang.
    func isQueued(_ host: Host) -> Bool { lookups.isQueued(host.key) }

    /// When lookups that wait for a place can begin, in `Ticks`; `Int64.max` when none can.
    var nextLookup: Int64 { lookups.nextStart }

    /// Begins lookups that waited for a place.
    mutating func beginLookups(now: Int64) { lookups.advance(now: now) }

    /// Takes an answer over and returns its host, whose waiting requests can go on.
    mutating func take(_ answer: LookupAnswer, now: Int64) -> Host? {
        lookups.ended(key: answer.key, now: now)
        guard let host = hosts[answer.key] else { return nil }
        host.lookupStartedAt = nil
        switch answer.result {
        case .success(let addresses) where addresses.allSatisfy({ permits($0, of: host) }):
            host.verdict = .permitted
            host.freshUntil = now + freshFor
            host.usableUntil = now + 2 * freshFor
            if host.addresses != addresses {
                host.addresses = addresses
                host.isPinned = false
            }
        case .success:
            // One forbidden answer among many is how rebinding looks, so the others do not count either.
            host.verdict = .refused
            host.freshUntil = now + failureFor
        case .failure(let error):
            host.freshUntil = now + failureFor
            if case .permitted = host.verdict, now < host.usableUntil { break }
            host.verdict = .failed(error)
        }
        return host
    }

    /// What a transfer to this host has to bring for `CURLOPT_RESOLVE`; the caller frees it. Nil when libcurl knows.
    mutating func pins(for host: Host) -> UnsafeMutablePointer<curl_slist>? {
        guard !host.isPinned, host.literal == nil else { return nil }
        // A receiver of the same name and port would take the pin with it when it is dropped: it is brought each time.
        host.isPinned = !host.isProxy
        var list: UnsafeMutablePointer<curl_slist>?
        for key in dropped { list = curl_slist_append(list, "-\(key)") }
        dropped = []
        let addresses = host.addresses.map { address in
            if case .v6 = address { "[\(address)]" } else { "\(address)" }
        }
        return curl_slist_append(list, "\(Self.key(host.name, host.port)):\(addresses.joined(separator: ","))")
    }

    private func permits(_ address: IPAddress, of host: Host) -> Bool { host.isProxy || addressGuard.permits(address) }

    /// The verdict as it counts while it is fresh.
    static func readiness(of host: Host) -> Readiness {
        switch host.verdict {
        case .permitted: .ready
        case .refused: .failed(.refusedAddress)
        case .failed(let error):
            .failed(
                Failure(
                    kind: error.isOwn ? .worker : host.isProxy ? .proxy : .dns,
                    message: "name lookup failed: \(error.message)"))
        case .unknown: .waits
        }
    }

    /// Drops the hosts that nothing uses, and the targets that keep them.
    private mutating func dropIdleHosts() {
        targets.removeAll()
        for (key, host) in hosts where host.transfers == 0 && !host.hasWaiting && host.lookupStartedAt == nil {
            if host.isPinned { dropped.append(key) }
            // A request that waits in the common line still has it, and brings the addresses again.
            host.isPinned = false
            hosts[key] = nil
        }
    }

    private static func key(_ name: String, _ port: Int) -> String { "\(name):\(port)" }
}
