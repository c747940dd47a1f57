// What is here: certificates for the TLS tests, made by the openssl program in a temporary folder once per run.
// Called by: TLS receivers and the tests, for the file of the authority they trust.

internal import Foundation

/// Files of one authority and of servers that it, or nobody, vouches for.
public struct Certificates: Sendable {
    /// Certificates a receiver can show.
    public enum Kind: String, CaseIterable, Sendable {
        /// By the authority, for localhost and the loopback addresses.
        case valid
        /// By the authority, for another name.
        case wrongName
        /// By the authority, of yesterday.
        case expired
        /// By itself.
        case selfSigned
    }

    /// Where the files lie.
    public let folder: String

    /// Made at first use; removed when the process ends.
    public static let shared = Swift.Result { try Certificates() }

    /// PEM file of the authority.
    public var authority: String { folder + "/ca.pem" }

    /// PEM file with certificate and key.
    public func file(_ kind: Kind) -> String { "\(folder)/\(kind.rawValue).pem" }

    private init() throws {
        folder = NSTemporaryDirectory() + "http-exchange-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        atexit {
            if let made = try? Certificates.shared.get() { try? FileManager.default.removeItem(atPath: made.folder) }
        }
        try openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=Authority"
                + " -keyout ca.key -out ca.pem")
        try make(.valid, names: "DNS:localhost,IP:127.0.0.1,IP:::1", days: 2)
        try make(.wrongName, names: "DNS:elsewhere.example", days: 2)
        try make(.expired, names: "DNS:localhost,IP:127.0.0.1", days: -1)
        try openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
                + " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout self.key -out self.pem")
        try join("self.pem", "self.key", to: .selfSigned)
    }

    private func make(_ kind: Kind, names: String, days: Int) throws {
        try "subjectAltName=\(names)\n".write(toFile: folder + "/names", atomically: true, encoding: .utf8)
        try openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=Receiver -keyout key -out request")
        try openssl("x509 -req -in request -CA ca.pem -CAkey ca.key -days \(days) -extfile names -out certificate")
        try join("certificate", "key", to: kind)
    }

    /// A certificate for a client of that name, by the authority, with its key: two texts in PEM. Names are used once.
    ///
    /// - Throws: ``ProgramError``.
    public func client(_ name: String) throws -> (certificate: String, key: String) {
        let file = "client-\(UUID().uuidString)"
        try openssl(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=\(name) -keyout \(file).key -out \(file).request")
        try openssl("x509 -req -in \(file).request -CA ca.pem -CAkey ca.key -set_serial \(UInt32.random(in: 1 ... .max)) -days 2 -out \(file).pem")
        return (
            try String(contentsOfFile: "\(folder)/\(file).pem", encoding: .utf8),
            try String(contentsOfFile: "\(folder)/\(file).key", encoding: .utf8)
        )
    }

    private func join(_ certificate: String, _ key: String, to kind: Kind) throws {
        let both = try [certificate, key].map { try String(contentsOfFile: "\(folder)/\($0)", encoding: .utf8) }
        try both.joined().write(toFile: file(kind), atomically: true, encoding: .utf8)
    }

    private func openssl(_ arguments: String) throws {
        let program = try Program(["openssl"] + arguments.split(separator: " ").map(String.init), in: folder)
        guard program.wait() == 0 else { throw ProgramError("openssl \(arguments.prefix(20))… failed") }
    }
}
