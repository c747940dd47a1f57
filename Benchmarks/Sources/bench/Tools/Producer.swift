// bench-producer as the scenarios see it.

import Support

/// What the producer did.
struct ProducerFigures: Decodable {
    /// Acknowledged commits.
    let commits: Int
    /// From the first statement to the last answer, in microseconds.
    let elapsed_us: Double
    /// From sending a statement to the acknowledgement of its commit, in microseconds.
    let commit_p50_us: Double
    /// The same at the 99th percentile.
    let commit_p99_us: Double
    /// How much later than planned statements were sent, 99th percentile, in microseconds.
    let late_p99_us: Double

    /// Commits a second.
    var rate: Double { elapsed_us > 0 ? Double(commits) * 1_000_000 / elapsed_us : 0 }
}

/// A running producer.
final class Producer {
    private let child: Child
    private let seconds: Double
    private let recordPath: String

    /// Starts one and waits until its clients are connected; it begins at once.
    ///
    /// - Parameters:
    ///   - statement: takes `$1`, a number that ascends from 1.
    ///   - clients: connections, one statement in flight on each.
    ///   - rate: statements a second in the open loop; nil for the closed loop.
    ///   - seconds: for how long.
    ///   - first: the first number.
    /// - Throws: ``BenchError`` when it cannot be started.
    init(
        _ toolbox: Toolbox, databaseURL: String, statement: String, clients: Int, rate: Int? = nil, seconds: Int,
        first: Int = 1
    ) throws {
        self.seconds = Double(seconds)
        recordPath = "\(toolbox.folder)/commits"
        let arguments = [
            "--statement", statement, "--connections", "\(clients)", "--rate", "\(rate ?? 0)",
            "--seconds", "\(seconds)", "--first", "\(first)", "--record", recordPath,
        ]
        child = try toolbox.start("bench-producer", arguments, databaseURL: databaseURL)
        _ = try child.line(within: 30)
    }

    /// Waits for its end.
    ///
    /// - Throws: ``BenchError`` when it fails or takes longer than it should.
    func finish() throws -> ProducerFigures {
        guard let line = try child.finish(within: seconds + 60).last else {
            throw BenchError("bench-producer printed no figures.")
        }
        return try decode(ProducerFigures.self, line)
    }

    /// Every commit, in the order of acknowledgement. For use after ``finish()``.
    ///
    /// - Throws: ``BenchError`` when the record cannot be read.
    func commits() throws -> [bench_commit] { try readRecords(recordPath, as: bench_commit.self) }

    /// Ends it, if it runs.
    func end() { child.end() }
}
