// JSON Web Tokens for destinations with the option `auth`. Made with the destination, called by the request builder.

import Crypto

/// Signs a token for each request (RFC 7519, compact form of RFC 7515).
final class TokenSigner: Sendable, CustomReflectable {
    private enum Key: Sendable {
        case hs256(SymmetricKey)
        case hs384(SymmetricKey)
        case hs512(SymmetricKey)
        case es256(P256.Signing.PrivateKey)
        case edDSA(Curve25519.Signing.PrivateKey)
    }

    let headerName: String
    private let key: Key
    /// Header name, `Bearer` where it belongs, and the token's own header with the dot behind it.
    private let lead: [UInt8]
    /// How much of the lead does not belong to what is signed.
    private let signedFrom: Int
    /// The constant claims, from the brace to a comma, or the brace alone.
    private let claims: [UInt8]
    private let lifetime: Int64
    private let hashesBody: Bool

    /// - Throws: ``SettingFault`` for a key that is none, which is never quoted.
    init(_ option: TokenOption, key text: String) throws(SettingFault) {
        key = try Self.key(text, option.algorithm)
        headerName = option.header
        lifetime = Int64(option.lifetime)
        hashesBody = option.hashesBody
        var lead = Array("\(option.header): ".utf8)
        if option.header.lowercased() == "authorization" { lead += Array("Bearer ".utf8) }
        signedFrom = lead.count
        var header = Array(#"{"alg":"\#(option.algorithm.rawValue)","typ":"JWT""#.utf8)
        if let keyID = option.keyID {
            header += Array(#","kid":"#.utf8)
            JSONText.appendValue(keyID, to: &header)
        }
        header.append(UInt8(ascii: "}"))
        header.withUnsafeBytes { Base64.appendURL($0, to: &lead) }
        lead.append(UInt8(ascii: "."))
        self.lead = lead
        var claims = Array("{".utf8)
        for (name, value) in option.claims.sorted(by: { $0.key < $1.key }) {
            JSONText.appendValue(name, to: &claims)
            claims.append(UInt8(ascii: ":"))
            value.append(to: &claims)
            claims.append(UInt8(ascii: ","))
        }
        self.claims = claims
    }

    /// Keys are not shown.
    var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }

    /// The header line of one request: issued now, of the id of its delivery.
    ///
    /// - Throws: what the signature throws, which has no cause in the request.
    func line(body: [UInt8], deliveryID: String, unixSeconds: Int64) throws -> String {
        var payload = claims
        payload += Array(#""iat":\#(unixSeconds),"exp":\#(unixSeconds + lifetime),"jti":"#.utf8)
        JSONText.appendValue(deliveryID, to: &payload)
        if hashesBody {
            payload += Array(#","\#(TokenOption.bodyClaim)":""#.utf8)
            SHA256.hash(data: body).withUnsafeBytes { Hex.append($0, to: &payload) }
            payload.append(UInt8(ascii: "\""))
        }
        payload.append(UInt8(ascii: "}"))
        var line = lead
        payload.withUnsafeBytes { Base64.appendURL($0, to: &line) }
        let signature = try signature(of: Array(line[signedFrom...]))
        line.append(UInt8(ascii: "."))
        signature.withUnsafeBytes { Base64.appendURL($0, to: &line) }
        return String(decoding: line, as: UTF8.self)
    }

    private func signature(of message: [UInt8]) throws -> [UInt8] {
        switch key {
        case .hs256(let key): Array(HMAC<SHA256>.authenticationCode(for: message, using: key))
        case .hs384(let key): Array(HMAC<SHA384>.authenticationCode(for: message, using: key))
        case .hs512(let key): Array(HMAC<SHA512>.authenticationCode(for: message, using: key))
        case .es256(let key): Array(try key.signature(for: message).rawRepresentation)
        case .edDSA(let key): Array(try key.signature(for: message))
        }
    }

    // MARK: Keys

    private static func key(_ text: String, _ algorithm: TokenOption.Algorithm) throws(SettingFault) -> Key {
        switch algorithm {
        case .hs256: return .hs256(try passphrase(text, atLeast: 32))
        case .hs384: return .hs384(try passphrase(text, atLeast: 48))
        case .hs512: return .hs512(try passphrase(text, atLeast: 64))
        case .es256:
            do {
                return .es256(try P256.Signing.PrivateKey(pemRepresentation: text))
            } catch {
                throw SettingFault("option auth: the key for ES256 is no private key of curve P-256 in PEM")
            }
        case .edDSA:
            guard let seed = ed25519Seed(text), let key = try? Curve25519.Signing.PrivateKey(rawRepresentation: seed)
            else { throw SettingFault("option auth: the key for EdDSA is no Ed25519 private key in PEM (PKCS #8)") }
            return .edDSA(key)
        }
    }

    /// As long as the hash at least, as RFC 7518 section 3.2 asks for.
    private static func passphrase(_ text: String, atLeast length: Int) throws(SettingFault) -> SymmetricKey {
        guard text.utf8.count >= length else {
            throw SettingFault("option auth: the key is shorter than the \(length) bytes that its algorithm needs")
        }
        return SymmetricKey(data: Array(text.utf8))
    }

    /// The 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410 section 7): always behind the same 16 bytes.
    private static func ed25519Seed(_ pem: String) -> [UInt8]? {
        let lines = pem.split(whereSeparator: \.isNewline).map { $0.filter { !$0.isWhitespace } }
        guard lines.first == "-----BEGINPRIVATEKEY-----", lines.last == "-----ENDPRIVATEKEY-----" else { return nil }
        let prefix: [UInt8] = [0x30, 0x2E, 2, 1, 0, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 4, 0x22, 4, 0x20]
        guard let der = Base64.decode(lines.dropFirst().dropLast().joined().utf8), der.count == 48,
            der.starts(with: prefix)
        else { return nil }
        return Array(der.dropFirst(16))
    }
}

extension Base64 {
    /// Appends the text of RFC 4648 section 5, `-` and `_` and no padding, as tokens have it.
    static func appendURL(_ bytes: UnsafeRawBufferPointer, to output: inout [UInt8]) {
        let start = output.count
        append(bytes, to: &output)
        while output.last == UInt8(ascii: "="), output.count > start { output.removeLast() }
        for index in start..<output.count {
            switch output[index] {
            case UInt8(ascii: "+"): output[index] = UInt8(ascii: "-")
            case UInt8(ascii: "/"): output[index] = UInt8(ascii: "_")
            default: break
            }
        }
    }
}

extension JSONValue {
    /// Appends the value as JSON, members by name.
    fileprivate func append(to output: inout [UInt8]) {
        switch self {
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                JSONText.appendValue(member.key, to: &output)
                output.append(UInt8(ascii: ":"))
                member.value.append(to: &output)
            }
            output.append(UInt8(ascii: "}"))
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                element.append(to: &output)
            }
            output.append(UInt8(ascii: "]"))
        case .string(let text): JSONText.appendValue(text, to: &output)
        case .number(_, let text): output += Array(text.utf8)
        case .bool(let value): output += Array((value ? "true" : "false").utf8)
        case .null: output += Array("null".utf8)
        }
    }
}
