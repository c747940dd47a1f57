// The JWT of a destination as its options say it. Part of AccessOptions.

/// `{"jwt": {…}}` of the option `auth`.
struct TokenOption: Sendable, Equatable {
    /// RFC 7518 and RFC 8037 names.
    enum Algorithm: String, Sendable, CaseIterable {
        case hs256 = "HS256"
        case hs384 = "HS384"
        case hs512 = "HS512"
        case es256 = "ES256"
        case edDSA = "EdDSA"
    }

    let algorithm: Algorithm
    let key: ReferenceText
    let keyID: String?
    /// `iss`, `sub`, `aud` and constants, without what is set for each request.
    let claims: [String: JSONValue]
    /// Seconds from `iat` to `exp`.
    let lifetime: Int
    /// The header that carries it: `Authorization` as a bearer token, others bare.
    let header: String
    let hashesBody: Bool

    /// Claims that are set for each request.
    static let ownClaims: Set<String> = ["iat", "exp", "jti", bodyClaim]
    /// The claim with the SHA-256 of the body in lower-case hex.
    static let bodyClaim = "body_sha256"

    init(_ value: JSONValue) throws(OptionError) {
        let members = try value.members([
            "algorithm", "key", "key_id", "issuer", "subject", "audience", "claims", "lifetime", "header", "body_hash",
        ])
        guard let name = try members["algorithm"]?.string(), let algorithm = Algorithm(rawValue: name) else {
            throw OptionError("algorithm must be one of \(Algorithm.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        guard let key = members["key"] else { throw OptionError("jwt needs a key") }
        self.algorithm = algorithm
        self.key = try key.reference("the key")
        keyID = try members["key_id"]?.string()
        lifetime = try members["lifetime"]?.int(in: 1...86_400) ?? 60
        hashesBody = try members["body_hash"]?.bool() ?? true
        header = try members["header"]?.string() ?? "Authorization"
        do {
            _ = try HeaderField(name: header, value: "x")
        } catch {
            throw OptionError("header: \(error)")
        }
        var claims: [String: JSONValue] = [:]
        if let given = members["claims"] {
            guard case .object(let constants) = given else { throw OptionError("claims must be an object") }
            claims = constants
        }
        for (member, claim) in [("issuer", "iss"), ("subject", "sub"), ("audience", "aud")] {
            guard let text = try members[member]?.string() else { continue }
            guard claims.updateValue(.string(text), forKey: claim) == nil else {
                throw OptionError("the claim \(claim) is there twice")
            }
        }
        if let own = claims.keys.sorted().first(where: Self.ownClaims.contains) {
            throw OptionError("the claim \(own) is set for each request")
        }
        self.claims = claims
    }
}
