// The secret that a destination gets: given or to be generated, of which kind, and with which date. Used by the commands
// that create destinations and rotate secrets.

internal import ArgumentParser
internal import Outbox

/// What signs.
enum SignatureKind: String, ExpressibleByArgument, CaseIterable {
    case hmac
    case ed25519
}

/// Of which kind a generated secret is, and by when it should be replaced.
struct NewSecretOptions: ParsableArguments {
    @Option(help: "Kind of a generated secret: hmac, or ed25519 where the profile has it (hmac).")
    var signature: SignatureKind?
    @Option(help: "By when it should be replaced: 90d. It signs on after it; doctor and workers warn (never).")
    var expiresIn: TimeArgument?

    /// What the options ask for.
    ///
    /// - Throws: ``CommandFailure`` when they do not go together, or with the profile.
    func secret(given: String?, for profile: Profile) throws -> NewSecret {
        try NewSecret(given: given, kind: signature, expiresIn: expiresIn, for: profile)
    }
}

/// A secret on its way to a destination.
struct NewSecret {
    /// The text that somebody gave; nil to generate one.
    let given: String?
    /// The kind that was asked for; nil for HMAC, or for whatever was given.
    let kind: SignatureKind?
    /// By when it should be replaced; nil for never.
    let expiresInMilliseconds: Int64?

    /// Makes one for a profile.
    ///
    /// - Throws: ``CommandFailure`` when the parts do not go together, or not with the profile.
    init(given: String?, kind: SignatureKind?, expiresIn: TimeArgument? = nil, for profile: Profile) throws {
        if given != nil, kind != nil {
            throw CommandFailure.failed("--signature is for secrets that are generated; one was given")
        }
        if profile.signature == nil, kind != nil || expiresIn != nil {
            throw CommandFailure.failed("profile \(profile.name) does not sign, so a secret is of no use")
        }
        if kind == .ed25519, profile.signature?.ed25519Prefix == nil {
            throw CommandFailure.failed("profile \(profile.name) has no Ed25519 signatures")
        }
        if let expiresIn, expiresIn.milliseconds < 1 { throw CommandFailure.failed("--expires-in must be positive") }
        self.given = given
        self.kind = kind
        expiresInMilliseconds = expiresIn?.milliseconds
    }

    /// Whether there must be a secret also where the profile needs none.
    var isAskedFor: Bool { kind != nil || expiresInMilliseconds != nil }

    /// The text: the one given, or a new one in the form of the profile.
    ///
    /// - Throws: `SecretError`, with a broken generator alone.
    func text(for profile: Profile) throws -> String {
        if let given { return given }
        var generator = SystemRandomNumberGenerator()
        if kind == .ed25519 { return try Secret.generateEd25519(using: &generator).reveal() }
        return Secret.generate(form: profile.secretForm, using: &generator).reveal()
    }
}
