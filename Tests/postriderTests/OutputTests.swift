// What becomes of an answer that nobody takes.

import Testing

@Suite struct OutputTests {
    @Test func answerThatCannotBeWrittenIsAFailure() throws {
        let run = try ProgramRun(["keys", "generate"], script: #""$0" "$@" >/dev/full"#)
        let (status, _, errors) = run.finish()
        #expect(status == 1)
        #expect(errors.contains("could not be written"))
    }

    /// Without it libpq looks for a socket that nobody named.
    @Test func connectionThatFailsNamesTheVariableThatIsMissing() throws {
        let nowhere = ["PGHOST": "127.0.0.1", "PGPORT": "1", "PGDATABASE": "none"]
        let unset = try postrider(["stats"], database: "", environment: nowhere)
        #expect(unset.status == 4)
        #expect(unset.errors.hasPrefix("postrider: no connection to Postgres: "))
        #expect(unset.errors.hasSuffix("(DATABASE_URL is not set)\n"))
        let set = try postrider(["stats"], database: "postgres://nobody@127.0.0.1:1/none")
        #expect(set.status == 4 && !set.errors.contains("DATABASE_URL"))
    }
}
