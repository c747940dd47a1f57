// The command line of the driver.

/// What is measured and how much of it.
struct Options {
    /// The subcommands, in the order of `all`.
    static let scenarios = [
        "receiver", "drain", "tls", "http2", "fan-out", "pauses", "backlog", "claims", "options", "latency", "replay",
        "producers", "inserts", "cpu", "instructions", "copies", "scaling", "single", "held",
    ]
    private var isAll = false
    private var areRunsGiven = false

    var scenarios: [String] = []
    var json: String?
    var postrider = Toolbox.variable("POSTRIDER") ?? ".build/release/postrider"
    var commit = "unknown"
    /// A folder for the files of callgrind.
    var profiles: String?
    var runs = 3
    var events = 200_000
    var workers = 2
    var clients = 16
    var rates = [200, 1000, 5000]
    var seconds = 10
    var destinations = 1
    var fanOut = 1
    var history = 1_000_000
    var waiting = 1_000_000
    var heldEvents = 1_000_000
    var heldSeconds = 600
    var singleSeconds = 20
    var workerCounts = Scaling.counts
    /// Seconds for which the receiver stands still, of pauses.
    var pauses = Pause.lengths
    var isSecure = false
    var closeAfter: Int?

    /// The help text.
    static let usage = """
        bench: measures Postrider on the Postgres server that DATABASE_URL names (as superuser).

          bench drain       a queue that is full: events a second until all is delivered and recorded, CPU, memory,
                            write-ahead log; beside it a bare C program that does the least possible
          bench fan-out     the same with 8 destinations of which each event goes to 3, without the C program
          bench tls         drains to receivers with TLS and without, over connections kept and closed: handshakes
          bench http2       drains to a proxy with TLS, over HTTP/1.1 and over HTTP/2
          bench pauses      drains during which the receiver stands still once: what that costs beyond the moment
          bench backlog     drains with a queue row for each event: on a new database, after much history, and while a
                            transaction is held open
          bench claims      single claims: on a new database, and after much history with much waiting; looks at an empty
                            queue, beside few weeks of events and beside those of two years
          bench latency     commit acknowledged to request at the receiver, at steady rates (open loop)
          bench replay      the same at 200/s, alone and during a replay at its default rate
          bench options     drains to an endpoint that uses an option, and beside 100,000 others
          bench producers   commit rate of clients: without trigger, with it, with workers running, by emit alone
          bench inserts     what triggers cost one session: statements of one row, and of 10,000
          bench cpu         workers that idle, and workers at 1,000 events/s: CPU, memory, wake-ups
          bench instructions
                            instructions of a worker per delivery, by library and function, counted by valgrind
          bench copies      large allocations and copies of a worker per delivery of a large payload
          bench scaling     drains with 1, 2, 4 and 8 workers, and how evenly they share the work
          bench single      the latency of single events on an idle system, with notifications and without
          bench held        a transaction that is held open: drains meanwhile, and how soon all is well after its end
          bench receiver    the receiver itself
          bench all         all of these

          --quick               few events, short, one run: all of it in two minutes
          --json FILE           the figures as JSON; - for standard output, and the table then goes to standard error
          --runs N              runs of each measurement, default 3 (held 1); tables show medians
          --events N            events of a drain, default 200000; of held 1000000
          --workers N           worker processes, default 2
          --counts A,B,…        worker processes of scaling, one number after the other, default 1,2,4,8
          --clients N           producing clients flat out, default 16
          --rates A,B,…         events a second of latency, default 200,1000,5000
          --seconds N           length of a steady measurement, default 10
          --destinations N      endpoints of a drain, default 1
          --fan-out N           to how many of them each event goes, default 1
          --minutes N           how long held holds its transaction, default 10
          --tls                 a drain over TLS beside the plain one
          --close-after N       the receiver of a drain closes each connection after N requests
          --history N           events delivered before, of backlog and claims, default 1000000
          --waiting N           events that wait, of claims, default 1000000
          --profiles FOLDER     instructions leaves the files of callgrind there, for callgrind_annotate or kcachegrind
          --postrider PATH      the program to measure, default .build/release/postrider
          --commit TEXT         its version, for the report

        Figures are of this machine at this time; compare ratios, which are made in the same run.
        """

    /// Reads arguments.
    ///
    /// - Throws: ``BenchError`` with status 64 for what is not understood.
    init(_ arguments: [String]) throws {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "all": (scenarios, isAll) = (Options.scenarios, true)
            case "--quick": makeQuick()
            case "--tls": isSecure = true
            case _ where Options.scenarios.contains(argument): scenarios.append(argument)
            case _ where argument.hasPrefix("--"): try set(argument, rest.popFirst())
            default: throw BenchError("\(argument) is no measurement; see bench --help.", status: 64)
            }
        }
        guard !scenarios.isEmpty else { throw BenchError("Which measurement? See bench --help.", status: 64) }
        guard fanOut <= destinations else { throw BenchError("--fan-out is at most --destinations.", status: 64) }
    }

    /// What lasts ten minutes is measured once, unless somebody asks for it by name and for more.
    func runs(of scenario: String) -> Int { scenario == "held" && (isAll || !areRunsGiven) ? 1 : runs }

    /// The most runs of what is measured.
    var mostRuns: Int { scenarios.map { runs(of: $0) }.max() ?? runs }

    private mutating func makeQuick() {
        (runs, events, seconds, history) = (1, 10_000, 1, 20_000)
        (waiting, pauses) = (10_000, [0.4])
        (heldEvents, heldSeconds, singleSeconds, workerCounts) = (10_000, 2, 1, [4])
    }

    private mutating func set(_ option: String, _ value: String?) throws {
        guard let value else { throw BenchError("\(option) takes a value; see bench --help.", status: 64) }
        switch option {
        case "--json": json = value
        case "--postrider": postrider = value
        case "--commit": commit = value
        case "--profiles": profiles = value
        case "--runs": (runs, areRunsGiven) = (try Options.number(option, value, 1...100), true)
        case "--events":
            events = try Options.number(option, value, 1...50_000_000)
            heldEvents = events
        case "--workers": workers = try Options.number(option, value, 1...32)
        case "--clients": clients = try Options.number(option, value, 1...64)
        case "--counts":
            workerCounts = try value.split(separator: ",").map { try Options.number(option, $0, 1...32) }
        case "--rates": rates = try value.split(separator: ",").map { try Options.number(option, $0, 1...50_000) }
        case "--seconds": seconds = try Options.number(option, value, 1...3600)
        case "--minutes": heldSeconds = try Options.number(option, value, 1...600) * 60
        case "--destinations": destinations = try Options.number(option, value, 1...64)
        case "--close-after": closeAfter = try Options.number(option, value, 1...1_000_000)
        case "--history": history = try Options.number(option, value, 1...50_000_000)
        case "--waiting": waiting = try Options.number(option, value, 10_000...10_000_000)
        case "--fan-out": fanOut = try Options.number(option, value, 1...64)
        default: throw BenchError("\(option) is unknown; see bench --help.", status: 64)
        }
    }

    private static func number(_ option: String, _ text: some StringProtocol, _ range: ClosedRange<Int>) throws -> Int {
        guard let number = Int(text), range.contains(number) else {
            throw BenchError(
                "\(option) takes a number from \(range.lowerBound) to \(range.upperBound), not \(text).", status: 64)
        }
        return number
    }
}
