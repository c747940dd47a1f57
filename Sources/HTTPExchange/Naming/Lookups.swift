// What is here: name lookups, each on a short-lived thread, because getaddrinfo blocks for as long as it likes.
// Called by: Loop; the answers come back through the mailbox.

import CLibCurl
import Glibc

/// The answer to one lookup.
struct LookupAnswer: Sendable {
    /// The host's key in the host table.
    let key: String
    /// All addresses in the order of RFC 6724, at least one; or the reason why there is none.
    let result: Swift.Result<[IPAddress], LookupError>
}

/// Why a name has no address.
struct LookupError: Error {
    /// One line, from `gai_strerror(3)`.
    let message: String
    /// Whether this process lacked what a lookup needs, and nobody was asked.
    var isOwn = false
}

/// Starts lookups, a bounded number at a time.
///
/// A name whose servers do not answer keeps its thread for as long as the resolver tries, often 10 s or more. It keeps its
/// place for a second only: so 32 lookups begin each second whatever the others do, until 256 hang at once.
struct Lookups {
    /// Lookups of less than ``patience`` that run at once.
    static let places = 32
    /// Nanoseconds after which a lookup no longer holds up others, though its thread goes on.
    static let patience: Int64 = 1_000_000_000
    /// Threads at once, those included that hang.
    static let most = 256

    private let start: (_ key: String, _ name: String) -> Void
    /// The lookups that hold a place, the oldest first; since when, in `Ticks`.
    private var prompt: [(key: String, since: Int64)] = []
    /// Those that run for longer.
    private var overdue: Set<String> = []
    private var queue: [(key: String, name: String)] = []
    private var queued: Set<String> = []

    /// - Parameter start: looks a name up, without blocking; ``ended(key:now:)`` follows.
    init(start: @escaping (_ key: String, _ name: String) -> Void) { self.start = start }

    /// Lookups on threads, whose answers come by mail.
    init(mailbox: Mailbox) { self.init { key, name in Self.lookUp(name, key: key, mailbox) } }

    /// When ``advance(now:)`` can begin what waits, in `Ticks`; `Int64.max` when nothing waits, or only an end helps.
    var nextStart: Int64 {
        guard !queue.isEmpty, prompt.count + overdue.count < Self.most, let oldest = prompt.first else { return .max }
        return oldest.since + Self.patience
    }

    /// Begins a lookup now, or when there is a place. The key must not be under way.
    mutating func begin(key: String, name: String, now: Int64) {
        queue.append((key, name))
        queued.insert(key)
        advance(now: now)
    }

    /// Takes note that one has ended, and begins the next of those that wait.
    mutating func ended(key: String, now: Int64) {
        if overdue.remove(key) == nil, let index = prompt.firstIndex(where: { $0.key == key }) {
            prompt.remove(at: index)
        }
        advance(now: now)
    }

    /// Whether the lookup waits for a place, so that nobody has been asked yet.
    func isQueued(_ key: String) -> Bool { queued.contains(key) }

    /// Begins what waits, as far as there are places.
    mutating func advance(now: Int64) {
        while let oldest = prompt.first, now >= oldest.since + Self.patience {
            overdue.insert(oldest.key)
            prompt.removeFirst()
        }
        while !queue.isEmpty, prompt.count < Self.places, prompt.count + overdue.count < Self.most {
            let next = queue.removeFirst()
            queued.remove(next.key)
            prompt.append((next.key, now))
            start(next.key, next.name)
        }
    }

    private static func lookUp(_ name: String, key: String, _ mailbox: Mailbox) {
        let answer = { @Sendable in
            let result = Self.addresses(of: name)
            _ = mailbox.post { $0.answers.append(LookupAnswer(key: key, result: result)) }
        }
        do {
            pthread_detach(try Thread.start(answer))
        } catch {
            let failed = LookupError(message: "no thread was left for it", isOwn: true)
            _ = mailbox.post { $0.answers.append(LookupAnswer(key: key, result: .failure(failed))) }
        }
    }

    /// All addresses of the name, each once. Blocks. Source: `getaddrinfo(3)`.
    private static func addresses(of name: String) -> Swift.Result<[IPAddress], LookupError> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(name, nil, &hints, &list)
        let reason = errno
        defer { if let list { freeaddrinfo(list) } }
        guard code == 0 else {
            let isOwn = code == EAI_MEMORY || (code == EAI_SYSTEM && Shortage.isMeant(by: reason))
            return .failure(LookupError(message: String(cString: gai_strerror(code)), isOwn: isOwn))
        }
        var addresses: [IPAddress] = []
        var entry = list
        while let info = entry?.pointee {
            if let address = info.ai_addr.flatMap({ IPAddress($0) }), !addresses.contains(address) {
                addresses.append(address)
            }
            entry = info.ai_next
        }
        return addresses.isEmpty ? .failure(LookupError(message: "no address of a known family")) : .success(addresses)
    }
}
