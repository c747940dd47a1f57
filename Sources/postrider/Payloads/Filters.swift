// `postrider filters`.

internal import ArgumentParser
internal import Outbox

/// Filters of payloads.
struct Filters: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Try filters of payloads.", subcommands: [Test.self])

    /// `postrider filters test`.
    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tell whether a payload passes a filter. Exit status 1 when it does not.",
            discussion: """
                Needs no database. The rules stand in docs/options.md.

                  postrider filters test --filter '{"companionId": ["comp-123"]}' --data @payload.json
                """)
        @Option(help: ArgumentHelp("The filter: JSON, @file, or - for standard input.", valueName: "json"))
        var filter: DataArgument
        @Option(help: ArgumentHelp("The payload: JSON, @file, or - for standard input.", valueName: "json"))
        var data: DataArgument
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let filter = try CommandFailure.naming("--filter") { try PayloadFilter(parsing: try self.filter.bytes()) }
            let payload = try CommandFailure.naming("--data") { try ParsedPayload(parsing: try data.bytes()) }
            let fault = filter.fault(of: payload).map { "\($0) does not hold" }
            if output.json {
                print(Record(["passes": fault == nil, "fault": fault]).text)
                if fault != nil { throw ExitCode(1) }
                return
            }
            if let fault { throw CommandFailure.failed("it does not pass: \(fault)") }
            print("it passes")
        }
    }
}

extension CommandFailure {
    /// Runs a check; its error is told with the option at fault.
    ///
    /// - Throws: ``CommandFailure``.
    static func naming<Result>(_ option: String, _ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let failure as CommandFailure {
            throw failure
        } catch {
            throw CommandFailure.failed("\(option): \(error)")
        }
    }
}
