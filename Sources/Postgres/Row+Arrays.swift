// Array getters. Called by whoever reads results; the binary form is array_send's.

extension Row {
    /// A `boolean[]` without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func bools(_ column: Int) throws -> [Bool] {
        try elements(column, of: TypeOID.bool) { try $0.boolean(column) }
    }

    /// A `smallint[]` without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func int2s(_ column: Int) throws -> [Int16] {
        try elements(column, of: TypeOID.int2) { Int16(truncatingIfNeeded: try $0.integer(column)) }
    }

    /// An `integer[]` without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func int4s(_ column: Int) throws -> [Int32] {
        try elements(column, of: TypeOID.int4) { Int32(truncatingIfNeeded: try $0.integer(column)) }
    }

    /// A `bigint[]` without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func int8s(_ column: Int) throws -> [Int64] {
        try elements(column, of: TypeOID.int8) { try $0.integer(column) }
    }

    /// An array of a textual type without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func strings(_ column: Int) throws -> [String] {
        try elements(column, of: nil) { try $0.string(column) }
    }

    /// An array of a textual type in which NULL becomes nil; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or more than one dimension.
    public func optionalStrings(_ column: Int) throws -> [String?] {
        try elementsOrNil(column, of: nil) { try $0.string(column) }
    }

    /// A `uuid[]` without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func uuids(_ column: Int) throws -> [UUIDBytes] {
        try elements(column, of: TypeOID.uuid) { try $0.uuid(column) }
    }
}
