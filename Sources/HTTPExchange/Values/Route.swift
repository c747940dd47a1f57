// What is here: a way to a receiver that differs from the straight one: a client certificate, authorities, a proxy.
// Called by: whoever makes requests for receivers that need one.

/// How a receiver is reached. A class, so that a request carries one reference; connections of routes that differ in
/// certificate, authorities or proxy are not mixed by libcurl (`Curl_ssl_config_matches`, `proxy_info_matches`).
public final class Route: Sendable, CustomReflectable {
    /// A proxy.
    public struct Proxy: Sendable {
        /// How it is spoken to.
        public enum Kind: Sendable {
            /// HTTP: CONNECT for https URLs, the whole request otherwise.
            case http
            /// SOCKS 5; the proxy looks the receiver's name up.
            case socks5h
        }

        /// How it is spoken to.
        public let kind: Kind
        /// Name or IPv4 address in lower case. It is dialed whatever its address: the caller decides which are allowed.
        public let host: String
        /// 1 to 65535.
        public let port: Int
        /// Who we are there; nil for nobody.
        public let username: String?
        /// The password; nil for none.
        public let password: String?

        /// Makes a proxy.
        public init(kind: Kind, host: String, port: Int, username: String? = nil, password: String? = nil) {
            self.kind = kind
            self.host = host
            self.port = port
            self.username = username
            self.password = password
        }
    }

    /// The client's certificate in PEM, with the chain behind it; nil for none.
    let certificate: [UInt8]?
    /// Its private key in PEM, not encrypted.
    let key: [UInt8]?
    /// Authorities in PEM that the receiver is verified with; nil for those of the exchanger.
    let authority: [UInt8]?
    let proxy: Proxy?

    /// Makes a route. PEM texts are read at the handshake: one that is none makes the exchange fail with `.tls`.
    public init(certificate: String? = nil, key: String? = nil, authority: String? = nil, proxy: Proxy? = nil) {
        self.certificate = certificate.map { Array($0.utf8) }
        self.key = key.map { Array($0.utf8) }
        self.authority = authority.map { Array($0.utf8) }
        self.proxy = proxy
    }

    /// Keys and passwords are not shown.
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}
