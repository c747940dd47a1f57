// The worker processes under test, and what they cost.

import Glibc

/// Running `postrider worker` processes on one database.
final class Workers {
    private let children: [Child]

    /// Starts them. They are ready when the first event arrives.
    ///
    /// - Parameters:
    ///   - authority: a file of authorities that they trust instead of the system's.
    ///   - offersHTTP2: whether they offer it whatever their libcurl is.
    /// - Throws: ``BenchError`` when one cannot be started.
    init(
        _ toolbox: Toolbox, count: Int, databaseURL: String, isDeaf: Bool = false, authority: String? = nil,
        offersHTTP2: Bool = false
    ) throws {
        var settings: [String: String] = [:]
        if isDeaf { settings["POSTRIDER_DEAF"] = "true" }
        if offersHTTP2 { settings["POSTRIDER_HTTP2"] = "true" }
        if let authority { settings["POSTRIDER_CA_FILE"] = authority }
        children = try (0..<count).map { _ in
            try toolbox.startPostrider(["worker"], databaseURL: databaseURL, adding: settings)
        }
    }

    /// CPU of all of them so far, in microseconds.
    var cpuMicroseconds: Double { children.reduce(0) { $0 + ProcessFigures.cpuMicroseconds($1.pid) } }

    /// Highest resident memory of the largest of them, in bytes.
    var peakMemory: Double { children.map { ProcessFigures.memoryBytes($0.pid).peak }.max() ?? 0 }

    /// Present resident memory of the largest of them, in bytes.
    var memory: Double { children.map { ProcessFigures.memoryBytes($0.pid).now }.max() ?? 0 }

    /// How often the largest sleeper of them was woken so far.
    var wakeUps: Double { children.map { ProcessFigures.wakeUps($0.pid) }.max() ?? 0 }

    /// Fails when one of them has ended.
    ///
    /// - Throws: ``BenchError`` with what it said.
    func check() throws {
        for child in children where child.hasEnded { _ = try child.line(within: 0) }
    }

    /// Asks all to end, then waits for each.
    func end() {
        children.forEach { $0.signal(SIGTERM) }
        children.forEach { $0.end() }
    }
}
