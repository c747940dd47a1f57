// The independent ledger. Producers write down what they committed, a receiver outside the workers writes down what
// arrived, Postgres is asked last. A pure value: no clock, no I/O, nothing of the program under test.

/// What three witnesses say about the same events, and the verdict that follows.
///
/// An event is known by its mark, a number that its producer puts into the payload: the ledger does not depend on the
/// ids that the program under test gives.
struct Ledger: Sendable, CustomStringConvertible {
    /// What a producer knows about an event that it made.
    enum Fate: Sendable {
        /// Postgres has answered COMMIT.
        case acknowledged
        /// The connection died before COMMIT was answered: it may be committed or not.
        case unknown
        /// Rolled back, or refused by Postgres.
        case rolledBack
    }

    /// An event as its producer wrote it down.
    struct Entry: Sendable {
        var mark: Int64
        var fate: Fate
        /// When its fate was known, monotonic nanoseconds.
        var at: UInt64
    }

    /// A request as the receiver wrote it down.
    struct Arrival: Sendable {
        /// The mark in the payload; nil when there is none.
        var mark: Int64?
        /// The header `webhook-id`.
        var id: String
        var path: String
        /// Monotonic nanoseconds.
        var at: UInt64
        /// Whether the receiver answers 2xx: a request that it refuses, or never answers, delivers nothing.
        var isAccepted: Bool
    }

    /// What Postgres says when everything is over.
    struct Standing: Sendable {
        /// Marks of all events in the log.
        var stored: Set<Int64> = []
        /// Marks of the events that stand as dead letters.
        var dead: Set<Int64> = []
        /// Marks of the events that a fault left in the middle and another worker, or another life, had to finish.
        var recovered: Set<Int64> = []
    }

    /// The four counts, and some of the marks behind the first three for people.
    struct Verdict: Sendable, Equatable {
        /// Acknowledged, never accepted by the receiver, and not standing as a dead letter.
        var lost = 0
        /// Arrived although rolled back or never produced, or arrived under a second `webhook-id`.
        var unexpected = 0
        /// Arrivals after the one that delivered. A retry after a refusal is none.
        var duplicated = 0
        /// Delivered although a fault had left it in the middle.
        var recovered = 0
        var examples: [String] = []
    }

    private(set) var entries: [Entry] = []
    private(set) var arrivals: [Arrival] = []

    mutating func write(_ entries: [Entry]) { self.entries += entries }
    mutating func write(_ arrivals: [Arrival]) { self.arrivals += arrivals }

    /// How many events met a fate.
    func count(of fate: Fate) -> Int { entries.count { $0.fate == fate } }

    /// The fates, for people.
    var description: String {
        "events: \(count(of: .acknowledged)) acknowledged, \(count(of: .unknown)) unknown, \(count(of: .rolledBack)) rolled back"
    }

    /// Judges what was written so far.
    ///
    /// - Parameters:
    ///   - paths: where every event has to arrive.
    ///   - standing: what Postgres says.
    func verdict(paths: [String] = ["/hook"], standing: Standing) -> Verdict {
        var trial = Trial(standing: standing)
        for entry in entries { trial.hear(entry) }
        for arrival in arrivals.sorted(by: { $0.at < $1.at }) { trial.hear(arrival) }
        return trial.verdict(paths: paths)
    }

    /// The longest time without any arrival within a span, its edges included, in nanoseconds.
    func longestGap(from start: UInt64, to end: UInt64) -> UInt64 {
        var last = start
        var longest: UInt64 = 0
        for time in arrivals.lazy.map(\.at).filter({ start <= $0 && $0 <= end }).sorted() {
            longest = max(longest, time - last)
            last = time
        }
        return max(longest, end - last)
    }

    /// The marks that were acknowledged before an instant and first arrived after it: what was under way at a fault.
    func underWay(at instant: UInt64) -> Set<Int64> {
        let before = Set(arrivals.lazy.filter { $0.at <= instant && $0.isAccepted }.compactMap(\.mark))
        let made = entries.lazy.filter { $0.fate == .acknowledged && $0.at <= instant }.map(\.mark)
        return Set(made).subtracting(before)
    }
}

/// The hearing of one ledger.
private struct Trial {
    let standing: Ledger.Standing
    private var fates: [Int64: Ledger.Fate] = [:]
    private var ids: [Int64: String] = [:]
    private var delivered: [String: Set<Int64>] = [:]
    private var intruders: Set<Int64> = []
    private var result = Ledger.Verdict()

    init(standing: Ledger.Standing) { self.standing = standing }

    mutating func hear(_ entry: Ledger.Entry) { fates[entry.mark] = entry.fate }

    mutating func hear(_ arrival: Ledger.Arrival) {
        guard let mark = arrival.mark, isExpected(mark) else { return refuse(arrival) }
        if let id = ids[mark], id != arrival.id { accuse(\.unexpected, "\(mark) arrived as \(id) and as \(arrival.id)") }
        ids[mark] = ids[mark] ?? arrival.id
        if delivered[arrival.path]?.contains(mark) == true {
            result.duplicated += 1
        } else if arrival.isAccepted {
            delivered[arrival.path, default: []].insert(mark)
        }
    }

    /// Whether an event may arrive. One whose fate the producer does not know may when Postgres has it.
    private func isExpected(_ mark: Int64) -> Bool {
        switch fates[mark] {
        case .acknowledged: true
        case .unknown: standing.stored.contains(mark)
        case .rolledBack, nil: false
        }
    }

    /// Each event that must not arrive counts once, however often it does.
    private mutating func refuse(_ arrival: Ledger.Arrival) {
        guard let mark = arrival.mark else { return accuse(\.unexpected, "\(arrival.id) arrived without a mark") }
        guard intruders.insert(mark).inserted else { return }
        accuse(\.unexpected, "\(mark) arrived, \(fates[mark].map { "\($0)" } ?? "never produced")")
    }

    mutating func verdict(paths: [String]) -> Ledger.Verdict {
        for (mark, fate) in fates where fate == .acknowledged || isExpected(mark) {
            for path in paths where delivered[path]?.contains(mark) != true && !standing.dead.contains(mark) {
                accuse(\.lost, "\(mark) (\(fate)) was not delivered to \(path)")
            }
        }
        result.recovered = standing.recovered.count { mark in paths.allSatisfy { delivered[$0]?.contains(mark) == true } }
        return result
    }

    private mutating func accuse(_ count: WritableKeyPath<Ledger.Verdict, Int>, _ example: String) {
        result[keyPath: count] += 1
        if result.examples.count < 10 { result.examples.append(example) }
    }
}
