// What is here: which header lines may be sent. Called by: RequestMemory for each line of each request.

/// The names that matter to the way a request is built.
enum KnownHeader {
    case accept
    case contentType
    case other
}

/// Judges complete header lines.
enum HeaderLine {
    /// The names that frame the message, which is libcurl's work; with them a caller could smuggle a second request.
    private static let framing: [StaticString] = [
        "content-length", "transfer-encoding", "connection", "expect", "te", "trailer", "upgrade", "keep-alive",
    ]

    /// The kind of header in a line `Name: value`.
    ///
    /// `number` counts from 1 and is all that a message says of the line: its value may be a secret.
    /// - Throws: `Failure` of kind `.invalidRequest` when the line may not be sent.
    static func check(_ line: UnsafeRawBufferPointer, number: Int) throws(Failure) -> KnownHeader {
        // Once, not for each byte: whether a static property is there is asked with every use of it.
        let isToken = Self.isToken
        var colon = 0
        while colon < line.count, isToken[Int(line[colon])] { colon += 1 }
        guard colon > 0, colon < line.count, line[colon] == UInt8(ascii: ":") else {
            throw invalid("header line \(number) does not begin with a name and a colon")
        }
        guard isPrintable(UnsafeRawBufferPointer(rebasing: line[(colon + 1)...])) else {
            throw invalid("header line \(number) holds a control character")
        }
        let name = UnsafeRawBufferPointer(rebasing: line[..<colon])
        switch colon {
        case 6 where name.isCaseless("accept"): return .accept
        case 12 where name.isCaseless("content-type"): return .contentType
        default: break
        }
        for refused in framing where name.isCaseless(refused) {
            throw invalid("header line \(number) is \(refused), which belongs to the exchange itself")
        }
        return .other
    }

    /// Whether there is no control character but tabs: eight bytes at a time, and one by one only where one may be.
    private static func isPrintable(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let (ones, highest) = (0x0101_0101_0101_0101 as UInt64, 0x8080_8080_8080_8080 as UInt64)
        var index = 0
        while index + 8 <= bytes.count {
            let word = bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self)
            let deleted = word ^ (ones &* 0x7f)
            // A byte below 0x20, or 0x7f, borrows from its highest bit.
            guard ((word &- ones &* 0x20) & ~word | (deleted &- ones) & ~deleted) & highest == 0 else { break }
            index += 8
        }
        return bytes[index...].allSatisfy { $0 >= 0x20 && $0 != 0x7f || $0 == 9 }
    }

    /// The characters of RFC 9110 § 5.6.2, by their code.
    static let isToken: [Bool] = (0..<256).map { code in
        switch UInt8(code) {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
        default: "!#$%&'*+-.^_`|~".utf8.contains(UInt8(code))
        }
    }

    private static func invalid(_ message: String) -> Failure { Failure(kind: .invalidRequest, message: message) }
}

extension UnsafeRawBufferPointer {
    /// Whether these bytes are the lower-case ASCII text, in any case.
    func isCaseless(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where Self.lower(self[index]) != text.utf8Start[index] { return false }
        return true
    }

    /// Whether these bytes are the lower-case ASCII text, in any case.
    func isCaseless(_ text: [UInt8]) -> Bool {
        guard count == text.count else { return false }
        for index in 0..<count where Self.lower(self[index]) != text[index] { return false }
        return true
    }

    private static func lower(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 0x20 : byte }
}
