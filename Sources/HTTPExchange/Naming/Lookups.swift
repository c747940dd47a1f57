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
}

/// Starts lookups, a bounded number at a time.
struct Lookups {
    /// Threads at once. A name server that does not answer holds one for seconds; others must still pass.
    private static let maximum = 32

    private let mailbox: Mailbox
    private var underWay = 0
    private var queue: [(key: String, name: String)] = []

    init(mailbox: Mailbox) { self.mailbox = mailbox }

    /// Begins a lookup now, or as soon as one of those under way has ended.
    mutating func begin(key: String, name: String) {
        guard underWay < Self.maximum else {
            queue.append((key, name))
            return
        }
        underWay += 1
        let mailbox = mailbox
        let answer = { @Sendable in
            let result = Self.addresses(of: name)
            _ = mailbox.post { $0.answers.append(LookupAnswer(key: key, result: result)) }
        }
        do {
            pthread_detach(try Thread.start(answer))
        } catch {
            let failed = LookupError(message: "no thread for the name lookup")
            _ = mailbox.post { $0.answers.append(LookupAnswer(key: key, result: .failure(failed))) }
        }
    }

    /// Counts one lookup as ended and begins the next in the queue.
    mutating func ended() {
        underWay -= 1
        if !queue.isEmpty {
            let next = queue.removeFirst()
            begin(key: next.key, name: next.name)
        }
    }

    /// All addresses of the name, each once. Blocks. Source: `getaddrinfo(3)`.
    private static func addresses(of name: String) -> Swift.Result<[IPAddress], LookupError> {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(name, nil, &hints, &list)
        defer { if let list { freeaddrinfo(list) } }
        guard code == 0 else { return .failure(LookupError(message: String(cString: gai_strerror(code)))) }
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
