// Array getters. Called by whoever reads results; the binary form is array_send's.

extension Row {
    /// A `boolean[]` without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func bools(_ column: Int) throws -> [Bool] {
        try elements(column, of: TypeOID.bool) { try $0.boolean(column) }
    }

    /// A `boolean[]` in which NULL becomes nil; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or more than one dimension.
    public func optionalBools(_ column: Int) throws -> [Bool?] {
        try elementsOrNil(column, of: TypeOID.bool) { try $0.boolean(column) }
    }

    /// A `smallint[]` without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func int2s(_ column: Int) throws -> [Int16] {
        try elements(column, of: TypeOID.int2) { Int16(truncatingIfNeeded: try $0.integer(column)) }
    }

    /// A `smallint[]` in which NULL becomes nil; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or more than one dimension.
    public func optionalInt2s(_ column: Int) throws -> [Int16?] {
        try elementsOrNil(column, of: TypeOID.int2) { Int16(truncatingIfNeeded: try $0.integer(column)) }
    }

    /// An `integer[]` without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func int4s(_ column: Int) throws -> [Int32] {
        try elements(column, of: TypeOID.int4) { Int32(truncatingIfNeeded: try $0.integer(column)) }
    }

    /// An `integer[]` in which NULL becomes nil; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or more than one dimension.
    public func optionalInt4s(_ column: Int) throws -> [Int32?] {
        try elementsOrNil(column, of: TypeOID.int4) { Int32(truncatingIfNeeded: try $0.integer(column)) }
    }

    /// A `bigint[]` without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func int8s(_ column: Int) throws -> [Int64] {
        try elements(column, of: TypeOID.int8) { try $0.integer(column) }
    }

    /// A `bigint[]` in which NULL becomes nil; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or more than one dimension.
    public func optionalInt8s(_ column: Int) throws -> [Int64?] {
        try elementsOrNil(column, of: TypeOID.int8) { try $0.integer(column) }
    }

    /// The same as ``int8s(_:)``, named like ``int64(_:)``.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func int64s(_ column: Int) throws -> [Int64] { try int8s(column) }

    /// A `double precision[]` without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func float8s(_ column: Int) throws -> [Double] {
        try elements(column, of: TypeOID.float8) { try $0.double(column) }
    }

    /// A `double precision[]` in which NULL becomes nil; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or more than one dimension.
    public func optionalFloat8s(_ column: Int) throws -> [Double?] {
        try elementsOrNil(column, of: TypeOID.float8) { try $0.double(column) }
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

    /// A `uuid[]` in which NULL becomes nil; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or more than one dimension.
    public func optionalUUIDs(_ column: Int) throws -> [UUIDBytes?] {
        try elementsOrNil(column, of: TypeOID.uuid) { try $0.uuid(column) }
    }

    /// A `timestamptz[]` in microseconds since 2000-01-01 00:00 UTC without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func timestamps(_ column: Int) throws -> [Int64] {
        try elements(column, of: TypeOID.timestamptz) { try $0.timestamp(column) }
    }

    /// A `timestamptz[]` in microseconds since 2000-01-01 00:00 UTC in which NULL becomes nil; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or more than one dimension.
    public func optionalTimestamps(_ column: Int) throws -> [Int64?] {
        try elementsOrNil(column, of: TypeOID.timestamptz) { try $0.timestamp(column) }
    }

    /// A `bytea[]` without NULLs; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type, a NULL in it, or more than one dimension.
    public func byteas(_ column: Int) throws -> [[UInt8]] {
        try elements(column, of: TypeOID.bytea) { try $0.byteArray(column) }
    }

    /// A `bytea[]` in which NULL becomes nil; empty for `{}`.
    ///
    /// - Parameter column: the column's position.
    /// - Throws: ``PostgresError`` of code `decoding` for another type or more than one dimension.
    public func optionalByteas(_ column: Int) throws -> [[UInt8]?] {
        try elementsOrNil(column, of: TypeOID.bytea) { try $0.byteArray(column) }
    }
}
