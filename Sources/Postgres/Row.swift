// One row and the way from a column to its bytes. The typed getters are in Row+Values, Row+Optionals and Row+Arrays.

internal import CLibPQ

/// One row of a result: a light reference, valid as long as anyone holds it.
///
/// Getters take a column's position, check its type, and throw ``PostgresError`` of code `decoding` naming query and
/// column (never the value) when the column does not exist, has another type, or is NULL where no NULL was expected.
public struct Row: Sendable {
    /// The result this row belongs to.
    let rows: Rows
    /// The row's position.
    let index: Int32

    /// The number of columns.
    public var count: Int { rows.width }

    /// True when the column is NULL.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` when there is no such column.
    public func isNull(_ column: Int) throws -> Bool {
        PQgetisnull(rows.result, index, try position(column)) == 1
    }

    /// The value as text: exact for rows of a `script` and for character types; integers, booleans and uuids are
    /// written as Postgres does. Nil for NULL, for a column that does not exist, and for other binary types.
    ///
    /// - Parameter column: the column's position.
    public func text(_ column: Int) -> String? {
        guard let found = try? withFieldOrNil(column, { try $0.displayed(column) }) else { return nil }
        return found
    }

    /// Checks a column's position.
    private func position(_ column: Int) throws -> Int32 {
        guard column >= 0, column < rows.width else {
            throw PostgresError(
                code: .decoding, message: "column \(column) does not exist, the result has \(rows.width)",
                queryName: rows.queryName)
        }
        return Int32(truncatingIfNeeded: column)
    }

    /// Lends a value that must not be NULL.
    @inline(__always)
    func withField<Result>(_ column: Int, _ body: (Field) throws -> Result) throws -> Result {
        guard let result = try withFieldOrNil(column, body) else { throw failure(column, "is NULL") }
        return result
    }

    /// Lends a value, or returns nil for NULL. The bytes belong to the result, which is kept alive meanwhile.
    @inline(__always)
    func withFieldOrNil<Result>(_ column: Int, _ body: (Field) throws -> Result) throws -> Result? {
        let position = try position(column)
        return try withExtendedLifetime(rows) {
            guard PQgetisnull(rows.result, index, position) == 0 else { return nil }
            let length = Int(PQgetlength(rows.result, index, position))
            let bytes = UnsafeRawBufferPointer(start: PQgetvalue(rows.result, index, position), count: length)
            return try body(
                Field(
                    bytes: bytes, type: PQftype(rows.result, position),
                    isBinary: PQfformat(rows.result, position) == 1, row: self))
        }
    }

    /// An error about a column, with its name and the query's.
    func failure(_ column: Int, _ problem: String) -> PostgresError {
        let name = PQfname(rows.result, Int32(truncatingIfNeeded: column)).map { String(cString: $0) } ?? "?"
        var error = PostgresError(
            code: .decoding, message: "column \(column) (\(name)) \(problem)", queryName: rows.queryName)
        error.column = name
        return error
    }
}
