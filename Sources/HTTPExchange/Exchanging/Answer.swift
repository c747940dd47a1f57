// What is here: the answer of one exchange while it arrives, with all limits on it.
// Called by: the callbacks of Transfer with each header line and each piece of the body.

/// Why an answer is given up although more of it would come.
enum AnswerFault {
    case headersTooLarge
    case switchesProtocol
    case encodesTransfer
}

/// What has arrived of an answer.
struct Answer {
    /// Bytes of all header lines, informational answers and trailers included, before the exchange fails `.tooLarge`.
    static let headerLimit = 65_536

    /// Status of the last status line; 0 before the first.
    private(set) var status = 0
    private(set) var body: [UInt8] = []
    private(set) var discardedBytes = 0
    private(set) var fault: AnswerFault?
    /// Whether the rest of the body is not wanted: the answer is over, and its connection is of no further use.
    private(set) var isCut = false
    private var headers: [Response.Header] = []
    private var headerBytes = 0
    private var isHeaderOver = false
    private let bodyLimit: Int
    private let hardLimit: Int

    init(bodyLimit: Int, hardLimit: Int) {
        self.bodyLimit = max(0, bodyLimit)
        self.hardLimit = max(self.bodyLimit, hardLimit)
    }

    /// What arrived, as far as it did; nil before the status line of the final answer.
    var response: Response? {
        guard status >= 200 else { return nil }
        return Response(status: status, headers: headers, body: body, discardedBytes: discardedBytes, isCut: isCut)
    }

    /// The answer, and nothing is kept of it here.
    mutating func takeResponse() -> Response? {
        defer { self = Answer(bodyLimit: 0, hardLimit: 0) }
        return response
    }

    /// Takes one line with its end; false when the exchange is to be given up.
    mutating func takeLine(_ line: UnsafeRawBufferPointer, keeping names: [[UInt8]]) -> Bool {
        headerBytes += line.count
        guard headerBytes <= Self.headerLimit else { return give(up: .headersTooLarge) }
        if line.count >= 5, UnsafeRawBufferPointer(rebasing: line[..<5]).isCaseless("http/") { return takeStatus(line) }
        guard let first = line.first, first != 13, first != 10 else {
            isHeaderOver = true
            return true
        }
        // Behind the blank line come trailers: they count, and mean nothing.
        return isHeaderOver || takeHeader(line, keeping: names)
    }

    /// Takes a piece of the body; false when no more of it is wanted.
    mutating func takeBody(_ piece: UnsafeRawBufferPointer) -> Bool {
        let kept = min(piece.count, bodyLimit - body.count)
        if kept > 0 { body.append(contentsOf: piece[..<kept]) }
        discardedBytes += piece.count - kept
        isCut = body.count + discardedBytes > hardLimit
        return !isCut
    }

    /// `HTTP/1.1 200 OK` or `HTTP/2 200`: a new answer begins, after an informational one too.
    private mutating func takeStatus(_ line: UnsafeRawBufferPointer) -> Bool {
        status = 0
        headers.removeAll(keepingCapacity: true)
        isHeaderOver = false
        if let space = line.firstIndex(of: 32) {
            for byte in line[space...].dropFirst().prefix(3) where byte >= 48 && byte <= 57 {
                status = status * 10 + Int(byte - 48)
            }
        }
        // Nobody asked for another protocol, and libcurl would read it as an endless body.
        return status != 101 || give(up: .switchesProtocol)
    }

    private mutating func takeHeader(_ line: UnsafeRawBufferPointer, keeping names: [[UInt8]]) -> Bool {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return true }
        let name = UnsafeRawBufferPointer(rebasing: line[..<colon])
        if name.isCaseless("transfer-encoding") {
            // libcurl decompresses a transfer encoding although none was asked for; we never decode.
            let value = Self.trim(line[(colon + 1)...])
            return UnsafeRawBufferPointer(rebasing: value).isCaseless("chunked") || give(up: .encodesTransfer)
        }
        for wanted in names where name.isCaseless(wanted) {
            let value = Self.trim(line[(colon + 1)...])
            headers.append(
                Response.Header(
                    name: String(decoding: wanted, as: UTF8.self), value: String(decoding: value, as: UTF8.self)))
        }
        return true
    }

    private mutating func give(up fault: AnswerFault) -> Bool {
        self.fault = fault
        return false
    }

    private static func trim(_ value: Slice<UnsafeRawBufferPointer>) -> Slice<UnsafeRawBufferPointer> {
        var value = value
        while let byte = value.first, byte <= 32 { value.removeFirst() }
        while let byte = value.last, byte <= 32 { value.removeLast() }
        return value
    }
}
