// One value of one row, still in the server's bytes. Made by Row; decoded here, one function per Swift type.

/// A value that is not NULL. Lives only inside the closure it is lent to.
struct Field {
    /// The bytes as sent.
    let bytes: UnsafeRawBufferPointer
    /// The OID of the column's type.
    let type: UInt32
    /// False for rows of a script, which arrive as text.
    let isBinary: Bool
    /// The row, for error messages.
    let row: Row

    /// A big-endian integer at an offset; the caller has checked the length.
    @inline(__always)
    func load<Number: FixedWidthInteger>(_ offset: Int = 0, as: Number.Type) -> Number {
        Number(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }

    /// An error for a value of another type than asked for.
    func mismatch(_ column: Int, _ wanted: String) -> PostgresError {
        row.failure(column, "has type \(type) in \(isBinary ? "binary" : "text"), not \(wanted)")
    }

    /// Any of smallint, integer, bigint and oid; the length tells which.
    @inline(__always)
    func integer(_ column: Int) throws -> Int64 {
        guard isBinary else { throw mismatch(column, "an integer") }
        switch type {
        case TypeOID.int8 where bytes.count == 8: return load(as: Int64.self)
        case TypeOID.int4 where bytes.count == 4: return Int64(load(as: Int32.self))
        case TypeOID.int2 where bytes.count == 2: return Int64(load(as: Int16.self))
        case TypeOID.oid where bytes.count == 4: return Int64(load(as: UInt32.self))
        default: throw mismatch(column, "an integer")
        }
    }

    /// A boolean.
    func boolean(_ column: Int) throws -> Bool {
        guard isBinary, type == TypeOID.bool, bytes.count == 1 else { throw mismatch(column, "boolean") }
        return bytes[0] != 0
    }

    /// A real or double precision number.
    func double(_ column: Int) throws -> Double {
        guard isBinary else { throw mismatch(column, "double precision") }
        switch type {
        case TypeOID.float8 where bytes.count == 8: return Double(bitPattern: load(as: UInt64.self))
        case TypeOID.float4 where bytes.count == 4: return Double(Float(bitPattern: load(as: UInt32.self)))
        default: throw mismatch(column, "double precision (cast numeric in SQL)")
        }
    }

    /// A uuid.
    func uuid(_ column: Int) throws -> UUIDBytes {
        guard isBinary, type == TypeOID.uuid, bytes.count == 16 else { throw mismatch(column, "uuid") }
        return UUIDBytes(high: load(as: UInt64.self), low: load(8, as: UInt64.self))
    }

    /// A timestamp in microseconds since 2000-01-01; one without time zone is taken as UTC.
    func timestamp(_ column: Int) throws -> Int64 {
        guard isBinary, type == TypeOID.timestamptz || type == TypeOID.timestamp, bytes.count == 8 else {
            throw mismatch(column, "timestamptz")
        }
        return load(as: Int64.self)
    }

    /// The UTF-8 bytes of a text, json or jsonb value, an enum's label, or any value that arrived as text.
    func characters(_ column: Int) throws -> UnsafeRawBufferPointer {
        if !isBinary || TypeOID.isTextual(type) { return bytes }
        // jsonb_send puts a version number before the text.
        guard type == TypeOID.jsonb, bytes.first == 1 else { throw mismatch(column, "text") }
        return UnsafeRawBufferPointer(rebasing: bytes.dropFirst())
    }

    /// Text. A database in SQL_ASCII can hold bytes that are no UTF-8; they are refused, not repaired.
    func string(_ column: Int) throws -> String {
        guard let text = String(validating: try characters(column), as: UTF8.self) else {
            throw row.failure(column, "is not valid UTF-8")
        }
        return text
    }

    /// Bytes of bytea, or the UTF-8 bytes of a textual type.
    func byteArray(_ column: Int) throws -> [UInt8] {
        if isBinary && type == TypeOID.bytea { return [UInt8](bytes) }
        return [UInt8](try characters(column))
    }

    /// Text for people.
    func displayed(_ column: Int) throws -> String {
        guard isBinary else { return try string(column) }
        switch type {
        case TypeOID.int2, TypeOID.int4, TypeOID.int8, TypeOID.oid: return String(try integer(column))
        case TypeOID.bool: return try boolean(column) ? "t" : "f"
        case TypeOID.uuid: return try uuid(column).description
        case TypeOID.float4, TypeOID.float8: return String(try double(column))
        default: return try string(column)
        }
    }
}
