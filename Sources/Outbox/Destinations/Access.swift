// How a destination is reached, ready to be used: made with the destination, of its options and the settings they name.

/// Credentials and ways of one destination. A class, so that the many destinations without any pay one word.
public final class Access: Sendable, CustomReflectable {
    /// What goes into a header.
    enum Authentication: Sendable {
        /// The same line for every request.
        case constant(HeaderField)
        /// A JWT for each request.
        case token(TokenSigner)
    }

    let authentication: Authentication?
    /// What is shown in the TLS handshake, and whom to trust in it.
    public let identity: TLSIdentity?
    /// Through whom requests go.
    public let proxy: EgressProxy?

    init(_ options: AccessOptions, _ scope: SettingScope, _ book: SettingBook) throws(SettingFault) {
        let value = { (name: String) throws(SettingFault) -> String in try book.value(of: name, for: scope) }
        authentication = try options.authentication.map { option throws(SettingFault) in
            try Self.authentication(option, value)
        }
        identity = try options.identity.map { option throws(SettingFault) in
            try TLSIdentity(option, scope, book, value)
        }
        proxy = try options.proxy.map { option throws(SettingFault) in
            try EgressProxy(option, scope, allowed: book.grants.proxies, value)
        }
    }

    /// Credentials are not shown.
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }

    /// Name of the header that carries the credentials; nil when there is none.
    var headerName: String? {
        switch authentication {
        case .constant(let field): field.name
        case .token(let signer): signer.headerName
        case nil: nil
        }
    }

    /// Whether requests carry the id of their delivery in a token.
    public var sendsDeliveryID: Bool {
        if case .token = authentication { true } else { false }
    }

    private static func authentication(
        _ option: AuthOption, _ value: (String) throws(SettingFault) -> String
    ) throws(SettingFault) -> Authentication {
        let text: String
        switch option {
        case .token(let option): return .token(try TokenSigner(option, key: option.key.expanded(value)))
        case .bearer(let token): text = "Bearer \(try token.expanded(value))"
        case .basic(let username, let password):
            let name = try username.expanded(value)
            guard !name.utf8.contains(UInt8(ascii: ":")) else {
                throw SettingFault("option auth: a username of Basic must not hold a colon (RFC 7617)")
            }
            text = "Basic \(Base64.text(Array("\(name):\(try password.expanded(value))".utf8)))"
        }
        do {
            return .constant(try HeaderField(name: "Authorization", value: text))
        } catch {
            throw SettingFault("option auth: \(error)")
        }
    }
}

/// PEM texts for a TLS handshake.
public struct TLSIdentity: Sendable, CustomReflectable {
    /// The client's certificate, with the chain behind it; nil for none.
    public let certificate: String?
    /// The certificate's private key, not encrypted; nil with it.
    public let key: String?
    /// Authorities that the receiver is verified with; nil for the worker's.
    public let authority: String?

    init(
        _ option: IdentityOption, _ scope: SettingScope, _ book: SettingBook,
        _ value: (String) throws(SettingFault) -> String
    ) throws(SettingFault) {
        // Each file once: one that is replaced meanwhile must not give the certificate of one and the key of another.
        var files: [String: String] = [:]
        func read(_ source: IdentityOption.Source?, _ kind: PEMText.Kind) throws(SettingFault) -> String? {
            guard let source else { return nil }
            let text: String
            switch source {
            case .text(let pem): text = pem
            case .reference(let reference): text = try reference.expanded(value)
            case .file(let name):
                guard scope.isOperators else {
                    throw SettingFault("option tls: files are for destinations without organization and user")
                }
                text = if let known = files[name] { known } else { try book.grants.readFile(name) }
                files[name] = text
            }
            if let fault = PEMText.fault(of: text, as: kind) { throw SettingFault("option tls: \(fault)") }
            return text
        }
        certificate = try read(option.certificate, .certificate)
        key = try read(option.key, .privateKey)
        authority = try read(option.authority, .certificate)
    }

    /// Keys are not shown.
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}

/// A proxy between the worker and the receiver.
public struct EgressProxy: Sendable, CustomReflectable {
    /// How it is spoken to.
    public enum Kind: String, Sendable {
        /// HTTP: CONNECT for https URLs, the whole request otherwise.
        case http
        /// SOCKS 5, which also looks the receiver's name up.
        case socks5h
    }

    /// How it is spoken to.
    public let kind: Kind
    /// Its name or IPv4 address, in lower case.
    public let host: String
    /// 1 to 65535.
    public let port: Int
    /// Who we are there; nil for nobody.
    public let username: String?
    /// The password; nil for nobody.
    public let password: String?

    init(
        _ option: ProxyOption, _ scope: SettingScope, allowed: [String: Bool],
        _ value: (String) throws(SettingFault) -> String
    ) throws(SettingFault) {
        kind = option.kind
        host = option.host.lowercased()
        port = option.port
        // What a proxy can reach is often more than what the address guard lets through.
        guard let isShared = allowed["\(host):\(port)"], scope.isOperators || isShared else {
            let setting = "POSTRIDER_ALLOW_PROXY=\(host):\(port)" + (scope.isOperators ? "" : ":shared")
            throw SettingFault("option proxy: this worker may not use it: \(setting)")
        }
        username = try option.username?.expanded(value)
        password = try option.password?.expanded(value)
        for text in [username, password].compactMap({ $0 }) where text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F })
        {
            throw SettingFault("option proxy: its credentials hold a control character")
        }
    }

    /// Passwords are not shown.
    public var customMirror: Mirror { Mirror(self, children: ["host": host, "port": port]) }
}

extension DeliveryOptions {
    /// Name of the header that carries the credentials of the option `auth`; nil without it.
    public var authenticationHeader: String? {
        switch accessOptions?.authentication {
        case .basic, .bearer: "Authorization"
        case .token(let option): option.header
        case nil: nil
        }
    }

    /// How the destination is reached; nil when no option says anything about it.
    ///
    /// - Throws: ``SettingFault``, for what this process cannot use.
    public func access(for scope: SettingScope, from book: SettingBook) throws(SettingFault) -> Access? {
        guard let accessOptions else { return nil }
        return try Access(accessOptions, scope, book)
    }
}
