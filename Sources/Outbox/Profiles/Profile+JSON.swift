// Profiles as JSON objects: a row of webhook_profiles as the store loads it, and a file as operators write it.
// docs/profiles.md lists the members.

extension Profile {
    /// The members of a profile's JSON form, which are the columns of `webhook_profiles`.
    static let members: Set<String> = [
        "name", "purpose", "content_type", "user_agent", "envelope", "headers", "signs", "encoding", "prefix",
        "ed25519_prefix", "separator", "secret_form",
    ]

    /// Reads a profile's JSON form. Members that are missing or null have the defaults of `webhook_profiles`.
    ///
    /// - Throws: `ProfileError` that names the member, or what else is wrong with it.
    public convenience init(parsing text: [UInt8]) throws(ProfileError) {
        let reader = try MemberReader(text)
        let name = try reader.text("name") ?? ""
        guard Self.isName(name) else { throw .name(name) }
        guard let envelope = try reader.text("envelope") else { throw .member("envelope", reason: "it is missing") }
        try self.init(
            name: name, purpose: reader.text("purpose"),
            contentType: reader.text("content_type") ?? "application/json",
            userAgent: reader.text("user_agent") ?? Profile.ownUserAgent, envelope: envelope,
            headers: reader.texts("headers"), signature: reader.recipe(),
            secretForm: reader.choice("secret_form") ?? .text)
    }

    /// Whether a text can be the name of an added profile: 1 to 64 of `a-z 0-9 _ -`, the first a letter.
    public static func isName(_ text: String) -> Bool {
        let isFirst = text.utf8.first.map { (0x61...0x7A).contains($0) } ?? false
        return isFirst && text.utf8.count <= 64
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F || $0 == 0x2D
            }
    }

    /// The profile's JSON form with every member, a line each, as ``init(parsing:)`` reads it.
    public var json: String {
        let lines = [
            ("name", Self.value(name)), ("purpose", Self.value(purpose)), ("content_type", Self.value(contentType)),
            ("user_agent", Self.value(userAgent)), ("envelope", Self.value(envelope)),
            ("headers", headers.isEmpty ? "[]" : "[\n    \(headers.map(Self.value).joined(separator: ",\n    "))\n  ]"),
            ("signs", Self.value(signature?.signs)),
            ("encoding", Self.value((signature?.encoding ?? .hex).rawValue)),
            ("prefix", Self.value(signature?.prefix ?? "")),
            ("ed25519_prefix", Self.value(signature?.ed25519Prefix)),
            ("separator", Self.value(signature?.separator)), ("secret_form", Self.value(secretForm.rawValue)),
        ]
        return "{\n" + lines.map { "  \(Self.value($0)): \($1)" }.joined(separator: ",\n") + "\n}"
    }

    private static func value(_ text: String?) -> String {
        var output: [UInt8] = []
        JSONText.appendValue(text, to: &output)
        return String(decoding: output, as: UTF8.self)
    }
}

/// The members of a profile's JSON form by type.
private struct MemberReader {
    private let members: [String: JSONValue]

    init(_ text: [UInt8]) throws(ProfileError) {
        do {
            members = try JSONValue(parsing: text).members(Profile.members)
        } catch {
            throw .member("the profile", reason: error.reason)
        }
    }

    func text(_ name: String) throws(ProfileError) -> String? {
        switch members[name] ?? .null {
        case .null: return nil
        case .string(let text): return text
        default: throw .member(name, reason: "expected a string")
        }
    }

    func texts(_ name: String) throws(ProfileError) -> [String] {
        switch members[name] ?? .null {
        case .null: return []
        case .array(let elements):
            var texts: [String] = []
            for element in elements {
                guard case .string(let text) = element else { throw .member(name, reason: "expected strings") }
                texts.append(text)
            }
            return texts
        default: throw .member(name, reason: "expected a list of strings")
        }
    }

    /// One of the words of a type; nil when the member is not there.
    func choice<Choice: RawRepresentable & CaseIterable>(
        _ name: String
    ) throws(ProfileError) -> Choice? where Choice.RawValue == String {
        guard let text = try text(name) else { return nil }
        guard let choice = Choice(rawValue: text) else {
            let words = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw .member(name, reason: "\(text.debugDescription) is none of \(words)")
        }
        return choice
    }

    func recipe() throws(ProfileError) -> SignatureRecipe? {
        let encoding: SignatureRecipe.Encoding? = try choice("encoding")
        guard let signs = try text("signs") else { return nil }
        return SignatureRecipe(
            signs: signs, encoding: encoding ?? .hex, prefix: try text("prefix") ?? "",
            ed25519Prefix: try text("ed25519_prefix"), separator: try text("separator"))
    }
}
