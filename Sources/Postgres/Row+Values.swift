// Typed getters for columns that are not NULL. Called by whoever reads results.

extension Row {
    /// A boolean.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, NULL or no such column.
    public func bool(_ column: Int) throws -> Bool {
        try withField(column) { try $0.boolean(column) }
    }

    /// A smallint, integer, bigint or oid.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, NULL or no such column.
    public func int64(_ column: Int) throws -> Int64 {
        try withField(column) { try $0.integer(column) }
    }

    /// The same as ``int64(_:)`` in Swift's own integer.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, NULL or no such column.
    public func int(_ column: Int) throws -> Int {
        try withField(column) { Int(try $0.integer(column)) }
    }

    /// A real or double precision number; cast numeric in SQL.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, NULL or no such column.
    public func double(_ column: Int) throws -> Double {
        try withField(column) { try $0.double(column) }
    }

    /// A text, varchar, json, jsonb, enum label or other textual value.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, NULL or no such column.
    public func string(_ column: Int) throws -> String {
        try withField(column) { try $0.string(column) }
    }

    /// A uuid.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, NULL or no such column.
    public func uuid(_ column: Int) throws -> UUIDBytes {
        try withField(column) { try $0.uuid(column) }
    }

    /// A timestamptz, or a timestamp taken as UTC, in microseconds since 2000-01-01 00:00 UTC.
    /// `infinity` is `Int64.max`, `-infinity` is `Int64.min`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, NULL or no such column.
    public func timestamp(_ column: Int) throws -> Int64 {
        try withField(column) { try $0.timestamp(column) }
    }

    /// The bytes of a bytea, or the UTF-8 bytes of a textual value.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, NULL or no such column.
    public func bytes(_ column: Int) throws -> [UInt8] {
        try withField(column) { try $0.byteArray(column) }
    }
}
