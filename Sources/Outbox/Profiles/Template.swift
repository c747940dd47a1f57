// Text with variables such as `{event.id}`, compiled once per profile. Envelopes, signed strings and header lines are
// all templates, which is what lets a profile be a row of data instead of code.

/// A compiled template.
struct Template: Sendable, Hashable {
    /// What a template may refer to, by the name that stands between its braces.
    enum Variable: String, CaseIterable, Sendable {
        case eventID = "event.id"
        case eventType = "event.type"
        case createdAt = "event.created_at"
        case createdUnix = "event.created_unix"
        case createdMilliseconds = "event.created_ms"
        case organization = "event.organization"
        case user = "event.user"
        case recordID = "event.record_id"
        case data
        case deliveryID = "delivery.id"
        case attempt = "delivery.attempt"
        case destinationID = "destination.id"
        case timestamp
        case timestampMilliseconds = "timestamp.ms"
        case timestampISO = "timestamp.iso"
        case body
        case canonicalBody = "body.canonical"
        case signature
    }

    /// Where a template is used, which decides the variables it may have.
    enum Role: String, Sendable {
        case envelope, signed = "signed string", header

        func allows(_ variable: Variable) -> Bool {
            switch variable {
            case .eventID, .eventType, .createdAt, .createdUnix, .createdMilliseconds, .organization, .user, .recordID:
                true
            case .data: self == .envelope
            case .deliveryID, .attempt, .destinationID, .timestamp, .timestampMilliseconds, .timestampISO:
                self != .envelope
            case .body, .canonicalBody: self == .signed
            case .signature: self == .header
            }
        }
    }

    /// How a value is written: as it is, inside a JSON string, or as a whole JSON value.
    enum Placement: Sendable {
        case plain, stringContent, wholeValue
    }

    /// A piece of a template.
    enum Segment: Sendable, Hashable {
        case literal([UInt8])
        case variable(Variable, Placement)
    }

    let text: String
    let segments: [Segment]

    /// Compiles a template. Braces make a variable only around letters, dots and underscores, which never happens in
    /// JSON outside of strings.
    ///
    /// - Throws: `ProfileError` for unknown variables and for those that the role does not know.
    init(_ text: String, role: Role) throws(ProfileError) {
        var compiler = TemplateCompiler(role: role)
        self.text = text
        segments = try compiler.compile(Array(text.utf8))
    }

    /// Tells whether a variable occurs.
    func uses(_ variable: Variable) -> Bool {
        segments.contains { segment in
            if case .variable(variable, _) = segment { true } else { false }
        }
    }

    /// Tells whether the result is the same for every request to one destination.
    var isConstant: Bool {
        segments.allSatisfy { segment in
            switch segment {
            case .literal, .variable(.destinationID, _): true
            case .variable: false
            }
        }
    }
}

/// The compiler of templates; tracks JSON strings so that a variable knows how it must be written.
private struct TemplateCompiler {
    let role: Template.Role
    private var segments: [Template.Segment] = []
    private var literal: [UInt8] = []
    private var isInString = false

    init(role: Template.Role) {
        self.role = role
    }

    mutating func compile(_ text: [UInt8]) throws(ProfileError) -> [Template.Segment] {
        var index = 0
        while index < text.count {
            if let stop = variableEnd(from: index, in: text) {
                try appendVariable(String(decoding: text[(index + 1)..<stop], as: UTF8.self))
                index = stop + 1
            } else {
                index += appendLiteral(text, at: index)
            }
        }
        flush()
        return segments
    }

    /// The index of the closing brace, when a variable begins at `index`: nothing but the characters of names between.
    private func variableEnd(from index: Int, in text: [UInt8]) -> Int? {
        guard text[index] == UInt8(ascii: "{") else { return nil }
        let end = text[(index + 1)...].firstIndex { !isNameByte($0) } ?? text.endIndex
        guard end > index + 1, end < text.endIndex, text[end] == UInt8(ascii: "}") else { return nil }
        return end
    }

    private func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "."): true
        default: false
        }
    }

    private mutating func appendVariable(_ name: String) throws(ProfileError) {
        guard let variable = Template.Variable(rawValue: name) else { throw .unknownVariable(name) }
        guard role.allows(variable) else { throw .variableNotAllowed(name, in: role.rawValue) }
        flush()
        let placement: Template.Placement =
            role != .envelope || variable == .data ? .plain : isInString ? .stringContent : .wholeValue
        segments.append(.variable(variable, placement))
    }

    /// Takes over one byte, or an escape of two, and gives how many.
    private mutating func appendLiteral(_ text: [UInt8], at index: Int) -> Int {
        literal.append(text[index])
        if isInString, text[index] == UInt8(ascii: "\\"), index + 1 < text.count {
            literal.append(text[index + 1])
            return 2
        }
        if text[index] == UInt8(ascii: "\""), role == .envelope { isInString.toggle() }
        return 1
    }

    private mutating func flush() {
        if !literal.isEmpty { segments.append(.literal(literal)) }
        literal = []
    }
}
