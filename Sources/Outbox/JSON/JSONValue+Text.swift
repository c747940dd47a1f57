// JSON values as text: constants of payload templates, and what commands send and print.

extension JSONValue {
    /// How members and elements are set apart.
    public enum Spacing: Sendable {
        /// No blanks, `{"a":1,"b":[2,3]}`.
        case compact
        /// As Postgres writes jsonb, `{"a": 1, "b": [2, 3]}`.
        case spaced
    }

    /// The value as JSON text in one line: members by name, numbers as they were written.
    public func text(_ spacing: Spacing = .compact) -> [UInt8] {
        var output: [UInt8] = []
        append(to: &output, spacing)
        return output
    }

    private func append(to output: inout [UInt8], _ spacing: Spacing) {
        let comma = spacing == .spaced ? ", " : ","
        switch self {
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { output.append(contentsOf: comma.utf8) }
                JSONText.appendValue(member.key, to: &output)
                output.append(contentsOf: (spacing == .spaced ? ": " : ":").utf8)
                member.value.append(to: &output, spacing)
            }
            output.append(UInt8(ascii: "}"))
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { output.append(contentsOf: comma.utf8) }
                element.append(to: &output, spacing)
            }
            output.append(UInt8(ascii: "]"))
        case .string(let text): JSONText.appendValue(text, to: &output)
        case .number(_, let text): output.append(contentsOf: text.utf8)
        case .bool(let value): output.append(contentsOf: (value ? "true" : "false").utf8)
        case .null: output.append(contentsOf: "null".utf8)
        }
    }
}
