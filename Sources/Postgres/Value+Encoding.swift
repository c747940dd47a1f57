// The type, size and bytes of each kind of parameter. Called by ParameterBuffer, first to measure, then to write.

extension Value.Content {
    /// The OID of the parameter's type; ``TypeOID/inferred`` leaves it to the server.
    var type: UInt32 {
        switch self {
        case .null, .text, .utf8: TypeOID.inferred
        case .interval: TypeOID.interval
        case .bool: TypeOID.bool
        case .int2: TypeOID.int2
        case .int4: TypeOID.int4
        case .int8: TypeOID.int8
        case .float8: TypeOID.float8
        case .bytea: TypeOID.bytea
        case .uuid: TypeOID.uuid
        case .timestamptz: TypeOID.timestamptz
        case .int2s, .optionalInt2s: TypeOID.int2Array
        case .int4s: TypeOID.int4Array
        case .int8s, .optionalInt8s: TypeOID.int8Array
        case .float8s: TypeOID.float8Array
        case .bools: TypeOID.boolArray
        case .texts, .optionalTexts, .utf8s, .optionalUTF8s: TypeOID.textArray
        case .uuids: TypeOID.uuidArray
        }
    }

    /// True for values in binary form; text goes as text so that the server reads it as whatever type it expects.
    var isBinary: Bool {
        switch self {
        case .null, .text, .utf8: false
        default: true
        }
    }

    /// The number of bytes of the value, without the terminator that text gets.
    var size: Int {
        switch self {
        case .null: 0
        case .text(let text): text.utf8.count
        case .utf8(let bytes): bytes.count
        case .interval: 16
        case .bool(let value): value.binarySize
        case .int2(let value): value.binarySize
        case .int4(let value): value.binarySize
        case .int8(let value): value.binarySize
        case .float8(let value): value.binarySize
        case .bytea(let value): value.binarySize
        case .uuid(let value): value.binarySize
        case .timestamptz(let value): value.binarySize
        case .int2s(let values): values.binaryArraySize
        case .optionalInt2s(let values): values.binaryArraySize
        case .int4s(let values): values.binaryArraySize
        case .int8s(let values): values.binaryArraySize
        case .optionalInt8s(let values): values.binaryArraySize
        case .float8s(let values): values.binaryArraySize
        case .bools(let values): values.binaryArraySize
        case .texts(let values): values.binaryArraySize
        case .optionalTexts(let values): values.binaryArraySize
        case .utf8s(let values): values.binaryArraySize
        case .optionalUTF8s(let values): values.binaryArraySize
        case .uuids(let values): values.binaryArraySize
        }
    }

    /// Writes exactly ``size`` bytes.
    func write(to writer: inout ByteWriter) {
        switch self {
        case .null: break
        case .text(let text): writer.put(text)
        case .utf8(let bytes): writer.put(bytes)
        case .interval(let microseconds):
            // interval_send: time, days, months.
            writer.put(microseconds)
            writer.put(Int64(0))
        case .bool(let value): value.write(to: &writer)
        case .int2(let value): value.write(to: &writer)
        case .int4(let value): value.write(to: &writer)
        case .int8(let value): value.write(to: &writer)
        case .float8(let value): value.write(to: &writer)
        case .bytea(let value): value.write(to: &writer)
        case .uuid(let value): value.write(to: &writer)
        case .timestamptz(let value): value.write(to: &writer)
        case .int2s(let values): values.writeArray(of: TypeOID.int2, to: &writer)
        case .optionalInt2s(let values): values.writeArray(of: TypeOID.int2, to: &writer)
        case .int4s(let values): values.writeArray(of: TypeOID.int4, to: &writer)
        case .int8s(let values): values.writeArray(of: TypeOID.int8, to: &writer)
        case .optionalInt8s(let values): values.writeArray(of: TypeOID.int8, to: &writer)
        case .float8s(let values): values.writeArray(of: TypeOID.float8, to: &writer)
        case .bools(let values): values.writeArray(of: TypeOID.bool, to: &writer)
        case .texts(let values): values.writeArray(of: TypeOID.text, to: &writer)
        case .optionalTexts(let values): values.writeArray(of: TypeOID.text, to: &writer)
        case .utf8s(let values): values.writeArray(of: TypeOID.text, to: &writer)
        case .optionalUTF8s(let values): values.writeArray(of: TypeOID.text, to: &writer)
        case .uuids(let values): values.writeArray(of: TypeOID.uuid, to: &writer)
        }
    }
}
