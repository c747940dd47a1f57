// How a destination is reached, as its options say it: authentication, client certificate, proxy. Read here, unresolved;
// Access is made of it when the settings that it names are known.

/// The options `auth`, `tls` and `proxy`, each nil when it is not given.
struct AccessOptions: Sendable, Equatable {
    var authentication: AuthOption?
    var identity: IdentityOption?
    var proxy: ProxyOption?
}

/// The option `auth`.
enum AuthOption: Sendable, Equatable {
    case basic(username: ReferenceText, password: ReferenceText)
    case bearer(ReferenceText)
    case token(TokenOption)

    /// - Throws: `OptionError`; so do the others.
    init(_ value: JSONValue) throws(OptionError) {
        let members = try value.members(["basic", "bearer", "jwt"])
        guard members.count == 1, let (kind, value) = members.first else {
            throw OptionError("give one of basic, bearer and jwt")
        }
        switch kind {
        case "basic":
            let basic = try value.members(["username", "password"])
            guard let username = basic["username"], let password = basic["password"] else {
                throw OptionError("basic needs username and password")
            }
            self = .basic(
                username: try ReferenceText(username.string()), password: try password.reference("the password"))
        case "bearer": self = .bearer(try value.reference("the token"))
        default: self = .token(try TokenOption(value))
        }
    }
}

/// The option `tls`.
struct IdentityOption: Sendable, Equatable {
    /// Where a PEM text comes from.
    enum Source: Sendable, Equatable {
        case text(String)
        case reference(ReferenceText)
        case file(String)
    }

    let certificate: Source?
    let key: Source?
    let authority: Source?

    init(_ value: JSONValue) throws(OptionError) {
        let members = try value.members(["certificate", "key", "ca"])
        certificate = try Self.source(members["certificate"], isSecret: false)
        key = try Self.source(members["key"], isSecret: true)
        authority = try Self.source(members["ca"], isSecret: false)
        guard (certificate == nil) == (key == nil) else { throw OptionError("certificate and key go together") }
        guard certificate != nil || authority != nil else { throw OptionError("give certificate and key, or ca") }
    }

    private static func source(_ value: JSONValue?, isSecret: Bool) throws(OptionError) -> Source? {
        guard let text = try value?.string() else { return nil }
        if text.hasPrefix("file:") {
            let name = text.dropFirst(5)
            guard isFileName(name) else {
                throw OptionError("file: takes the name of a file in POSTRIDER_TLS_FOLDER: letters, digits, . - _")
            }
            return .file(String(name))
        }
        let reference = try ReferenceText(text)
        if reference.onlyName != nil { return .reference(reference) }
        if isSecret { throw OptionError("the key must be ${NAME} or file:NAME: options are no place for secrets") }
        guard text.hasPrefix("-----BEGIN ") else { throw OptionError("expected PEM, ${NAME} or file:NAME") }
        return .text(text)
    }

    private static func isFileName(_ name: Substring) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= 128, first != UInt8(ascii: "."),
            first != UInt8(ascii: "-")
        else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: "._-".utf8.contains(byte)
            }
        }
    }
}

/// The option `proxy`.
struct ProxyOption: Sendable, Equatable {
    let kind: EgressProxy.Kind
    let host: String
    let port: Int
    let username: ReferenceText?
    let password: ReferenceText?

    init(_ value: JSONValue) throws(OptionError) {
        let form = OptionError(
            "expected http://HOST:PORT or socks5h://HOST:PORT, with USER:${NAME}@ before the host if need be")
        let text = try value.string()
        guard let end = text.firstRange(of: "://"),
            let kind = EgressProxy.Kind(rawValue: String(text[..<end.lowerBound]))
        else { throw form }
        var rest = text[end.upperBound...]
        if let at = rest.lastIndex(of: "@") {
            let user = rest[..<at]
            rest = rest[rest.index(after: at)...]
            guard let colon = user.firstIndex(of: ":"), colon != user.startIndex else { throw form }
            username = try ReferenceText(String(user[..<colon]))
            password = try JSONValue.string(String(user[user.index(after: colon)...])).reference("the password")
        } else {
            (username, password) = (nil, nil)
        }
        guard let colon = rest.lastIndex(of: ":"), let port = Int(rest[rest.index(after: colon)...]),
            (1...65_535).contains(port), HostName.fault(Array(rest[..<colon].lowercased().utf8)) == nil
        else { throw form }
        self.kind = kind
        self.port = port
        host = String(rest[..<colon])
    }
}

extension JSONValue {
    /// A reference and nothing else: options are readable for auditors, and no place for secrets.
    func reference(_ what: String) throws(OptionError) -> ReferenceText {
        let text = try ReferenceText(string())
        guard text.onlyName != nil else {
            throw OptionError("\(what) must be a reference ${NAME}: options are no place for secrets")
        }
        return text
    }
}
