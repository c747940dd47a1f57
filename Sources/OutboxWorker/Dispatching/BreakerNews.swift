// What this worker and the others tell each other of destinations that fail. Held by DispatchState, carried by
// BreakerKeeper.

internal import Outbox
internal import OutboxStore

/// News of breakers, in both directions.
struct BreakerNews: Sendable {
    /// What Postgres last said of destinations that fail; one without a row is well.
    private(set) var rows: [Int32: BreakerRow] = [:]
    /// When it was asked.
    private(set) var askedAt: Int64 = .min
    private var reports: [Int32: BreakerReport] = [:]
    private var recoveries: Set<Int32> = []
    /// Destinations that were made active since news were last taken: of those that come back untold none is theirs any more.
    private var begun: Set<Int32> = []

    /// Takes what Postgres said.
    mutating func learn(_ rows: [BreakerRow], askedAt: Int64) {
        self.rows = Dictionary(rows.map { ($0.destination, $0) }) { $1 }
        self.askedAt = askedAt
    }

    /// Notes what the others should learn of a verdict: that a destination fails, works again, or asked for a pause.
    mutating func note(_ report: Breaker.Report?, _ verdict: Verdict, of lane: Lane, _ now: Int64) {
        let id = lane.destination.id
        let url = lane.destination.url.text
        let pause = verdict.pausesDestination ?? .zero
        if report == .recovered {
            recoveries.insert(id)
            // What was in flight when the receiver asked for a pause says nothing of it. The row goes, and all that it tells.
            let left = lane.askedUntil - now
            reports[id] =
                left <= 0
                ? nil
                : BreakerReport(
                    destination: id, url: url, opens: false, pause: .microseconds(left), failingFor: .zero,
                    failure: reports[id]?.failure)
        } else if report != nil || pause > .zero {
            // A success since the last round stands: it is told first. What another URL did does not count.
            let told = reports[id].flatMap { $0.url == url ? $0 : nil }
            // Of several answers since the last round the longest pause counts, as it does in the lane.
            reports[id] = BreakerReport(
                destination: id, url: url, opens: report == .opened || told?.opens == true,
                pause: max(pause, told?.pause ?? .zero),
                failingFor: .microseconds(now - (lane.breaker.failingSince ?? now)), failure: verdict.failure?.rawValue)
        }
    }

    /// Forgets what is untold of a destination that somebody has made active: told now, its failures of before would shut it again.
    mutating func begin(_ id: Int32) {
        reports[id] = nil
        begun.insert(id)
    }

    /// Takes back what could not be told. What was noted since then is newer: a success leaves no failure to tell of.
    mutating func giveBack(_ failing: [BreakerReport], _ recovered: [Int32]) {
        for report in failing
        where !recoveries.contains(report.destination) && !begun.contains(report.destination) {
            guard var newer = reports[report.destination] else {
                reports[report.destination] = report
                continue
            }
            guard newer.url == report.url else { continue }
            newer.opens = newer.opens || report.opens
            newer.pause = max(newer.pause, report.pause)
            newer.failingFor = max(newer.failingFor, report.failingFor)
            reports[report.destination] = newer
        }
        recoveries.formUnion(recovered)
    }

    /// Whether something of a destination waits to be told, which is newer than what Postgres says of it.
    func isUntold(_ id: Int32) -> Bool { reports[id] != nil || recoveries.contains(id) }

    /// Whether it works again, which waits to be told.
    func hasRecovered(_ id: Int32) -> Bool { recoveries.contains(id) }

    /// Takes what was noted since it was last taken.
    mutating func take() -> (failing: [BreakerReport], recovered: [Int32]) {
        defer {
            reports = [:]
            recoveries = []
            begun = []
        }
        return (Array(reports.values), Array(recoveries))
    }
}
