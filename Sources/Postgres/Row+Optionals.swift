// Typed getters for columns that may be NULL. Called by whoever reads results.

extension Row {
    /// A boolean. Nil for NULL.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or column.
    public func boolOrNil(_ column: Int) throws -> Bool? {
        try withFieldOrNil(column) { try $0.boolean(column) }
    }

    /// A smallint, integer, bigint or oid. Nil for NULL.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or column.
    public func int64OrNil(_ column: Int) throws -> Int64? {
        try withFieldOrNil(column) { try $0.integer(column) }
    }

    /// The same as ``int64OrNil(_:)`` in Swift's own integer.
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

    /// A uuid. Nil for NULL.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or column.
    public func uuidOrNil(_ column: Int) throws -> UUIDBytes? {
        try withFieldOrNil(column) { try $0.uuid(column) }
    }

    /// A timestamptz, or a timestamp taken as UTC, in microseconds since 2000-01-01 00:00 UTC.
    /// `infinity` is `Int64.max`, `-infinity` is `Int64.min`. Nil for NULL.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or column.
    public func timestampOrNil(_ column: Int) throws -> Int64? {
        try withFieldOrNil(column) { try $0.timestamp(column) }
    }

    /// An interval without months, in microseconds; its days count 24 hours. Nil for NULL.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or column.
    public func intervalOrNil(_ column: Int) throws -> Int64? {
        try withFieldOrNil(column) { try $0.interval(column) }
    }

    /// The bytes of a bytea, or the UTF-8 bytes of a textual value. Nil for NULL.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or column.
    public func bytesOrNil(_ column: Int) throws -> [UInt8]? {
        try withFieldOrNil(column) { try $0.byteArray(column) }
    }
}
