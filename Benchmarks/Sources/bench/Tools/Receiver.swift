// bench-receiver as the scenarios see it.

import FoundationEssentials
import Glibc
import Support

/// What the receiver has counted so far.
struct ReceiverFigures: Decodable {
    /// Requests that arrived.
    let requests: Int
    /// Those of them that are distinct by webhook-id and port.
    let distinct: Int
    /// The others.
    let duplicates: Int
    /// Connections that were opened to it.
    let connections: Int
    /// Bytes that arrived, without those of TLS.
    let bytes: Int
    /// TLS handshakes from the beginning.
    let handshakes: Int
    /// TLS handshakes that resumed a session.
    let resumed: Int
    /// TLS handshakes that came to nothing.
    let handshakes_failed: Int
    /// The most requests that came over one connection.
    let most_requests: Int
    /// Arrival of the first request, in microseconds since 1970; 0 when there was none.
    let first_us: Int64
    /// CPU that it used, in microseconds.
    let cpu_us: Int64
}

/// A running receiver.
final class Receiver {
    /// Its ports on 127.0.0.1, one for each destination.
    let ports: [Int]
    private let child: Child
    private let recordPath: String?
    private let scheme: String

    /// Starts one and waits until it listens.
    ///
    /// - Parameters:
    ///   - ports: how many destinations it plays.
    ///   - count: after how many distinct requests ``reachedCount()`` is true.
    ///   - records: whether the arrivals are kept for ``arrivals()``.
    ///   - authority: whose certificate it shows; nil for plain http.
    ///   - closeAfter: requests after which it closes a connection; nil for never.
    /// - Throws: ``BenchError`` when it cannot be started.
    init(
        _ toolbox: Toolbox, ports: Int = 1, count: Int = 0, records: Bool = false, authority: Authority? = nil,
        closeAfter: Int? = nil
    ) throws {
        recordPath = records ? "\(toolbox.folder)/arrivals" : nil
        var arguments = ["--ports", "\(ports)"]
        if count > 0 { arguments += ["--count", "\(count)"] }
        if let recordPath { arguments += ["--record", recordPath] }
        if let authority { arguments += ["--tls-certificate", authority.certificate, "--tls-key", authority.key] }
        if let closeAfter { arguments += ["--close-after", "\(closeAfter)"] }
        scheme = authority == nil ? "http" : "https"
        child = try toolbox.start("bench-receiver", arguments)
        struct Ports: Decodable { let ports: [Int] }
        self.ports = try decode(Ports.self, child.line(within: 10)).ports
    }

    /// Where a destination listens.
    func url(_ destination: Int = 0) -> String { "\(scheme)://127.0.0.1:\(ports[destination])/" }

    /// Where all of them listen.
    var urls: [String] { ports.indices.map { url($0) } }

    /// Whether the count was reached; waits up to a twentieth of a second for it. True once.
    ///
    /// - Throws: ``BenchError`` when the receiver is gone or the driver was interrupted.
    func reachedCount() throws -> Bool { try child.lineNow() != nil }

    /// What it has counted so far.
    ///
    /// - Throws: ``BenchError`` when the receiver is gone or the driver was interrupted.
    func figures() throws -> ReceiverFigures {
        child.signal(SIGUSR1)
        return try decode(ReceiverFigures.self, child.line(within: 10))
    }

    /// Waits until it has so many distinct requests.
    ///
    /// - Returns: false when they did not come in time.
    /// - Throws: ``BenchError`` when the receiver is gone or the driver was interrupted.
    func waits(for count: Int, within seconds: Double) throws -> Bool {
        let deadline = Clock.seconds + seconds
        while try figures().distinct < count {
            if Clock.seconds > deadline { return false }
            try Interruption.sleep(seconds: 0.02)
        }
        return true
    }

    /// Every arrival so far, in order.
    ///
    /// - Throws: ``BenchError`` when the record cannot be read.
    func arrivals() throws -> [bench_arrival] {
        _ = try figures()
        return try recordPath.map { try readRecords($0, as: bench_arrival.self) } ?? []
    }

    /// Stops it for a time: connections stay, and nothing is read or answered.
    ///
    /// - Throws: ``BenchError`` when it did not stop or the driver was interrupted; it goes on either way.
    func standStill(_ seconds: Double) throws {
        child.signal(SIGSTOP)
        defer { child.signal(SIGCONT) }
        try Interruption.sleep(seconds: seconds)
        guard ProcessFigures.isStopped(child.pid) else { throw BenchError("The receiver did not stand still.") }
    }

    /// Ends it.
    func end() { child.end() }
}

/// A value from one line of JSON.
///
/// - Throws: ``BenchError`` with the line when it is something else.
func decode<Value: Decodable>(_ type: Value.Type, _ line: String) throws -> Value {
    do {
        return try JSONDecoder().decode(type, from: Data(line.utf8))
    } catch {
        throw BenchError("A program printed what was not expected of it: \(line)")
    }
}
