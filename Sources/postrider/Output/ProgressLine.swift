// How far a long command is, on standard error: a bar on a terminal, elsewhere a line every few seconds.

internal import Glibc

/// Progress of something that is counted.
struct ProgressLine {
    /// How many there will be, as far as is known.
    let total: Int
    /// How many a second are expected.
    let perSecond: Double
    private let isTerminal = isatty(STDERR_FILENO) == 1
    private var toldAt = ContinuousClock.now
    private var isDrawn = false

    /// Begins.
    init(total: Int, perSecond: Double) {
        self.total = total
        self.perSecond = perSecond
    }

    /// Tells how many are done: at most five times a second on a terminal, elsewhere once in five seconds.
    mutating func tell(_ done: Int) {
        let now = ContinuousClock.now
        guard now - toldAt >= (isTerminal ? .milliseconds(200) : .seconds(5)) else { return }
        toldAt = now
        isDrawn = isTerminal
        let left = perSecond > 0 ? Double(max(0, total - done)) / perSecond : 0
        let text =
            isTerminal
            ? "\r\(Self.bar(done, of: total)) \(done) of \(total), about \(Self.time(left)) left\u{1B}[K"
            : "\(done) of \(total), about \(Self.time(left)) left\n"
        Session.tell(text)
    }

    /// Takes the bar away.
    mutating func end() {
        if isDrawn { Session.tell("\r\u{1B}[K") }
        isDrawn = false
    }

    /// A bar of 30 characters.
    static func bar(_ done: Int, of total: Int) -> String {
        let part = total > 0 ? min(30, 30 * done / total) : 30
        return "[" + String(repeating: "#", count: part) + String(repeating: " ", count: 30 - part) + "]"
    }

    /// A length of time as a person says it: 5 s, 12 min, 3 h 20 min, 2 d 4 h.
    static func time(_ seconds: Double) -> String {
        let whole = Int(seconds.rounded(.up))
        switch whole {
        case ..<100: return "\(whole) s"
        case ..<5400: return "\((whole + 30) / 60) min"
        case ..<172_800: return "\(whole / 3600) h \(whole % 3600 / 60) min"
        default: return "\(whole / 86_400) d \(whole % 86_400 / 3600) h"
        }
    }
}
