// What is here: what is known of one host and port: its judged addresses, who waits for them, its TLS sessions.
// Called by: Loop only, on its thread.

import CLibCurl

/// One host and port.
///
/// libcurl never looks names up here. A name's addresses are looked up on a thread aside, **all** of them are judged,
/// and they are then put into libcurl's own cache (`CURLOPT_RESOLVE`), which is the only place it may take them from:
/// between judgement and dial no further answer of a name server counts. The dial judges once more.
final class Host {
    /// What the last lookup, or the literal itself, said.
    enum Verdict {
        /// Nothing yet.
        case unknown
        /// All addresses are permitted.
        case permitted
        /// At least one is not.
        case refused
        /// The lookup failed.
        case failed(LookupError)
    }

    /// The host as libcurl names it: lower case, IPv6 without brackets.
    let name: String
    /// 1 to 65535.
    let port: Int
    /// Whether it is a proxy, which somebody allowed by name: its addresses are not judged.
    let isProxy: Bool
    /// What it is called in the host table; a receiver of the same name is another host.
    var key: String { isProxy ? "proxy \(name):\(port)" : "\(name):\(port)" }
    /// The address when the host is written as one; such hosts need no lookup.
    let literal: IPAddress?

    var verdict = Verdict.unknown
    /// Up to when the verdict stands, in `Ticks`.
    var freshUntil: Int64 = 0
    /// Up to when permitted addresses may be used while a new lookup runs.
    var usableUntil: Int64 = 0
    /// Since when a lookup has been running, in `Ticks`.
    var lookupStartedAt: Int64?
    /// Requests that cannot start without an answer.
    var unnamed = WaitingLine()
    /// Requests that wait for others to this host: for one to end, or to have opened the connection.
    var held = WaitingLine()
    /// The addresses of the last lookup that was permitted, in the order to try them; empty for literals.
    var addresses: [IPAddress] = []
    /// Whether libcurl has these addresses, so that further transfers need not bring them.
    var isPinned = false
    /// Whether the loop's list of hosts where somebody waits has this one.
    var isCrowded = false
    /// How many transfers to this host are with libcurl.
    var transfers = 0
    /// Whether one of them has a connection, so that it is known how many they need.
    var isSettled = false
    /// TLS sessions, shared by all transfers to this host; made for the first secure one.
    private(set) var share: UnsafeMutableRawPointer?

    init(name: String, port: Int, isProxy: Bool = false) {
        self.isProxy = isProxy
        self.name = name
        self.port = port
        literal = IPAddress(name)
    }

    deinit {
        if let share { _ = curl_share_cleanup(share) }
    }

    /// Whether anybody waits here.
    var hasWaiting: Bool { !unnamed.isEmpty || !held.isEmpty }

    /// Takes a transfer in; after an idle time the first one finds out anew whether its connection can carry others.
    func admit() {
        if transfers == 0 { isSettled = false }
        transfers += 1
    }

    /// The share handle with this host's TLS sessions.
    ///
    /// A handle per host, because one has room for eight sessions only, and without one each easy handle keeps its own.
    func sessions() -> UnsafeMutableRawPointer? {
        if share == nil, let made = curl_share_init() {
            _ = clibcurl_share_data(made, CURL_LOCK_DATA_SSL_SESSION)
            share = made
        }
        return share
    }
}
