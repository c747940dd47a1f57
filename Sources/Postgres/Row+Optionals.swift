// Typed getters for columns that may be NULL. Called by whoever reads results.

extension Row {
    /// A smallint, integer, bigint or oid. Nil for NULL.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or column.
    public func intOrNil(_ column: Int) throws -> Int? {
        try withFieldOrNil(column) { Int(try $0.integer(column)) }
    }

    /// A real or double precision number; cast numeric in SQL. Nil for NULL.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or column.
    public func doubleOrNil(_ column: Int) throws -> Double? {
        try withFieldOrNil(column) { try $0.double(column) }
    }

    /// A text, varchar, json, jsonb, enum label or other textual value. Nil for NULL.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or column.
    public func stringOrNil(_ column: Int) throws -> String? {
        try withFieldOrNil(column) { try $0.string(column) }
    }
}
