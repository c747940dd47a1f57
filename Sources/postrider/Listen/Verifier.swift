// Checks signatures as a receiver does: of every built-in profile, in constant time, with a tolerance in time.
// Called for each request by `postrider listen` and by the demo's receivers. Pure: the time comes in as an argument.

internal import Crypto
internal import Foundation
internal import Outbox

/// What the check of a signature found.
enum SignatureVerdict: Sendable, Equatable {
    /// Signed with one of the secrets, and recently.
    case ok
    /// Signed, but not so; the reason in a few words, which never hold a secret or an expected signature.
    case bad(String)
    /// Not signed.
    case none
    /// Nobody gave a secret to check it with.
    case unchecked

    /// One word for machines: `ok`, `bad`, `none` or `unchecked`.
    var word: String {
        switch self {
        case .ok: "ok"
        case .bad: "bad"
        case .none: "none"
        case .unchecked: "unchecked"
        }
    }

    /// Why it is bad; nil otherwise.
    var reason: String? { if case .bad(let reason) = self { reason } else { nil } }
}

/// What a receiver knows of a request after it looked at it.
struct Inspection: Sendable, Equatable {
    /// The profile by which it was read; nil when none fits.
    var profile: String?
    /// The event's type; nil when neither header nor body tell it.
    var eventType: String?
    /// The event's id; nil when neither header nor body tell it.
    var eventID: String?
    var signature: SignatureVerdict
}

/// Reads and verifies requests of one profile, or of whichever built-in profile fits a request best.
struct Verifier: Sendable {
    /// How far a signed timestamp may be from now, both ways (Standard Webhooks, "Verifying webhook authenticity").
    static let tolerance: Int64 = 300

    private let readers: [ProfileReader]

    /// Makes a verifier.
    ///
    /// - Parameters:
    ///   - profile: the only profile to expect; nil for all built-in ones.
    ///   - secrets: texts of the secrets, any of which may have signed; `whpk_` public keys too. Empty to check nothing.
    /// - Throws: `SecretError` when the one profile cannot use a secret.
    init(profile: Profile?, secrets: [String]) throws {
        if let profile {
            readers = [try ProfileReader(profile, secrets: secrets)]
        } else {
            // By name, so that the choice between equal fits does not depend on chance; but first the one whose headers
            // others share.
            let all = Profile.builtIn.values.sorted {
                ($0.name == "standard" ? 0 : 1, $0.name) < ($1.name == "standard" ? 0 : 1, $1.name)
            }
            // A secret that is not base64 is no secret of Standard Webhooks, but may be one of another profile.
            readers = try all.map { profile in
                do { return try ProfileReader(profile, secrets: secrets) } catch is SecretError {
                    return try ProfileReader(profile, secrets: [])
                }
            }
        }
    }

    /// Reads a request and checks its signature.
    ///
    /// - Parameters:
    ///   - request: the request.
    ///   - unixSeconds: now.
    func inspect(_ request: ReceivedRequest, unixSeconds: Int64) -> Inspection {
        let fits = readers.map { (reader: $0, fit: $0.fit(request)) }
        guard let best = fits.max(by: { $0.fit < $1.fit }), best.fit > 0 || readers.count == 1 else {
            return Inspection(signature: .none)
        }
        return best.reader.inspect(request, unixSeconds: unixSeconds)
    }
}

/// One profile as a receiver sees it.
private struct ProfileReader: Sendable {
    private let profile: Profile
    private let headers: [HeaderPattern]
    private let signed: TextPattern?
    private let checkers: [SignatureChecker]
    private let idInBody: EnvelopePattern?
    private let typeInBody: EnvelopePattern?

    init(_ profile: Profile, secrets: [String]) throws {
        self.profile = profile
        headers = profile.headers.map { HeaderPattern($0) }
        signed = profile.signature.map { TextPattern($0.signs) }
        checkers =
            try profile.signature.map { recipe in
                try secrets.map { try SignatureChecker(secret: $0, recipe: recipe, form: profile.secretForm) }
            } ?? []
        idInBody = EnvelopePattern("event.id", in: profile.envelope)
        typeInBody = EnvelopePattern("event.type", in: profile.envelope)
    }

    /// How many of the profile's headers a request has, and one more for its User-Agent; 0 unless all of its headers
    /// but the signature are there.
    func fit(_ request: ReceivedRequest) -> Int {
        let present = headers.filter { request.header($0.name) != nil }
        let optional = headers.filter { $0.value.pieces.contains(.variable("signature")) }
        guard present.count + optional.count >= headers.count, !present.isEmpty else { return 0 }
        return present.count * 2 + (request.header("User-Agent") == profile.userAgent ? 1 : 0)
    }

    func inspect(_ request: ReceivedRequest, unixSeconds: Int64) -> Inspection {
        var values: [String: String] = [:]
        for header in headers {
            if let text = request.header(header.name), let found = header.value.values(in: text) {
                values.merge(found) { $1 }
            }
        }
        let verdict = check(values, request, unixSeconds)
        if values["event.id"] == nil || values["event.type"] == nil {
            let body = (try? JSONSerialization.jsonObject(with: Data(request.body))) as? [String: Any] ?? [:]
            values["event.id"] = values["event.id"] ?? idInBody?.value(in: body)
            values["event.type"] = values["event.type"] ?? typeInBody?.value(in: body)
        }
        return Inspection(
            profile: profile.name, eventType: values["event.type"], eventID: values["event.id"], signature: verdict)
    }

    private func check(
        _ values: [String: String], _ request: ReceivedRequest, _ unixSeconds: Int64
    ) -> SignatureVerdict {
        guard let recipe = profile.signature, let signed else { return .none }
        guard let signature = values["signature"], !signature.isEmpty else {
            let name = headers.first { $0.value.pieces.contains(.variable("signature")) }?.name ?? "signature"
            // A header that is there but has another form is a bad signature, not a missing one.
            return request.header(name) == nil ? .none : .bad("\(name) cannot be read")
        }
        guard !checkers.isEmpty else { return .unchecked }
        var message: [UInt8] = []
        for piece in signed.pieces {
            switch piece {
            case .literal(let text): message += Array(text.utf8)
            case .variable("body"), .variable("body.canonical"): message += request.body
            case .variable(let name):
                guard let value = values[name] else { return .bad("\(name) is missing") }
                message += Array(value.utf8)
            }
        }
        for name in ["timestamp", "timestamp.ms", "timestamp.iso"] where signed.pieces.contains(.variable(name)) {
            guard let text = values[name], let sent = Self.unixSeconds(text, as: name) else {
                return .bad(name == "timestamp.iso" ? "timestamp is no time" : "timestamp is no number")
            }
            let age = unixSeconds.subtractingReportingOverflow(sent)
            guard !age.overflow, age.partialValue.magnitude <= Verifier.tolerance.magnitude else {
                return .bad("timestamp is more than 5 minutes off")
            }
        }
        let entries = recipe.separator.map { signature.components(separatedBy: $0) } ?? [signature]
        return checkers.contains { $0.accepts(anyOf: entries, message: message) } ? .ok : .bad("signature differs")
    }
}

extension ProfileReader {
    /// A timestamp in the form that a variable has, in unix seconds; nil for any other form.
    fileprivate static func unixSeconds(_ text: String, as variable: String) -> Int64? {
        switch variable {
        case "timestamp.ms": Int64(text).map { $0 / 1000 }
        case "timestamp.iso": Record.time(text).map { Int64($0.timeIntervalSince1970) }
        default: Int64(text)
        }
    }
}

/// One secret and what it accepts.
private struct SignatureChecker: Sendable {
    private enum Key: Sendable {
        case hmac(Destination)
        case ed25519(Curve25519.Signing.PublicKey, prefix: String)
    }

    private let key: Key

    init(secret text: String, recipe: SignatureRecipe, form: SecretForm) throws {
        if form == .standard, let prefix = recipe.ed25519Prefix, let key = try Self.publicKey(text) {
            self.key = .ed25519(key, prefix: prefix)
        } else {
            key = .hmac(try Self.signingDestination(Secret(text, form: form), recipe, form))
        }
    }

    /// Tells whether one of the signatures is of this secret; all are looked at, whatever the first ones say.
    func accepts(anyOf signatures: [String], message: [UInt8]) -> Bool {
        switch key {
        case .hmac(let destination):
            guard let expected = Self.signature(of: message, destination) else { return false }
            return signatures.reduce(false) { Self.isEqual(Array($1.utf8), expected) || $0 }
        case .ed25519(let key, let prefix):
            return signatures.contains { entry in
                guard entry.hasPrefix(prefix), let bytes = Data(base64Encoded: String(entry.dropFirst(prefix.count)))
                else { return false }
                return key.isValidSignature(bytes, for: message)
            }
        }
    }

    /// The public key of `whpk_…` and of `whsk_…`; nil for other secrets.
    private static func publicKey(_ text: String) throws -> Curve25519.Signing.PublicKey? {
        let publicText =
            text.hasPrefix("whsk_") ? try Secret(text, form: .standard).publicKeyText : text
        guard let publicText, publicText.hasPrefix("whpk_") else { return nil }
        guard let bytes = Data(base64Encoded: String(publicText.dropFirst(5))),
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes)
        else { throw SecretError.undecodable }
        return key
    }

    /// A destination whose requests have the signature of their payload in their only own header.
    ///
    /// The canonical form of a body and the ways to write a key are known to Outbox alone; this is its public way to
    /// both. An independent sender checks the outcome in the tests.
    private static func signingDestination(
        _ secret: Secret, _ recipe: SignatureRecipe, _ form: SecretForm
    ) throws -> Destination {
        let signs = recipe.signs.contains("{body.canonical}") ? "{body.canonical}" : "{body}"
        let profile = try Profile(
            name: "signature", envelope: "{data}", headers: ["X-Signature: {signature}"],
            signature: SignatureRecipe(signs: signs, encoding: recipe.encoding, prefix: recipe.prefix),
            secretForm: form)
        return try Destination(
            id: 0, uuid: "", name: "signature", url: DestinationURL("https://receiver.invalid/"),
            patterns: [], profile: profile, secrets: [secret])
    }

    /// The text of a message's signature; nil when the message is not JSON and the canonical form is signed.
    private static func signature(of message: [UInt8], _ destination: Destination) -> [UInt8]? {
        var builder = RequestBuilder(preparedCapacity: 1)
        let event = Event(id: EventID(high: 0, low: 0), type: "", createdAtMicroseconds: 0, data: message)
        let request = try? builder.request(
            event: event, destination: destination, deliveryID: "", attempt: 1, unixSeconds: 0)
        let line = request?.headers.first { $0.hasPrefix("X-Signature: ") }
        return line.map { Array($0.utf8.dropFirst(13)) }
    }

    /// Compares in a time that depends on the lengths alone.
    private static func isEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
