// What becomes of an answer that nobody takes.

import Testing

@Suite struct OutputTests {
    @Test func answerThatCannotBeWrittenIsAFailure() throws {
        let run = try ProgramRun(["keys", "generate"], script: #""$0" "$@" >/dev/full"#)
        let (status, _, errors) = run.finish()
        #expect(status == 1)
        #expect(errors.contains("could not be written"))
    }
}
