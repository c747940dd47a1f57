// Producers that log in as a role with the rights of postrider_producer and nothing else, beside a superuser: what do
// grants and row-level security cost them?

/// The closed loop of clients on an attached table, in turns as a superuser and as such a role, on one database. No
/// worker runs: the doorbell is silent and nothing is delivered.
struct RolePair {
    /// Names of the variants.
    static let (superuser, role) = ("attached, in turns, as a superuser", "attached, in turns, as a producer's role")

    let clients: Int
    let seconds: Int

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
                let sides = [
                    ProducerSide(url: stage.url, statement: Statements.insertLead),
                    ProducerSide(url: url, statement: Statements.insertRoleLead),
                ]
                let samples = try ProducerSide.inTurns(stage, sides, clients: clients, seconds: seconds)
                return (samples[0], samples[1])
            }
        }
    }
}
