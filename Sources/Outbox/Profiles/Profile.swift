// A wire format as data: what the body looks like, what is signed, and which headers say so.
// Built in for the systems that Postrider replaces; operators add their own as rows.

/// Everything a receiver can see of a sender, except URL, secret and payload.
///
/// Templates name variables in braces: `{event.id}`, `{event.type}`, `{event.created_at}` (ISO 8601 UTC with
/// milliseconds), `{event.created_unix}` (seconds), `{event.created_ms}` (milliseconds), `{event.organization}`,
/// `{event.user}`, `{event.record_id}` everywhere; `{data}` in the envelope; `{delivery.id}`, `{delivery.attempt}`,
/// `{destination.id}`, `{timestamp}` (unix seconds of this attempt), `{timestamp.ms}` (the same in milliseconds) and
/// `{timestamp.iso}` in headers and in the signed string; `{body}` and `{body.canonical}` in the signed string;
/// `{signature}` in headers.
///
/// A body never depends on the attempt or the destination: a retry repeats the bytes of the first attempt.
///
/// Immutable, and a class so that 100,000 destinations share one.
public final class Profile: Sendable {
    /// Its name, unique among built-in and added profiles.
    public let name: String
    /// What it is for, for people; nil when nobody said.
    public let purpose: String?
    /// The value of `Content-Type`.
    public let contentType: String
    /// The value of `User-Agent`.
    public let userAgent: String
    /// The body as a template of JSON. A variable inside quotes is escaped; outside of them it is a whole JSON value,
    /// `null` when the event has none.
    public let envelope: String
    /// Further header lines as templates. Lines with `{signature}` are left out for destinations without a secret.
    public let headers: [String]
    /// How requests are signed; nil for never.
    public let signature: SignatureRecipe?
    /// How secrets are written, and thereby what their key bytes are.
    public let secretForm: SecretForm

    let envelopeTemplate: Template
    let headerTemplates: [HeaderTemplate]
    let signedTemplate: Template?

    /// Makes a profile and compiles its templates.
    ///
    /// - Throws: `ProfileError`: a template has an unknown or misplaced variable, the envelope is not JSON, or a header
    ///   cannot be sent.
    public init(
        name: String,
        purpose: String? = nil,
        contentType: String = "application/json",
        userAgent: String = Profile.ownUserAgent,
        envelope: String,
        headers: [String] = [],
        signature: SignatureRecipe? = nil,
        secretForm: SecretForm = .text
    ) throws(ProfileError) {
        self.name = name
        self.purpose = purpose
        self.contentType = contentType
        self.userAgent = userAgent
        self.envelope = envelope
        self.headers = headers
        self.signature = signature
        self.secretForm = secretForm
        envelopeTemplate = try Template(envelope, role: .envelope)
        signedTemplate = if let signature { try Template(signature.signs, role: .signed) } else { nil }
        if let signedTemplate, signedTemplate.segments.filter(Self.isBody).count != 1 { throw .bodyNotSignedOnce }
        headerTemplates = try Self.compile(headers, hasSignature: signature != nil)
        if let signature { try Self.check(signature, headers: headerTemplates, secretForm: secretForm) }
        try Self.checkValue(contentType, of: "Content-Type")
        try Self.checkValue(userAgent, of: "User-Agent")
        try Self.checkEnvelope(envelopeTemplate)
    }

    /// The User-Agent of profiles that have no historic one.
    ///
    /// The comment is there because n8n's "Ignore Bots" refuses a bare `name/version` (package `isbot`).
    public static let ownUserAgent = "Postrider/1.0 (webhooks)"

    /// The names of headers that this profile sends itself, lower case; custom headers may not repeat them.
    public var headerNames: Set<String> {
        Set(headerTemplates.map { $0.name.lowercased() }).union(["content-type", "user-agent"])
    }

    /// Tells whether a secret can sign in this format: Ed25519 needs a place for its signatures.
    public func canUse(_ secret: Secret) -> Bool {
        guard let signature, signature.ed25519Prefix == nil else { return true }
        return !secret.isAsymmetric
    }

    /// Tells whether a segment of a signed string stands for the body, raw or canonical.
    static func isBody(_ segment: Template.Segment) -> Bool {
        switch segment {
        case .variable(.body, _), .variable(.canonicalBody, _): true
        case .variable, .literal: false
        }
    }

    private static func compile(_ lines: [String], hasSignature: Bool) throws(ProfileError) -> [HeaderTemplate] {
        var templates: [HeaderTemplate] = []
        var names: Set<String> = ["content-type", "user-agent"]
        for line in lines {
            let template = try HeaderTemplate(line)
            if template.value.uses(.signature), !hasSignature { throw .signatureWithoutRecipe(header: template.name) }
            if !names.insert(template.name.lowercased()).inserted { throw .repeatedHeader(template.name) }
            templates.append(template)
        }
        return templates
    }

    /// Checks that signatures reach the receiver, and that what surrounds them can stand in a header.
    private static func check(
        _ recipe: SignatureRecipe, headers: [HeaderTemplate], secretForm: SecretForm
    ) throws(ProfileError) {
        if !headers.contains(where: { $0.value.uses(.signature) }) { throw .signatureNotSent }
        if recipe.ed25519Prefix != nil, secretForm != .standard { throw .ed25519WithoutStandardSecrets }
        if recipe.separator == "" { throw .emptySeparator }
        for text in [recipe.prefix, recipe.ed25519Prefix ?? "", recipe.separator ?? ""] {
            for byte in text.utf8 where !HeaderField.isValueByte(byte) { throw .header("signature", .valueByte(byte)) }
        }
    }

    private static func checkValue(_ value: String, of name: String) throws(ProfileError) {
        do {
            try HeaderField.validateValue(value)
        } catch {
            throw .header(name, error)
        }
    }

    /// Renders the envelope with a sample, whose every value is absent or hostile, and parses the result. The payload
    /// has quotes, because `{data}` within quotes would break with the first payload that has them.
    private static func checkEnvelope(_ template: Template) throws(ProfileError) {
        let event = Event(
            id: EventID(high: 0, low: 0), type: "a\"\\\n", createdAtMicroseconds: 0, data: Array(#"["a"]"#.utf8)
        )
        do {
            _ = try JSONDocument(parsing: Envelope.render(template, event))
        } catch {
            throw .envelopeIsNotJSON(reason: error.description)
        }
    }
}
