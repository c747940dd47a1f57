// What is here: a network in CIDR notation, parsed strictly, and lists of them as settings carry them.
// Called by: AddressGuard, and by whoever reads POSTRIDER_ALLOW_NETWORKS.

/// A range of IP addresses of one family: a base address and the number of its leading bits that count.
public struct Network: Sendable, Hashable {
    /// The first address of the range; all bits behind the prefix are zero.
    public let base: IPAddress

    /// How many leading bits an address must share with `base`: 0 to 32, or 0 to 128.
    public let prefix: Int

    /// A network from its text: `10.0.0.0/8`, `::1/128`, or a bare address, which stands for itself alone.
    ///
    /// Nothing is guessed: no short forms, no octal, no spaces, no zone.
    /// - Throws: `NetworkError` that names the text and the fault, also when bits behind the prefix are set.
    public init(cidr: String) throws(NetworkError) {
        let parts = cidr.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(String(first)) else {
            throw NetworkError(text: cidr, fault: .notAnAddress)
        }
        var prefix = address.bitWidth
        if parts.count == 2 {
            guard let number = Self.prefix(parts[1], upTo: address.bitWidth) else {
                throw NetworkError(text: cidr, fault: .badPrefix(highest: address.bitWidth))
            }
            prefix = number
        }
        let base = address.masked(to: prefix)
        guard base == address else {
            throw NetworkError(text: cidr, fault: .hostBits(meant: "\(base)/\(prefix)"))
        }
        self.base = base
        self.prefix = prefix
    }

    /// The networks of a comma-separated list; empty for a text that is empty or blank. Blanks around each are ignored.
    ///
    /// - Throws: `NetworkError` for the first entry that is not a network, an empty one between two commas included.
    public static func list(_ text: String) throws(NetworkError) -> [Network] {
        guard text.contains(where: { $0 != " " }) else { return [] }
        var networks: [Network] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            var entry = part
            while entry.first == " " { entry.removeFirst() }
            while entry.last == " " { entry.removeLast() }
            networks.append(try Network(cidr: String(entry)))
        }
        return networks
    }

    /// Whether the address lies in this range. Addresses of the other family never do.
    public func contains(_ address: IPAddress) -> Bool {
        address.bitWidth == base.bitWidth && address.masked(to: prefix) == base
    }

    /// One to three decimal digits without sign or leading zero, at most `highest`.
    private static func prefix(_ text: Substring, upTo highest: Int) -> Int? {
        guard (1...3).contains(text.utf8.count), text.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
        guard text.utf8.count == 1 || text.utf8.first != 48 else { return nil }
        guard let number = Int(text), number <= highest else { return nil }
        return number
    }
}

extension Network: CustomStringConvertible {
    /// The network in CIDR notation, always with its prefix.
    public var description: String { "\(base)/\(prefix)" }
}

/// Why a text is not a network.
public struct NetworkError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong with it.
    public enum Fault: Sendable, Hashable {
        /// The part before the slash is not an IP address in its standard form.
        case notAnAddress
        /// The part behind the slash is not a number from 0 to `highest`.
        case badPrefix(highest: Int)
        /// Bits behind the prefix are set; `meant` is the network around the address.
        case hostBits(meant: String)
    }

    /// The text that was refused, as given.
    public let text: String

    /// What is wrong with it.
    public let fault: Fault

    /// One sentence that names the text and the cure.
    public var description: String {
        switch fault {
        case .notAnAddress:
            "\"\(text)\" is not a network: write an address like 10.0.0.0/8, 192.168.1.7 or ::1/128"
        case .badPrefix(let highest):
            "\"\(text)\" is not a network: the part behind the slash must be a number from 0 to \(highest)"
        case .hostBits(let meant):
            "\"\(text)\" has bits set behind its prefix: write \(meant)"
        }
    }
}
