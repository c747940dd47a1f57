// The receiver's side: does a request carry a signature of a profile that one of the secrets made?
// Called by `postrider listen`, `profiles test`, the demo and tests. Not on the worker's path.

internal import Crypto

/// Verifies requests of one profile, as Standard Webhooks asks receivers to: constant time, any one valid signature
/// is enough, entries of unknown kinds are ignored, signed timestamps at most five minutes away in either direction.
public struct RequestVerifier: Sendable {
    /// What signatures are compared with.
    private enum Check: Sendable {
        case secret(Signer)
        case publicKey(Curve25519.Signing.PublicKey, prefix: [UInt8])
    }

    /// What the headers of a request tell, as far as they have the form of the profile.
    public struct Reading: Sendable {
        fileprivate var values: [Template.Variable: ArraySlice<UInt8>] = [:]
        /// The first header that is missing or has another form; nil when all are as the profile has them.
        public fileprivate(set) var fault: VerificationError?

        /// The value of a variable such as `event.id`; nil when no header tells it.
        public func text(_ variable: String) -> String? {
            guard let variable = Template.Variable(rawValue: variable), let value = values[variable] else { return nil }
            return String(decoding: value, as: UTF8.self)
        }
    }

    /// How far a signed timestamp may be from now, both ways, in seconds: 300.
    public static let tolerance: Int64 = 300

    private let profile: Profile
    private let checks: [Check]

    /// Makes a verifier that accepts signatures of any of these secrets.
    ///
    /// - Throws: `SecretError`, never for secrets that exist.
    public init(profile: Profile, secrets: [Secret]) throws(SecretError) {
        self.profile = profile
        var checks: [Check] = []
        if let recipe = profile.signature {
            for secret in secrets {
                if let signer = try Signer(secret, recipe: recipe) { checks.append(.secret(signer)) }
            }
        }
        self.checks = checks
    }

    /// Makes a verifier of secrets as receivers have them: texts, and where the profile knows Ed25519 also `whpk_…`.
    ///
    /// - Throws: `SecretError` for one that the profile cannot use.
    public init(profile: Profile, texts: [String]) throws(SecretError) {
        let asymmetric = profile.signature?.ed25519Prefix
        let isPublic = { (text: String) in asymmetric != nil && text.hasPrefix("whpk_") }
        var secrets: [Secret] = []
        for text in texts where profile.signature != nil && !isPublic(text) {
            secrets.append(try Secret(text, form: profile.secretForm))
        }
        var checks = try Self(profile: profile, secrets: secrets).checks
        for text in texts where isPublic(text) {
            guard let bytes = Base64.decode(text.utf8.dropFirst(5)),
                let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes)
            else { throw .undecodable }
            checks.append(.publicKey(key, prefix: Array((asymmetric ?? "").utf8)))
        }
        self.profile = profile
        self.checks = checks
    }

    /// Whether there is a secret to verify with.
    public var hasSecrets: Bool { !checks.isEmpty }

    /// Verifies a request all of whose headers must be as the profile has them.
    ///
    /// - Parameters:
    ///   - headers: All header fields, names in any case.
    ///   - body: The raw body.
    ///   - unixSeconds: Now.
    /// - Throws: `VerificationError`, which says why the request is not to be trusted.
    public func verify(
        headers: some Sequence<(name: String, value: String)>, body: [UInt8], unixSeconds: Int64
    ) throws(VerificationError) {
        guard profile.signature != nil else { throw .unsignedProfile }
        let reading = read(headers)
        if let fault = reading.fault { throw fault }
        try verify(reading, body: body, unixSeconds: unixSeconds)
    }

    /// Verifies a request of which only what is signed must be there.
    ///
    /// - Throws: `VerificationError`, which says why the request is not to be trusted.
    public func verify(_ reading: Reading, body: [UInt8], unixSeconds: Int64) throws(VerificationError) {
        guard let signed = profile.signedTemplate, let recipe = profile.signature else { throw .unsignedProfile }
        guard let signature = reading.values[.signature] else { throw .missingHeader("signature") }
        let message = try message(signed, reading.values, body)
        if let seconds = try Self.sentAt(reading.values, signed) {
            let (distance, overflow) = seconds.subtractingReportingOverflow(unixSeconds)
            guard !overflow, distance.magnitude <= Self.tolerance.magnitude else { throw .timestamp }
        }
        let entries = Self.split(signature, at: Array((recipe.separator ?? "").utf8))
        for check in checks where try Self.accepts(check, anyOf: entries, message) { return }
        throw .signature
    }

    /// The bytes that a receiver signs to compare, made of what it received.
    ///
    /// - Throws: `VerificationError` when a header is missing, or a value that is signed is in none of them.
    public func signedBytes(
        headers: some Sequence<(name: String, value: String)>, body: [UInt8]
    ) throws(VerificationError) -> [UInt8] {
        guard let signed = profile.signedTemplate else { throw .unsignedProfile }
        let reading = read(headers)
        if let fault = reading.fault { throw fault }
        return try message(signed, reading.values, body)
    }

    /// Reads the values that the profile's headers carry.
    ///
    /// - Parameter headers: All header fields, names in any case.
    public func read(_ headers: some Sequence<(name: String, value: String)>) -> Reading {
        var fields: [String: String] = [:]
        for header in headers { fields[header.name.lowercased()] = header.value }
        var reading = Reading()
        for template in profile.headerTemplates {
            var values = reading.values
            if let field = fields[template.name.lowercased()] {
                if template.value.capture(Array(field.utf8), into: &values) {
                    reading.values = values
                } else {
                    reading.fault = reading.fault ?? .header(template.name)
                }
            } else {
                reading.fault = reading.fault ?? .missingHeader(template.name)
            }
        }
        return reading
    }

    private static func accepts(
        _ check: Check, anyOf entries: [ArraySlice<UInt8>], _ message: [UInt8]
    ) throws(VerificationError) -> Bool {
        switch check {
        case .secret(let signer):
            var expected: [UInt8] = []
            do {
                try signer.appendSignature(head: [], body: message, tail: [], to: &expected)
            } catch {
                throw .signature
            }
            return entries.contains { isEqual($0, expected) }
        case .publicKey(let key, let prefix):
            return entries.contains { entry in
                guard entry.starts(with: prefix), let signature = Base64.decode(entry.dropFirst(prefix.count))
                else { return false }
                return key.isValidSignature(signature, for: message)
            }
        }
    }

    /// The time that is signed, in unix seconds; nil when none is.
    private static func sentAt(
        _ values: [Template.Variable: ArraySlice<UInt8>], _ signed: Template
    ) throws(VerificationError) -> Int64? {
        let variables: [Template.Variable] = [.timestamp, .timestampMilliseconds, .timestampISO]
        guard let variable = variables.first(where: signed.uses), let value = values[variable] else { return nil }
        let text = String(decoding: value, as: UTF8.self)
        let seconds =
            switch variable {
            case .timestamp: Int64(text)
            case .timestampMilliseconds: Int64(text).map { Timestamp.floorDivide($0, 1000) }
            default: Timestamp.unixSeconds(iso8601: value)
            }
        guard let seconds else { throw .timestampForm }
        return seconds
    }

    private func message(
        _ template: Template,
        _ values: [Template.Variable: ArraySlice<UInt8>],
        _ body: [UInt8]
    ) throws(VerificationError) -> [UInt8] {
        var message: [UInt8] = []
        for segment in template.segments {
            switch segment {
            case .literal(let bytes): message.append(contentsOf: bytes)
            case .variable(.body, _): message.append(contentsOf: body)
            case .variable(.canonicalBody, _):
                do {
                    message.append(contentsOf: try PythonJSON.canonical(body))
                } catch {
                    throw .body
                }
            case .variable(let variable, _):
                guard let value = values[variable] else { throw .missingHeader(variable.rawValue) }
                message.append(contentsOf: value)
            }
        }
        return message
    }

    private static func split(_ text: ArraySlice<UInt8>, at separator: [UInt8]) -> [ArraySlice<UInt8>] {
        guard !separator.isEmpty else { return [text] }
        var entries: [ArraySlice<UInt8>] = []
        var rest = text
        while let end = rest.indices.first(where: { rest[$0...].starts(with: separator) }) {
            entries.append(rest[..<end])
            rest = rest[(end + separator.count)...]
        }
        return entries + [rest]
    }

    /// Compares in a time that depends on the lengths alone.
    private static func isEqual(_ left: ArraySlice<UInt8>, _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(0 as UInt8) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
