// A migrated database with destinations, the set of each scenario.

/// One fresh database with Postrider's schema.
struct Stage {
    /// Programs.
    let toolbox: Toolbox
    /// The server.
    let server: Server
    /// The database, for clients.
    let url: String
    /// A connection to it.
    let database: Database

    /// Makes a stage, calls with it and takes it down, whatever happens.
    ///
    /// - Throws: ``BenchError`` of migration, and whatever the body throws.
    static func with<Result>(_ toolbox: Toolbox, _ server: Server, _ body: (Stage) throws -> Result) throws -> Result {
        try server.withDatabase { url, database in
            try toolbox.runPostrider(["migrate"], databaseURL: url)
            return try body(Stage(toolbox: toolbox, server: server, url: url, database: database))
        }
    }

    /// Creates one endpoint for each URL. Of as many event types as there are endpoints, each goes to `fanOut` of them.
    ///
    /// - Throws: ``BenchError`` when the command fails.
    func createEndpoints(_ urls: [String], fanOut: Int = 1) throws {
        for (number, url) in urls.enumerated() {
            let types = (0..<fanOut).map { "bench.t\((number + $0) % urls.count)" }
            try toolbox.runPostrider(
                [
                    "endpoints", "create", "--name", "bench \(number)", "--url", url,
                    "--events", fanOut == urls.count ? "*" : types.joined(separator: ","), "--profile", "standard",
                    "--json",
                ], databaseURL: self.url)
        }
    }

    /// Starts a replay of everything that the first endpoint never got, at the default rate. It ends with the child.
    ///
    /// - Throws: ``BenchError`` when it cannot be started.
    func startReplay() throws -> Child {
        try toolbox.startPostrider(["replay", "--backfill", "--endpoint", "bench 0", "--yes"], databaseURL: url)
    }

    /// Makes the domain table, with its attachment if asked.
    ///
    /// - Throws: ``BenchError`` with the server's message.
    func createDomainTable(attached: Bool) throws {
        try database.run(Statements.domainTable)
        if attached { try database.rows(Statements.attach) }
    }

    /// Starts workers and waits until they deliver: one domain row goes the whole road. For use after
    /// ``createDomainTable(attached:)`` with an attachment and one endpoint.
    ///
    /// - Throws: ``BenchError`` when the webhook does not arrive within 20 seconds.
    func startWorkers(_ count: Int, _ receiver: Receiver, isDeaf: Bool = false) throws -> Workers {
        let workers = try Workers(toolbox, count: count, databaseURL: url, isDeaf: isDeaf)
        try database.rows(Statements.insertLead, "0")
        guard try receiver.waits(for: 1, within: 20) else {
            try workers.check()
            throw BenchError("The workers delivered nothing within 20 s of their start.")
        }
        try workers.check()
        return workers
    }
}
