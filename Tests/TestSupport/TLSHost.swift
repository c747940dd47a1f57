// Receivers with good and bad certificates: one small Python program, tls-host.py, for all of them.

internal import Foundation

/// A TLS server on 127.0.0.1 that answers 200, for each kind of certificate on a port of its own. Ended with the value.
///
/// The body of an answer says `TLSv1.3 new` or `TLSv1.3 resumed`.
public final class TLSHost: Sendable {
    /// A kind of certificate.
    public typealias Kind = Certificates.Kind

    /// How it differs from a modern receiver.
    public enum Trait: String, Sendable {
        /// It ends handshakes of clients without a certificate, and answers with the name in theirs.
        case mutual
        /// It speaks TLS 1.1 only.
        case tls11
        /// It speaks TLS 1.2 at most.
        case tls12
        /// It closes each connection after one answer.
        case close
    }

    /// PEM file of the authority to trust.
    public let authority: String
    private let ports: [Kind: Int]
    // Only kept: it ends with this value.
    nonisolated(unsafe) private let program: Program

    /// Starts it.
    ///
    /// - Parameter isModest: whether it gives way to everybody else's work.
    /// - Throws: ``ProgramError``.
    public init(_ traits: Trait..., isModest: Bool = false) throws {
        let certificates = try Certificates.shared.get()
        authority = certificates.authority
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/tls-host.py"
        program = try Program(
            ["nice", "-n", isModest ? "19" : "0", "python3", "-u", script, authority]
                + [traits.map(\.rawValue).joined(separator: ",")] + Kind.allCases.map { certificates.file($0) })
        let line = program.readLine()
        let numbers = line.split(separator: " ").compactMap { Int($0) }
        guard numbers.count == Kind.allCases.count else { throw ProgramError("the TLS host said \(line)") }
        ports = Dictionary(uniqueKeysWithValues: zip(Kind.allCases, numbers))
    }

    /// Where it shows a kind of certificate.
    public func port(_ kind: Kind = .valid) -> Int { ports[kind] ?? 0 }

    /// A URL of it.
    public func url(_ kind: Kind = .valid, host: String = "localhost") -> String { "https://\(host):\(port(kind))/hook" }
}
