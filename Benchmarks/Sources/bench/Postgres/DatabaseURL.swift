// The address of a database of its own on the server that DATABASE_URL names. Server uses it.

import CLibPQ

/// Makes database URLs.
enum DatabaseURL {
    /// The same server, user and settings with another database.
    ///
    /// - Throws: ``BenchError`` when libpq does not understand the URL.
    static func naming(_ database: String, like url: String) throws -> String {
        var settings = try parse(url)
        settings["dbname"] = database
        return compose(settings)
    }

    /// The same database with the rights of a role from the first statement on: an address for a login of that name
    /// would need to know how the server asks for passwords.
    ///
    /// - Throws: ``BenchError`` when libpq does not understand the URL.
    static func asRole(_ role: String, _ url: String) throws -> String {
        var settings = try parse(url)
        settings["options"] = [settings["options"], "-c role=\(role)"].compactMap(\.self).joined(separator: " ")
        return compose(settings)
    }

    private static func compose(_ given: [String: String]) -> String {
        var settings = given
        let database = settings.removeValue(forKey: "dbname") ?? ""
        let query = settings.sorted { $0.key < $1.key }.map { "\($0.key)=\(escaped($0.value))" }
        return "postgresql:///\(escaped(database))?\(query.joined(separator: "&"))"
    }

    private static func parse(_ url: String) throws -> [String: String] {
        guard let options = PQconninfoParse(url, nil) else { throw BenchError("DATABASE_URL is no address.") }
        defer { PQconninfoFree(options) }
        var settings: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { settings[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return settings
    }

    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "/"):
                String(UnicodeScalar(byte))
            default: "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }.joined()
    }
}
