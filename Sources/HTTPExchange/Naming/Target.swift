// What is here: the strict gate for URLs, and what of a URL the dial needs. libcurl itself splits it, so that what is
// judged is what is dialed. Called by: Loop, once per URL and not per request.

import CLibCurl

/// A URL that passed the gate.
final class Target {
    /// The URL for `CURLOPT_URL`, with its final NUL.
    let url: [CChar]
    /// Whether the scheme is `https`; otherwise it is `http`.
    let isSecure: Bool
    /// Whom to dial, shared by all targets of the same: the URL's host and port, or the proxy.
    let host: Host
    /// Whether that is a proxy.
    var isProxied: Bool { host.isProxy }

    init(url: [CChar], isSecure: Bool, host: Host) {
        self.url = url
        self.isSecure = isSecure
        self.host = host
    }
}

/// The parts of a URL that say whom to dial.
struct TargetParts {
    /// Whether the scheme is `https`; otherwise it is `http`.
    var isSecure: Bool
    /// The host as libcurl uses it: lower case, number forms turned into dotted decimal, IPv6 without brackets.
    var host: String
    /// 1 to 65535.
    var port: Int
}

/// Decides whether a URL is acceptable. The messages never quote it: it may carry credentials.
enum URLGate {
    private static let longest = 8_192

    /// The parts of an acceptable URL.
    ///
    /// - Throws: `Failure` of kind `.invalidRequest` that says what is wrong; of kind `.worker` when there is no memory.
    static func parts(of url: String) throws(Failure) -> TargetParts {
        let bytes = Array(url.utf8)
        guard bytes.count <= longest else { throw invalid("the URL is longer than \(longest) bytes") }
        // RFC 3986 allows nothing else; a backslash is read as a slash by some parsers and as a name by others.
        guard bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\\") }) else {
            throw invalid("the URL holds a blank, a control character, a backslash or a character outside ASCII")
        }
        let isSecure = starts(bytes, with: "https://")
        guard isSecure || starts(bytes, with: "http://") else {
            throw invalid("the URL does not begin with https:// or http://")
        }
        try checkAuthority(bytes.dropFirst(isSecure ? 8 : 7))
        let (host, port) = try split(url)
        return TargetParts(isSecure: isSecure, host: host, port: port)
    }

    private static func starts(_ bytes: [UInt8], with prefix: StaticString) -> Bool {
        guard bytes.count > prefix.utf8CodeUnitCount else { return false }
        let wanted = UnsafeBufferPointer(start: prefix.utf8Start, count: prefix.utf8CodeUnitCount)
        return zip(bytes, wanted).allSatisfy { ($0 >= 65 && $0 <= 90 ? $0 | 0x20 : $0) == $1 }
    }

    /// No user information, no percent sign, nothing but the letters of host names, numbers and brackets.
    private static func checkAuthority(_ rest: ArraySlice<UInt8>) throws(Failure) {
        let authority = rest.prefix { $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
        guard !authority.contains(UInt8(ascii: "@")) else { throw invalid("the URL holds user information") }
        guard let first = authority.first, first != UInt8(ascii: ":") else { throw invalid("the URL has no host") }
        let isName = authority.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: true
            case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"): true
            case UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"): true
            default: false
            }
        }
        guard isName else { throw invalid("the URL's host holds a character that no host name has") }
        // libcurl accepts "host:" and takes the scheme's port; a port that is written must be a number.
        guard authority.last != UInt8(ascii: ":") else { throw invalid("the URL's port is empty") }
    }

    /// Host and port as libcurl sees them. Source: `curl_url_set(3)`, `curl_url_get(3)`.
    private static func split(_ url: String) throws(Failure) -> (String, Int) {
        guard let handle = curl_url() else { throw Failure(kind: .worker, message: "no memory for the URL") }
        defer { curl_url_cleanup(handle) }
        guard curl_url_set(handle, CURLUPART_URL, url, UInt32(CURLU_DISALLOW_USER)) == CURLUE_OK else {
            throw invalid("the URL cannot be read")
        }
        guard let host = part(handle, CURLUPART_HOST, 0), !host.isEmpty, host.utf8.count <= 255 else {
            throw invalid("the URL has no usable host")
        }
        guard let port = part(handle, CURLUPART_PORT, UInt32(CURLU_DEFAULT_PORT)).flatMap({ Int($0) }),
            (1...65_535).contains(port)
        else { throw invalid("the URL's port is not a number from 1 to 65535") }
        let bare = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
        return (bare.lowercased(), port)
    }

    private static func part(_ handle: OpaquePointer, _ part: CURLUPart, _ flags: UInt32) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(handle, part, &text, flags) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }

    private static func invalid(_ message: String) -> Failure { Failure(kind: .invalidRequest, message: message) }
}
