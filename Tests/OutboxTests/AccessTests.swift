// The options auth, tls and proxy: what may stand in them, and what becomes of them.

import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Outbox

@Suite struct AccessTests {
    private static let key = String(repeating: "k", count: 32)

    private func book(_ values: [String: String], proxies: [String: Bool] = [:]) -> SettingBook {
        var book = SettingBook(
            grants: ProcessGrants(proxies: proxies) { name throws(SettingFault) in "-----BEGIN CERTIFICATE----- \(name)" })
        for (name, value) in values { book.add(name, organization: nil, isShared: false, .success(value)) }
        return book
    }

    private func access(
        _ options: String, _ values: [String: String] = [:], organization: String? = nil, proxies: [String: Bool] = [:]
    ) throws -> Access? {
        try DeliveryOptions(parsing: Array(options.utf8)).access(
            for: SettingScope(organization: organization, user: nil), from: book(values, proxies: proxies))
    }

    private func fault(_ body: () throws -> Void) -> String? {
        do { try body() } catch { return "\(error)" }
        return nil
    }

    private func request(_ options: String, _ values: [String: String], profile: String = "n8n") throws -> PreparedRequest {
        let destination = try Destination(
            id: 1, uuid: Fixture.destinationID, name: "d", url: DestinationURL("https://example.org/"),
            patterns: [EventPattern("*")], profile: Fixture.profile(profile), access: access(options, values))
        return try Fixture.request(Fixture.event(), destination)
    }

    /// One that is replaced between two reads would give the certificate of one and the key of another.
    @Test func fileOfCertificateAndKeyIsReadOnce() throws {
        let reads = Mutex(0)
        let book = SettingBook(
            grants: ProcessGrants(proxies: [:]) { name throws(SettingFault) in
                let count = reads.withLock { count in
                    count += 1
                    return count
                }
                return "-----BEGIN CERTIFICATE----- \(name) \(count) -----BEGIN PRIVATE KEY-----"
            })
        let options = #"{"tls": {"certificate": "file:client.pem", "key": "file:client.pem", "ca": "file:ca.pem"}}"#
        let access = try DeliveryOptions(parsing: Array(options.utf8)).access(
            for: SettingScope(organization: nil, user: nil), from: book)
        let identity = try #require(access?.identity)
        #expect(identity.certificate == identity.key && identity.certificate?.contains("client.pem 1") == true)
        #expect(identity.authority?.contains("ca.pem 2") == true)
        #expect(reads.withLock { $0 } == 2)
    }

    // MARK: What may stand in options

    @Test(arguments: [
        (#"{"auth": {"basic": {"username": "u", "password": "word"}}}"#, "the password must be a reference ${NAME}"),
        (#"{"auth": {"basic": {"username": "u", "password": "x${P}"}}}"#, "the password must be a reference ${NAME}"),
        (#"{"auth": {"basic": {"username": "u"}}}"#, "basic needs username and password"),
        (#"{"auth": {"bearer": "word"}}"#, "the token must be a reference ${NAME}"),
        (#"{"auth": {"bearer": "${T}", "basic": {}}}"#, "give one of"), (#"{"auth": {}}"#, "give one of"),
        (#"{"auth": {"digest": "${T}"}}"#, "unknown key"), (#"{"auth": "x"}"#, "expected an object"),
        (#"{"auth": {"jwt": {"algorithm": "HS256", "key": "word"}}}"#, "the key must be a reference ${NAME}"),
        (#"{"auth": {"jwt": {"algorithm": "none", "key": "${K}"}}}"#, "algorithm must be one of HS256"),
        (#"{"auth": {"jwt": {"algorithm": "RS256", "key": "${K}"}}}"#, "algorithm must be one of HS256"),
        (#"{"auth": {"jwt": {"algorithm": "HS256"}}}"#, "jwt needs a key"),
        (#"{"auth": {"jwt": {"algorithm": "HS256", "key": "${K}", "lifetime": 0}}}"#, "from 1 to 86400"),
        (#"{"auth": {"jwt": {"algorithm": "HS256", "key": "${K}", "header": "Host"}}}"#, "is set by HTTP itself"),
        (#"{"auth": {"jwt": {"algorithm": "HS256", "key": "${K}", "claims": {"exp": 1}}}}"#, "the claim exp is set for each"),
        (#"{"auth": {"jwt": {"algorithm": "HS256", "key": "${K}", "issuer": "a", "claims": {"iss": "b"}}}}"#, "iss is there twice"),
        (#"{"tls": {"certificate": "${C}"}}"#, "certificate and key go together"), (#"{"tls": {}}"#, "give certificate and key"),
        (#"{"tls": {"certificate": "${C}", "key": "-----BEGIN PRIVATE KEY-----"}}"#, "the key must be ${NAME} or file:NAME"),
        (#"{"tls": {"ca": "file:../etc/passwd"}}"#, "file: takes the name of a file"),
        (#"{"tls": {"ca": "file:.hidden"}}"#, "file: takes the name of a file"), (#"{"tls": {"ca": "/etc/ca.pem"}}"#, "expected PEM"),
        (#"{"proxy": "http://user:word@proxy.example:1"}"#, "the password must be a reference ${NAME}"),
        (#"{"proxy": "https://proxy.example:1"}"#, "expected http://HOST:PORT"), (#"{"proxy": "socks5://p.example:1"}"#, "expected http://HOST:PORT"),
        (#"{"proxy": "http://proxy.example"}"#, "expected http://HOST:PORT"), (#"{"proxy": "http://proxy.example:0"}"#, "expected http://HOST:PORT"),
        (#"{"proxy": "http://proxy.example:1/x"}"#, "expected http://HOST:PORT"), (#"{"proxy": "http://127.1:1"}"#, "expected http://HOST:PORT"),
    ])
    func wrongOptionsAreToldWithoutTheirSecrets(options: String, reason: String) {
        let text = fault { _ = try DeliveryOptions(parsing: Array(options.utf8)) } ?? "accepted"
        #expect(text.contains(reason), "\(text)")
        #expect(!text.contains("word\""))
    }

    @Test func optionsWithoutAccessHaveNone() throws {
        #expect(try access("{}") == nil)
        #expect(try access(#"{"order": true}"#) == nil)
        let one = try DeliveryOptions(parsing: Array(#"{"auth": {"bearer": "${T}"}}"#.utf8))
        #expect(try one == DeliveryOptions(parsing: Array(#"{"auth": {"bearer": "${T}"}}"#.utf8)))
        #expect(try one != DeliveryOptions(parsing: Array(#"{"auth": {"bearer": "${U}"}}"#.utf8)))
    }

    // MARK: Headers

    @Test func basicAndBearerAreHeaders() throws {
        let basic = try request(#"{"auth": {"basic": {"username": "Aladdin", "password": "${P}"}}}"#, ["P": "open sesame"])
        #expect(basic.value(of: "Authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        let bearer = try request(#"{"auth": {"bearer": "${T}"}}"#, ["T": "mF_9.B5f-4.1JqM"])
        #expect(bearer.value(of: "authorization") == "Bearer mF_9.B5f-4.1JqM")
    }

    @Test func valuesThatBreakHeadersAreRefused() {
        for (options, values) in [
            (#"{"auth": {"bearer": "${T}"}}"#, ["T": "a\r\nX-Evil: 1"]), (#"{"auth": {"bearer": "${T}"}}"#, ["T": "a\n"]),
            (#"{"auth": {"basic": {"username": "${U}", "password": "${P}"}}}"#, ["U": "a:b", "P": "c"]),
            (#"{"proxy": "http://u:${P}@p.example:1"}"#, ["P": "a\r\nb"]),
        ] {
            let text = fault { _ = try access(options, values, proxies: ["p.example:1": false]) }
            #expect(text?.hasPrefix("option ") == true && text?.contains("Evil") == false, "\(text ?? "accepted")")
        }
    }

    @Test func headerOfTheOptionMayNotBeThereTwice() throws {
        let access = try access(#"{"auth": {"bearer": "${T}"}}"#, ["T": "x"])
        #expect(throws: DestinationError.repeatedHeader("Authorization")) {
            try Destination(
                id: 1, uuid: Fixture.destinationID, name: "d", url: DestinationURL("https://example.org/"), patterns: [],
                profile: Fixture.profile("n8n"), headers: [HeaderField(name: "authorization", value: "y")], access: access)
        }
    }

    // MARK: Tokens

    /// A verifier that shares no code with ours: Python's hmac and hashlib, and the openssl program.
    private func verified(_ token: String, _ algorithm: String, key: String) throws -> [String: Any] {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("jwt-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try key.write(to: folder.appendingPathComponent("key"), atomically: true, encoding: .utf8)
        try TokenVerifier.script.write(to: folder.appendingPathComponent("verify.py"), atomically: true, encoding: .utf8)
        let program = try Program(["python3", "verify.py", algorithm, token], in: folder.path)
        let line = program.readLine()
        return try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
    }

    private func token(_ request: PreparedRequest, header: String = "Authorization") throws -> String {
        let value = try #require(request.value(of: header))
        return header == "Authorization" ? String(value.dropFirst("Bearer ".count)) : value
    }

    @Test(arguments: [("HS256", 32), ("HS384", 48), ("HS512", 64)])
    func tokensOfPassphrasesVerify(algorithm: String, length: Int) throws {
        let key = String(repeating: "é", count: length / 2)
        let request = try request(
            #"{"auth": {"jwt": {"algorithm": "\#(algorithm)", "key": "${K}", "issuer": "post\"rider", "audience": "n8n", "subject": "s", "lifetime": 90, "claims": {"team": ["a", 1.50, null], "é": true}}}}"#,
            ["K": key])
        let claims = try verified(token(request), algorithm, key: key)
        #expect(claims["iss"] as? String == "post\"rider" && claims["aud"] as? String == "n8n" && claims["sub"] as? String == "s")
        #expect(claims["iat"] as? Int64 == Fixture.unixSeconds && claims["exp"] as? Int64 == Fixture.unixSeconds + 90)
        #expect(claims["jti"] as? String == Fixture.deliveryID)
        #expect(claims["é"] as? Bool == true && (claims["team"] as? [Any])?.count == 3)
        let digest = try Program(["python3", "-c", "import hashlib,sys;print(hashlib.sha256(sys.argv[1].encode()).hexdigest())", request.text])
        #expect(claims["body_sha256"] as? String == digest.readLine())
        let short = fault {
            _ = try access(
                #"{"auth": {"jwt": {"algorithm": "\#(algorithm)", "key": "${K}"}}}"#, ["K": String(repeating: "k", count: length - 1)])
        }
        #expect(short == "option auth: the key is shorter than the \(length) bytes that its algorithm needs")
    }

    @Test(arguments: [
        ("ES256", "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256"), ("ES256", "ecparam -name prime256v1 -genkey -noout"),
        ("EdDSA", "genpkey -algorithm ED25519"),
    ])
    func tokensOfKeyPairsVerify(algorithm: String, command: String) throws {
        let program = try Program(["sh", "-c", "openssl \(command) && echo end"])
        var pem = ""
        while case let line = program.readLine(), line != "end", !line.isEmpty { pem += line + "\n" }
        let request = try request(
            #"{"auth": {"jwt": {"algorithm": "\#(algorithm)", "key": "${K}", "key_id": "k1", "body_hash": false, "header": "X-Token"}}}"#,
            ["K": pem])
        #expect(request.value(of: "Authorization") == nil)
        let claims = try verified(token(request, header: "X-Token"), algorithm, key: pem)
        #expect(claims["jti"] as? String == Fixture.deliveryID && claims["body_sha256"] == nil)
        #expect(claims["kid"] as? String == "k1")
    }

    @Test func keysOfAnotherKindAreRefused() {
        for algorithm in ["ES256", "EdDSA"] {
            for key in [Self.key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"] {
                let text = fault { _ = try access(#"{"auth": {"jwt": {"algorithm": "\#(algorithm)", "key": "${K}"}}}"#, ["K": key]) }
                #expect(text?.hasPrefix("option auth: the key for \(algorithm) is no") == true)
            }
        }
    }

    // MARK: Ways

    @Test func identityIsReadFromSettingsAndFiles() throws {
        let key = "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"
        let certificate = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"
        let options = #"{"tls": {"certificate": "${C}", "key": "${K}", "ca": "file:ca.pem"}}"#
        let identity = try #require(try access(options, ["C": certificate, "K": key])?.identity)
        #expect(identity.certificate == certificate && identity.key == key && identity.authority?.hasSuffix(" ca.pem") == true)
        #expect(fault { _ = try access(options, ["C": key, "K": key]) }?.contains("should be a certificate") == true)
        let sealed = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nx\n-----END ENCRYPTED PRIVATE KEY-----"
        #expect(fault { _ = try access(options, ["C": certificate, "K": sealed]) }?.contains("is encrypted") == true)
        // OpenSSL asks for the password of a certificate, too.
        let odd = "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nx\n-----END CERTIFICATE-----"
        #expect(fault { _ = try access(options, ["C": odd, "K": key]) }?.contains("is encrypted") == true)
        #expect(fault { _ = try access(#"{"tls": {"ca": "${C}"}}"#, ["C": odd]) }?.contains("is encrypted") == true)
        var book = SettingBook()
        book.add("C", organization: "acme", isShared: false, .success(certificate))
        let files = try DeliveryOptions(parsing: Array(#"{"tls": {"ca": "file:ca.pem"}}"#.utf8))
        #expect(fault { _ = try files.access(for: SettingScope(organization: "acme", user: nil), from: book) }?.contains("files are for") == true)
        #expect(fault { _ = try files.access(for: SettingScope(organization: nil, user: nil), from: book) }?.contains("POSTRIDER_TLS_FOLDER") == true)
    }

    @Test func proxyMustBeAllowedByName() throws {
        let options = #"{"proxy": "http://user:${P}@Proxy.Example:3128"}"#
        #expect(fault { _ = try access(options, ["P": "x"]) } == "option proxy: this worker may not use it: POSTRIDER_ALLOW_PROXY=proxy.example:3128")
        let proxy = try #require(try access(options, ["P": "x"], proxies: ["proxy.example:3128": false])?.proxy)
        #expect(proxy.kind == .http && proxy.host == "proxy.example" && proxy.port == 3128)
        #expect(proxy.username == "user" && proxy.password == "x")
        let plain = try #require(try access(#"{"proxy": "socks5h://10.0.0.9:1080"}"#, proxies: ["10.0.0.9:1080": false])?.proxy)
        #expect(plain.kind == .socks5h && plain.username == nil)
        // What the operator's destinations may use is not everybody's.
        let own = #"{"proxy": "http://10.0.0.9:1080"}"#
        #expect(fault { _ = try access(own, organization: "acme", proxies: ["10.0.0.9:1080": false]) }?.hasSuffix("=10.0.0.9:1080:shared") == true)
        #expect(try access(own, organization: "acme", proxies: ["10.0.0.9:1080": true])?.proxy != nil)
    }
}

private enum TokenVerifier {
    /// Arguments: algorithm, token; the file `key` beside it. Prints the claims, with the token's `kid` among them.
    static let script = #"""
        import base64, hashlib, hmac, json, subprocess, sys
        algorithm, token = sys.argv[1:]
        parts = token.split(".")
        assert len(parts) == 3 and "=" not in token
        decode = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        header, claims, signature = (decode(part) for part in parts)
        header = json.loads(header)
        assert header["alg"] == algorithm and header["typ"] == "JWT"
        message = ".".join(parts[:2]).encode()
        if algorithm.startswith("HS"):
            key = open("key", "rb").read()
            assert hmac.compare_digest(hmac.new(key, message, getattr(hashlib, "sha" + algorithm[2:])).digest(), signature)
        else:
            open("message", "wb").write(message)
            subprocess.run("openssl pkey -in key -pubout -out public".split(), check=True)
            if algorithm == "ES256":
                assert len(signature) == 64
                def number(part):
                    part = part.lstrip(b"\0")
                    part = b"\0" + part if part[0] > 127 else part
                    return bytes([2, len(part)]) + part
                both = number(signature[:32]) + number(signature[32:])
                open("signature", "wb").write(bytes([48, len(both)]) + both)
                command = "openssl dgst -sha256 -verify public -signature signature message"
            else:
                open("signature", "wb").write(signature)
                command = "openssl pkeyutl -verify -pubin -inkey public -rawin -in message -sigfile signature"
            subprocess.run(command.split(), check=True, stdout=subprocess.DEVNULL)
        claims = json.loads(claims)
        print(json.dumps({**claims, **({"kid": header["kid"]} if "kid" in header else {})}))
        """#
}
