// What is here: the part of an answer that is kept.
// Called by: whoever judges an Exchange.

/// The answer of a receiver: status, the headers asked for, and the beginning of the body.
public struct Response: Sendable, Hashable {
    /// One header line of the answer.
    public struct Header: Sendable, Hashable {
        /// The name in lower case.
        public var name: String
        /// The value without surrounding blanks; bytes that are not UTF-8 are replaced.
        public var value: String
    }

    /// The status code of the final answer, 200 to 599 from an honest receiver. Informational answers are skipped.
    public var status: Int

    /// The headers whose names are in `ExchangerSettings.keptHeaders`, in the order received, repetitions included.
    public var headers: [Header]

    /// The first bytes of the body as they came, never decompressed; at most `Request.responseLimit`.
    public var body: [UInt8]

    /// How many bytes of the body came behind those and were discarded.
    public var discardedBytes: Int

    /// Whether more of the body would have come than `Request.responseHardLimit` and was not read.
    public var isCut: Bool

    /// The value of the first kept header with this lower-case name.
    public func header(_ name: String) -> String? {
        for header in headers where header.name == name { return header.value }
        return nil
    }

    /// The value of `Retry-After` as sent: seconds or an HTTP date (RFC 9110 § 10.2.3).
    public var retryAfter: String? { header("retry-after") }
}
