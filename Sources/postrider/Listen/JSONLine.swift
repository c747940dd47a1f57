// JSON objects of one line with their keys in a given order, for `--json`.

/// Writes one JSON object.
struct JSONLine {
    private var members: [String] = []

    /// Adds a text, null for nil.
    mutating func add(_ key: String, _ text: String?) {
        members.append("\(Self.string(key)):\(text.map(Self.string) ?? "null")")
    }

    /// Adds a whole number.
    mutating func add(_ key: String, _ number: Int) { members.append("\(Self.string(key)):\(number)") }

    /// Adds an object of whole numbers.
    mutating func add(_ key: String, _ object: [(name: String, value: Int)]) {
        let inner = object.map { "\(Self.string($0.name)):\($0.value)" }
        members.append("\(Self.string(key)):{\(inner.joined(separator: ","))}")
    }

    /// Adds an object of texts.
    mutating func add(_ key: String, _ object: [(name: String, value: String)]) {
        let inner = object.map { "\(Self.string($0.name)):\(Self.string($0.value))" }
        members.append("\(Self.string(key)):{\(inner.joined(separator: ","))}")
    }

    /// The object, without a line end.
    var text: String { "{\(members.joined(separator: ","))}" }

    /// A JSON string with its quotes (RFC 8259 section 7).
    static func string(_ text: String) -> String {
        var output = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output + "\""
    }
}
