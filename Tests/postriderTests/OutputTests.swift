// What becomes of an answer that nobody takes.

import Testing

@Suite struct OutputTests {
    @Test func answerThatCannotBeWrittenIsAFailure() throws {
        let run = try ProgramRun(["keys", "generate"], script: #""$0" "$@" >/dev/full"#)
        let (status, _, errors) = run.finish()
        #expect(status == 1)
        #expect(errors.contains("could not be written"))
    }

    /// As other programs of a pipe end when `head` has enough.
    @Test func closedPipeEndsTheProgramWithoutARemark() throws {
        // A pipe without readers, whoever is scheduled when; who runs the tests may ignore the signal.
        let script = #"""
            f=$(mktemp -u) && mkfifo "$f" && exec 3<>"$f" && exec 4>"$f" 3>&- && rm "$f" || exit 99
            env --default-signal=PIPE "$0" "$@" >&4
            exit $?
            """#
        let run = try ProgramRun(["keys", "generate"], script: script)
        let (status, _, errors) = run.finish()
        #expect(status == 141 && errors.isEmpty, "\(status) \(errors)")
    }

    /// Without it libpq looks for a socket that nobody named.
    @Test func connectionThatFailsNamesTheVariableThatIsMissing() throws {
        // Nobody listens at such a port, and no socket is named by it.
        var nowhere = ["PGPORT": "1", "PGDATABASE": "none"]
        for name in ["PGHOST", "PGHOSTADDR", "PGSERVICE", "POSTRIDER_CONFIG_FILE"] { nowhere[name] = "" }
        let unset = try postrider(["stats"], database: "", environment: nowhere)
        #expect(unset.status == 4)
        #expect(unset.errors.hasPrefix("postrider: no connection to Postgres: "))
        #expect(unset.errors.hasSuffix("(DATABASE_URL is not set)\n"))
        nowhere["PGHOST"] = "127.0.0.1"
        for (url, environment) in [("postgres://nobody@127.0.0.1:1/none", [:]), ("", nowhere)] {
            let set = try postrider(["stats"], database: url, environment: environment)
            #expect(set.status == 4 && !set.errors.contains("DATABASE_URL"))
        }
    }
}
