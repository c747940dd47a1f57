// A query's result. Made by the session from a PGresult; read by callers through Row.

internal import CLibPQ

/// The rows of one statement in the order the server sent them, kept in libpq's memory until the last use.
///
/// Any task may read it, also after the connection has closed. Subscripting beyond `count` stops the program, as for
/// an array.
public final class Rows: @unchecked Sendable, RandomAccessCollection {
    // @unchecked: a PGresult never changes after libpq hands it out, and PQgetvalue and its kin only read it
    // (libpq documentation, "Behavior in Threaded Programs").

    /// The result; freed in deinit.
    let result: OpaquePointer
    /// The statement's name, part of every decoding error.
    public let queryName: String
    /// The number of rows; 0 for commands that return none.
    public let count: Int
    /// The number of columns.
    let width: Int

    /// Takes over a result.
    ///
    /// - Parameters:
    ///   - result: a successful `PGresult`; freed by this object.
    ///   - queryName: the statement's name.
    init(owning result: OpaquePointer, queryName: String) {
        self.result = result
        self.queryName = queryName
        count = Int(PQntuples(result))
        width = Int(PQnfields(result))
    }

    deinit { PQclear(result) }

    /// The names of the columns in order; duplicates are possible.
    public var columns: [String] {
        (0..<Int32(width)).map { PQfname(result, $0).map { String(cString: $0) } ?? "" }
    }

    /// The position of the first column of that name, nil when there is none; compares exactly, without folding case.
    ///
    /// - Parameter name: a column's name or alias.
    public func column(named name: String) -> Int? { columns.firstIndex(of: name) }

    /// The number of rows inserted, updated, deleted, merged or returned (`PQcmdTuples`); 0 for other commands.
    public var affected: Int {
        guard let text = PQcmdTuples(result) else { return 0 }
        return Int(String(cString: text)) ?? 0
    }

    /// The command tag, for example `UPDATE 3` (`PQcmdStatus`).
    public var command: String { PQcmdStatus(result).map { String(cString: $0) } ?? "" }

    /// 0.
    public var startIndex: Int { 0 }
    /// The number of rows.
    public var endIndex: Int { count }

    /// One row.
    ///
    /// - Parameter position: 0 ..< `count`.
    public subscript(position: Int) -> Row {
        precondition(position >= 0 && position < count, "row beyond the end of a result")
        return Row(rows: self, index: Int32(truncatingIfNeeded: position))
    }

    /// The only row.
    ///
    /// - Throws: ``PostgresError`` of code `decoding` when there is not exactly one row.
    public func one() throws -> Row {
        guard count == 1 else {
            throw PostgresError(
                code: .decoding, message: "expected one row, the result has \(count)", queryName: queryName)
        }
        return self[0]
    }
}
