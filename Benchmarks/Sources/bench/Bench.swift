// The driver of the benchmarks. bin/bench runs it with a private Postgres.

import Glibc

/// Entry point.
@main
enum Bench {
    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        if arguments.contains("--help") || arguments.contains("-h") {
            print(Options.usage)
            return
        }
        Interruption.handle()
        do {
            try run(Options(arguments))
        } catch let error as BenchError {
            say(error.message)
            exit(error.status)
        } catch {
            say("\(error)")
            exit(1)
        }
    }

    private static func run(_ options: Options) throws {
        guard let url = Toolbox.variable("DATABASE_URL") else {
            throw BenchError("DATABASE_URL must name a Postgres server; bin/bench starts one.", status: 64)
        }
        let server = try Server(url: url)
        let toolbox = try Toolbox(postrider: options.postrider)
        defer { toolbox.remove() }
        var report = Report(try Machine(server: server, commit: options.commit, runs: options.mostRuns))
        let scenarios = Scenarios(toolbox: toolbox, server: server, options: options)
        // Runs outside, scenarios inside: a machine that slows down does so for all of them.
        for run in 1...options.mostRuns {
            for name in options.scenarios where run <= options.runs(of: name) {
                say("run \(run) of \(options.runs(of: name)): \(name)")
                try scenarios.run(name, into: &report)
            }
        }
        report.finish()
        if options.json == "-" { say(Table.text(report)) } else { print(Table.text(report)) }
        if let json = options.json { try JSONReport.write(report, to: json) }
        let losses = report.losses
        guard losses.isEmpty else {
            throw BenchError("Events were lost, so these figures are worth nothing: \(losses.joined(separator: "; ")).")
        }
    }

    /// Writes a line to standard error.
    static func say(_ text: String) {
        let bytes = Array("\(text)\n".utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
    }
}
