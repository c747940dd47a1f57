// What lists of many rows are told: how far back, and how many. Used by commands.

internal import ArgumentParser

/// What most lists take.
struct ListOptions: ParsableArguments {
    @Option(help: "How far back: 90m, 24h, 7d.") var since = TimeArgument.day
    @Option(help: "At most so many.") var limit = 50

    func validate() throws { try Self.check(limit: limit) }

    /// Refuses a number of rows that is none.
    ///
    /// - Throws: `ValidationError`.
    static func check(limit: Int) throws {
        if limit < 1 { throw ValidationError("--limit must be at least 1") }
    }
}
