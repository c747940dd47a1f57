// The receiver's side: does a request carry a signature of a profile that one of the secrets made?
// Called by `postrider listen`, by demos and tests. Not on the worker's path.

/// Verifies requests of one profile, as Standard Webhooks asks receivers to: constant time, any one valid signature
/// is enough, entries of unknown kinds are ignored, timestamps at most five minutes away in either direction.
public struct RequestVerifier: Sendable {
    private let profile: Profile
    private let signers: [Signer]

    /// Makes a verifier that accepts signatures of any of these secrets.
    ///
    /// - Throws: `SecretError`, never for secrets that exist.
    public init(profile: Profile, secrets: [Secret]) throws(SecretError) {
        self.profile = profile
        var signers: [Signer] = []
        if let recipe = profile.signature {
            for secret in secrets {
                if let signer = try Signer(secret, recipe: recipe) { signers.append(signer) }
            }
        }
        self.signers = signers
    }

    /// Verifies a request.
    ///
    /// - Parameters:
    ///   - headers: All header fields, names in any case.
    ///   - body: The raw body.
    ///   - unixSeconds: Now.
    ///   - toleranceSeconds: How far a timestamp may be away, where the profile has one; default 300.
    /// - Throws: `VerificationError`, which says why the request is not to be trusted.
    public func verify(
        headers: some Sequence<(name: String, value: String)>,
        body: [UInt8],
        unixSeconds: Int64,
        toleranceSeconds: Int64 = 300
    ) throws(VerificationError) {
        guard let signed = profile.signedTemplate, let recipe = profile.signature else { throw .unsignedProfile }
        let values = try read(headers)
        if let seconds = try Self.sentAt(values) {
            let (distance, overflow) = seconds.subtractingReportingOverflow(unixSeconds)
            guard !overflow, distance.magnitude <= toleranceSeconds.magnitude else { throw .timestamp }
        }
        guard let signature = values[.signature] else { throw .missingHeader("signature") }
        let message = try message(signed, values, body)
        let entries = Self.split(signature, at: Array((recipe.separator ?? "").utf8))
        for signer in signers {
            var expected: [UInt8] = []
            do {
                try signer.appendSignature(head: [], body: message, tail: [], to: &expected)
            } catch {
                throw .signature
            }
            if entries.contains(where: { Self.isEqual($0, expected) }) { return }
        }
        throw .signature
    }

    /// The bytes that a receiver signs to compare, made of what it received.
    ///
    /// - Throws: `VerificationError` when a header is missing, or a value that is signed is in none of them.
    public func signedBytes(
        headers: some Sequence<(name: String, value: String)>, body: [UInt8]
    ) throws(VerificationError) -> [UInt8] {
        guard let signed = profile.signedTemplate else { throw .unsignedProfile }
        return try message(signed, try read(headers), body)
    }

    /// The time that the headers tell, in unix seconds; nil when they tell none.
    private static func sentAt(
        _ values: [Template.Variable: ArraySlice<UInt8>]
    ) throws(VerificationError) -> Int64? {
        if let text = values[.timestamp] {
            guard let seconds = Int64(String(decoding: text, as: UTF8.self)) else { throw .timestamp }
            return seconds
        }
        if let text = values[.timestampMilliseconds] {
            guard let milliseconds = Int64(String(decoding: text, as: UTF8.self)) else { throw .timestamp }
            return Timestamp.floorDivide(milliseconds, 1000)
        }
        guard let text = values[.timestampISO] else { return nil }
        guard let seconds = Timestamp.unixSeconds(iso8601: text) else { throw .timestamp }
        return seconds
    }

    /// The values that the profile's headers carry.
    private func read(
        _ headers: some Sequence<(name: String, value: String)>
    ) throws(VerificationError) -> [Template.Variable: ArraySlice<UInt8>] {
        var fields: [String: String] = [:]
        for header in headers { fields[header.name.lowercased()] = header.value }
        var values: [Template.Variable: ArraySlice<UInt8>] = [:]
        for template in profile.headerTemplates {
            guard let field = fields[template.name.lowercased()] else { throw .missingHeader(template.name) }
            guard template.value.capture(Array(field.utf8), into: &values) else { throw .header(template.name) }
        }
        return values
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

/// Why a request is not to be trusted.
public enum VerificationError: Error, Equatable, CustomStringConvertible {
    /// The profile does not sign.
    case unsignedProfile
    /// A header, or a value that a header should have carried, is not there.
    case missingHeader(String)
    /// A header does not have the form that the profile gives it.
    case header(String)
    /// The timestamp is not a number, or too far away.
    case timestamp
    /// The canonical form is signed, and the body is not JSON.
    case body
    /// No signature was made by one of the secrets over these bytes.
    case signature

    /// The reason in one line.
    public var description: String {
        switch self {
        case .unsignedProfile: "the profile does not sign its requests"
        case .missingHeader(let name): "missing: \(name)"
        case .header(let name): "header \(name) has another form than the profile gives it"
        case .timestamp: "the timestamp is too far away or not a number"
        case .body: "the body is not JSON"
        case .signature: "no signature matches"
        }
    }
}

extension Template {
    /// Reads the values of variables back from a text: each ends where the next literal begins.
    ///
    /// - Returns: Whether the text has the form of this template.
    fileprivate func capture(_ text: [UInt8], into values: inout [Variable: ArraySlice<UInt8>]) -> Bool {
        var rest = text[...]
        var open: Variable?
        for segment in segments {
            switch segment {
            case .variable(let variable, _): open = variable
            case .literal(let bytes):
                guard let start = rest.indices.first(where: { rest[$0...].starts(with: bytes) }),
                    open != nil || start == rest.startIndex
                else { return false }
                if let variable = open { values[variable] = rest[..<start] }
                open = nil
                rest = rest[(start + bytes.count)...]
            }
        }
        if let variable = open { values[variable] = rest }
        return open != nil || rest.isEmpty
    }
}
