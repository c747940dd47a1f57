// The object ids of the built-in types this module writes and reads. They are fixed in pg_type.dat for all servers.

/// Object ids of built-in types (`src/include/catalog/pg_type.dat`).
enum TypeOID {
    /// Lets the server infer the type from where the parameter stands.
    static let inferred: UInt32 = 0

    static let bool: UInt32 = 16
    static let bytea: UInt32 = 17
    static let char: UInt32 = 18
    static let name: UInt32 = 19
    static let int8: UInt32 = 20
    static let int2: UInt32 = 21
    static let int4: UInt32 = 23
    static let text: UInt32 = 25
    static let oid: UInt32 = 26
    static let json: UInt32 = 114
    static let xml: UInt32 = 142
    static let float4: UInt32 = 700
    static let float8: UInt32 = 701
    static let unknown: UInt32 = 705
    static let bpchar: UInt32 = 1042
    static let varchar: UInt32 = 1043
    static let timestamp: UInt32 = 1114
    static let timestamptz: UInt32 = 1184
    static let interval: UInt32 = 1186
    static let uuid: UInt32 = 2950
    static let jsonb: UInt32 = 3802

    static let boolArray: UInt32 = 1000
    static let int2Array: UInt32 = 1005
    static let int4Array: UInt32 = 1007
    static let textArray: UInt32 = 1009
    static let int8Array: UInt32 = 1016
    static let float8Array: UInt32 = 1022
    static let uuidArray: UInt32 = 2951

    /// The first id that is not built in: enums, domains over nothing, extension types such as citext.
    static let firstUserDefined: UInt32 = 16384

    /// True for types whose binary form is their text: character types, json, enums and extension types.
    static func isTextual(_ type: UInt32) -> Bool {
        switch type {
        case text, varchar, bpchar, name, char, json, xml, unknown: true
        default: type >= firstUserDefined
        }
    }
}
