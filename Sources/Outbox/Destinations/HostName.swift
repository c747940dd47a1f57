// Hosts of URLs: names and literal addresses in their one unambiguous spelling. Called by the URL gate.

/// The rules of hosts. Spellings that some resolvers read as an address and others as a name are refused.
enum HostName {
    /// Says what is wrong with a host that is not in brackets; nil when it is a name or a dotted IPv4 address.
    static func fault(_ host: [UInt8]) -> String? {
        if host.isEmpty { return "it is empty" }
        if host.count > 253 { return "it has more than 253 bytes" }
        let labels = host.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        for label in labels {
            if label.isEmpty { return "it has an empty label" }
            if label.count > 63 { return "a label has more than 63 bytes" }
            if !label.allSatisfy(isNameByte) { return "only letters, digits, '-', '_' and '.' are allowed" }
            let hyphen = UInt8(ascii: "-")
            if label.first == hyphen || label.last == hyphen { return "a label begins or ends with '-'" }
        }
        // 127.1, 2130706433, 0x7f000001 and 0177.0.0.1 all reach loopback through inet_aton, and are names elsewhere.
        guard let last = labels.last, looksNumeric(last) else { return nil }
        return isIPv4(host[...]) ? nil : "an address is written as four decimal numbers without leading zeros"
    }

    /// Tells whether a text is `a.b.c.d`, each 0 to 255 without leading zeros.
    static func isIPv4(_ text: ArraySlice<UInt8>) -> Bool {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                guard (1...3).contains(part.count), part.allSatisfy(isDigit) else { return false }
                if part.count > 1, part.first == UInt8(ascii: "0") { return false }
                return part.reduce(0) { $0 * 10 + Int($1 - 0x30) } <= 255
            }
    }

    /// Tells whether a text is an IPv6 address of RFC 4291 section 2.2, without a zone.
    static func isIPv6(_ text: ArraySlice<UInt8>) -> Bool {
        guard (2...45).contains(text.count) else { return false }
        let gaps = text.indices.dropLast().filter { text[$0] == UInt8(ascii: ":") && text[$0 + 1] == UInt8(ascii: ":") }
        guard let gap = gaps.first else { return groups(text, mayEndInIPv4: true) == 8 }
        guard gaps.count == 1 else { return false }
        let head = text[..<gap]
        let tail = text[(gap + 2)...]
        guard let before = head.isEmpty ? 0 : groups(head, mayEndInIPv4: false),
            let after = tail.isEmpty ? 0 : groups(tail, mayEndInIPv4: true)
        else { return false }
        return before + after <= 7
    }

    /// The number of 16-bit groups in a colon-separated list, nil when one of them is not a group.
    private static func groups(_ text: ArraySlice<UInt8>, mayEndInIPv4: Bool) -> Int? {
        let parts = text.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        var count = 0
        for (position, part) in parts.enumerated() {
            if mayEndInIPv4, position == parts.count - 1, part.contains(UInt8(ascii: ".")) {
                guard isIPv4(part) else { return nil }
                count += 2
            } else {
                guard (1...4).contains(part.count), part.allSatisfy({ Hex.value(of: $0) != nil }) else { return nil }
                count += 1
            }
        }
        return count
    }

    private static func looksNumeric(_ label: ArraySlice<UInt8>) -> Bool {
        label.allSatisfy(isDigit)
            || label.starts(with: "0x".utf8) && label.dropFirst(2).allSatisfy { Hex.value(of: $0) != nil }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_")
    }
}
