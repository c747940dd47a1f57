// The receiver behind `postrider listen`: takes requests, looks at them, tells of them, answers as told.

internal import FoundationEssentials
internal import Glibc
internal import Outbox
internal import Synchronization

/// Counts of what has arrived.
struct ListenTotals: Sendable, Equatable {
    var requests = 0
    var signatures: [String: Int] = [:]
    /// Requests whose event id had been answered with 2xx before.
    var repeats = 0

    /// One line for people.
    var line: String {
        let words = ["ok", "bad", "none", "unchecked"].compactMap { word in signatures[word].map { "\(word) \($0)" } }
        let checked = words.isEmpty ? "" : "; signatures: \(words.joined(separator: ", "))"
        return "\(Plural.text(requests, "request"))\(checked); repeated ids: \(repeats)"
    }

    /// The same as a JSON object.
    var json: String {
        var line = JSONLine()
        line.add("requests", requests)
        for word in ["ok", "bad", "none", "unchecked"] { line.add("signature_\(word)", signatures[word] ?? 0) }
        line.add("repeats", repeats)
        return line.text
    }
}

/// Takes requests and writes a line for each to standard output.
final class Listener: Sendable {
    private struct State {
        var totals = ListenTotals()
        /// Ids that were answered with 2xx.
        var delivered: Set<String> = []
    }

    private let verifier: Verifier
    private let plan: AnswerPlan
    private let format: (@Sendable (RequestReport) -> String)?
    private let limit: Int?
    private let state = Mutex(State())
    private let full = AsyncStream<Void>.makeStream()

    /// Makes a listener.
    ///
    /// - Parameters:
    ///   - verifier: checks signatures.
    ///   - plan: says what to answer.
    ///   - limit: after so many requests ``waitUntilFull()`` returns; nil for no such number.
    ///   - format: makes the line of a request; nil to print none.
    init(verifier: Verifier, plan: AnswerPlan, limit: Int?, format: (@Sendable (RequestReport) -> String)?) {
        self.verifier = verifier
        self.plan = plan
        self.limit = limit
        self.format = format
    }

    /// What has arrived so far.
    var totals: ListenTotals { state.withLock { $0.totals } }

    /// Takes one request.
    func answer(_ request: ReceivedRequest) -> ReceiverAnswer {
        let now = Date()
        let inspection = verifier.inspect(request, unixSeconds: Int64(now.timeIntervalSince1970))
        let place = state.withLock { state in
            state.totals.requests += 1
            state.totals.signatures[inspection.signature.word, default: 0] += 1
            return state.totals.requests - 1
        }
        let answer = plan.answer(place: place, request: request)
        note(inspection.eventID, status: answer.status)
        if let format {
            let report = RequestReport(
                receivedAt: now, request: request, inspection: inspection, status: answer.status)
            if !Self.write(format(report)) { full.continuation.finish() }
        }
        if let limit, place + 1 >= limit { full.continuation.finish() }
        return answer
    }

    /// Waits until the limit is reached, nobody reads the lines any more, or the task is cancelled.
    func waitUntilFull() async { for await _ in full.stream {} }

    private func note(_ id: String?, status: Int) {
        guard let id else { return }
        state.withLock { state in
            if state.delivered.contains(id) { state.totals.repeats += 1 }
            if (200...299).contains(status) { state.delivered.insert(id) }
        }
    }

    /// Writes a whole line at once: requests are answered on several threads.
    ///
    /// - Returns: false when the reader is gone, as after `| head -1`. SIGPIPE, which would end the program, is ignored while it
    ///   has sockets.
    private static func write(_ line: String) -> Bool {
        let bytes = Array((line + "\n").utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno != EINTR { return errno != EPIPE }
            sent += max(count, 0)
        }
        return true
    }
}
