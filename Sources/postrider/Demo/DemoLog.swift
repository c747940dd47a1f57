// What the demo writes for people: narrow lines, colours on a terminal only. Used by everything in this folder.

internal import FoundationEssentials
internal import Glibc

/// Standard output of the demo; lines of several threads never mix.
struct DemoLog: Sendable {
    /// A colour of a terminal.
    enum Colour: String {
        case bold = "1"
        case faint = "2"
        case red = "31"
        case green = "32"
        case yellow = "33"
    }

    private let isColoured: Bool

    /// Looks at standard output once: colours need a terminal, and nobody who objects (no-color.org).
    init(environment: [String: String] = ProcessInfo.processInfo.environment) {
        isColoured = isatty(STDOUT_FILENO) == 1 && environment["NO_COLOR"] == nil && environment["TERM"] != "dumb"
    }

    /// The heading of a scene.
    func title(_ text: String) { write("\n" + paint(text, .bold)) }

    /// What is being done, in the words of a program: SQL or a command.
    func action(_ text: String) { write("  " + paint(text, .faint)) }

    /// What came of it.
    func result(_ text: String) { write("  " + text) }

    /// Something went as it should.
    func success(_ text: String) { write("  " + paint("✓", .green) + " " + text) }

    /// Something did not.
    func failure(_ text: String) { write("  " + paint("✗", .red) + " " + text) }

    /// One request that arrived.
    ///
    /// - Parameters:
    ///   - arrival: the request.
    ///   - start: what its time is counted from.
    func arrival(_ arrival: Arrival, since start: ContinuousClock.Instant) {
        let time = Self.padded(milliseconds(arrival.at - start), to: 5)
        let status = paint("\(arrival.status)", (200...299).contains(arrival.status) ? .green : .yellow)
        let words: String
        switch arrival.signature {
        case .ok: words = "signature ok "
        case .bad: words = paint("BAD SIGNATURE", .red)
        case .none, .unchecked: words = "n8n workflow "
        }
        write("  +\(time) ms  \(status)  \(words)  \(arrival.eventType) → \(arrival.destination)")
    }

    /// A duration in whole milliseconds.
    func milliseconds(_ duration: Duration) -> String { "\(Int((duration / .milliseconds(1)).rounded()))" }

    /// Text with spaces before it, so that numbers stand in columns.
    static func padded(_ text: String, to width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    private func paint(_ text: String, _ colour: Colour) -> String {
        isColoured ? "\u{1B}[\(colour.rawValue)m\(text)\u{1B}[0m" : text
    }

    private func write(_ text: String) {
        let bytes = Array((text + "\n").utf8)
        _ = bytes.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
    }
}
