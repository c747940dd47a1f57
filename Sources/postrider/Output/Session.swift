// One connection for one command, with the way its answers are printed.

internal import ArgumentParser
internal import Glibc
internal import Outbox
internal import OutboxStore
internal import OutboxWorker
internal import Postgres
internal import SystemPackage

/// Options that every command with answers has.
struct OutputOptions: ParsableArguments {
    @Flag(help: "Print JSON, one document a line.") var json = false
}

/// What commands do with the database.
struct Session {
    private let connection: Connection
    /// The keys that secrets are sealed with; nil when there are none.
    let keys: KeyRing?
    /// How long before the date of a secret somebody is told.
    let secretWarning: Duration

    /// Connects, runs, closes.
    static func with<Result>(_ body: (Session) async throws -> Result) async throws -> Result {
        let settings = try await Settings.loadForCommand()
        var database = settings.database
        database.sessionSettings = SessionSettings.own
        let connection = try await Connection.open(database)
        do {
            let result = try await body(
                Session(
                    connection: connection, keys: settings.worker.secretKeys,
                    secretWarning: settings.worker.secretWarning))
            await connection.close()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }

    /// The connection itself, for what is no request.
    var raw: Connection { connection }

    /// Runs a request. Members whose value is nil are null.
    ///
    /// - Parameters:
    ///   - request: what to do.
    ///   - document: its members.
    ///   - data: JSON that becomes the member `data` as it is, which may be large.
    func run(
        _ request: AdminRequest, _ document: Document = [:], data: [UInt8]? = nil
    ) async throws -> [Record] {
        var bytes = JSONValue(document).text()
        if let data {
            bytes.removeLast()
            bytes += Array((document.isEmpty ? "\"data\":" : ",\"data\":").utf8) + data + [UInt8(ascii: "}")]
        }
        return try await AdminStore.run(request, bytes, on: connection).map { try Record($0) }
    }

    /// Runs a request in a session of its own and prints its records as ``show(_:_:json:)`` does.
    ///
    /// - Parameter endpoint: id or name of the destination that the request names, which must exist; nil when it names none.
    static func list(
        _ request: AdminRequest, _ document: Document = [:], of endpoint: String? = nil,
        showing columns: [(heading: String, member: String)], _ output: OutputOptions
    ) async throws {
        try await with { session in
            try await session.check(endpoint: endpoint)
            show(try await session.run(request, document), columns, json: output.json)
        }
    }

    /// Refuses a filter that names no destination, not even one that was deleted: its answer would be empty for ever.
    ///
    /// - Throws: ``CommandFailure``.
    func check(endpoint: String?) async throws {
        guard let endpoint else { return }
        guard try await run(.destinationKnown, ["endpoint": endpoint]).first?.isTrue("known") == true else {
            throw CommandFailure.notFound("there is no endpoint or workflow \(endpoint.debugDescription)")
        }
    }

    /// The one record of an id.
    ///
    /// - Parameter noun: what it is, for people.
    /// - Throws: ``CommandFailure`` when the id is none, or there is no such record.
    func record(_ request: AdminRequest, id: String, _ noun: String) async throws -> Record {
        guard let record = try await run(request, ["id": try Identifier.check(id)]).first else {
            throw CommandFailure.notFound("there is no \(noun) \(id)")
        }
        return record
    }

    /// Prints records as a table of some of their members, or as JSON.
    static func show(_ records: [Record], _ columns: [(heading: String, member: String)], json: Bool) {
        if json {
            for record in records { print(record.text) }
            return
        }
        var table = Table(headings: columns.map(\.heading))
        table.rows = records.map { record in columns.map { record[$0.member] } }
        for line in table.lines() { print(line) }
    }

    /// Writes a line to standard error, for what is not the answer.
    static func remark(_ text: String) { tell(text + "\n") }

    /// Writes to standard error as it is, line ends included; nobody can be told when that fails.
    static func tell(_ text: String) { _ = try? FileDescriptor.standardError.writeAll(text.utf8) }

    /// Whether standard input is a terminal, at which somebody may wonder what is waited for.
    static var readsTerminal: Bool { isatty(STDIN_FILENO) == 1 }

    /// Asks on the terminal; without a terminal the answer is no.
    static func confirms(_ question: String) -> Bool {
        guard readsTerminal else { return false }
        tell("\(question) [y/N] ")
        return readLine()?.lowercased() == "y"
    }
}
