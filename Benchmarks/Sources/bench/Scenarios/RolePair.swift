// Producers that log in as a role with the rights of postrider_producer and nothing else, beside a superuser: what do
// grants and row-level security cost them?

/// The closed loop of clients on an attached table, in turns as a superuser and as such a role, on one database. The
/// doorbell is silent and nothing is delivered.
struct RolePair {
    /// Names of the variants.
    static let (superuser, role) = ("attached, in turns, as a superuser", "attached, in turns, as a producer's role")

    let clients: Int
    let seconds: Int

    /// So many turns each, no shorter than a second.
    private var turns: Int { min(5, seconds) }

    /// One of the two.
    private struct Side {
        let url: String
        let statement: String
        var commits = 0
        var elapsed = 0.0
        var serverCPU = 0.0

        var samples: [Sample] {
            [
                Sample("commits", Double(commits) / max(0.001, elapsed), "/s"),
                Sample("Postgres CPU per commit", serverCPU / Double(max(1, commits)), "µs"),
            ]
        }
    }

    /// Makes the role and measures both.
    ///
    /// - Throws: ``BenchError`` when one of the clients fails.
    func measure(_ toolbox: Toolbox, _ server: Server) throws -> (superuser: [Sample], role: [Sample]) {
        try server.withRole { role in
            try Stage.with(toolbox, server) { stage in
                try stage.createDomainTable(attached: true)
                let url = try DatabaseURL.asRole(role, stage.url)
                try stage.database.run(Statements.employ(role))
                let owner = try Database(url)
                try owner.run(Statements.roleTable)
                try owner.rows(Statements.attachRoleTable)
                let silencer = try Database(stage.url)
                try silencer.rows(Statements.silenceDoorbell)
                var sides = [
                    Side(url: stage.url, statement: Statements.insertLead),
                    Side(url: url, statement: Statements.insertRoleLead),
                ]
                try stage.database.run("CHECKPOINT")
                for turn in 0..<turns {
                    for place in turn % 2 == 0 ? [0, 1] : [1, 0] { try produce(stage, &sides[place]) }
                }
                return (sides[0].samples, sides[1].samples)
            }
        }
    }

    private func produce(_ stage: Stage, _ side: inout Side) throws {
        let cpu = stage.server.cpuMicroseconds
        let producer = try Producer(
            stage.toolbox, databaseURL: side.url, statement: side.statement, clients: clients,
            seconds: max(1, seconds / turns), first: side.commits + 1)
        defer { producer.end() }
        let figures = try producer.finish()
        side.commits += figures.commits
        side.elapsed += figures.elapsed_us / 1_000_000
        side.serverCPU += stage.server.cpuMicroseconds - cpu
    }
}
