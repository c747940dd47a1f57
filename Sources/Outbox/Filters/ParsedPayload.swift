// A payload that somebody has to understand. Made by the routing table of the worker at most once for each event, and by
// the command line.

/// A payload, parsed once for all filters and templates that look into it.
public struct ParsedPayload: Sendable {
    let document: JSONDocument

    /// Parses a payload.
    ///
    /// - Throws: `PayloadError` when it is not JSON, which what Postgres holds always is.
    public init(parsing data: [UInt8]) throws(PayloadError) {
        do { document = try JSONDocument(parsing: data) } catch { throw PayloadError(error.description) }
    }
}

/// Why a payload cannot be used as it is, or cannot be changed as a template says.
public struct PayloadError: Error, Equatable, CustomStringConvertible {
    /// What is wrong, in one line; quotes nothing of the payload.
    public let description: String

    /// Makes an error.
    public init(_ reason: String) { description = reason }
}
