// From an error to one line on standard error and an exit status. Used by the root command alone.

internal import ArgumentParser
internal import Glibc
internal import Outbox
internal import OutboxStore
internal import OutboxWorker
internal import Postgres

/// An error that a command tells its user.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String
    let status: Int32

    /// Something went wrong.
    static func failed(_ text: String) -> CommandFailure { CommandFailure(description: text, status: 1) }
    /// What was named does not exist.
    static func notFound(_ text: String) -> CommandFailure { CommandFailure(description: text, status: 3) }
    /// The schema does not fit the program.
    static func schema(_ text: String) -> CommandFailure { CommandFailure(description: text, status: 5) }

    /// Prints an error and ends the process.
    static func end(with error: any Error) -> Never {
        switch error {
        case let failure as CommandFailure: end(failure.description, failure.status)
        case let error as MigratorError: end("\(error)", 5)
        case let error as SecretKeyError: end("\(error)", 1)
        case let error as SealingError: end("\(error)", 1)
        case let error as PostgresError: end(text(of: error), status(of: error))
        default: Postrider.exit(withError: error)
        }
    }

    private static func end(_ text: String, _ status: Int32) -> Never {
        Session.remark("postrider: \(text)")
        exit(status)
    }

    private static func text(of error: PostgresError) -> String {
        if isMissingSchema(error) { return "the schema is missing or too old: run postrider migrate" }
        if let rule = rule(of: error) { return "refused: \(rule)" }
        if error.code == .connectionFailed {
            return "no connection to Postgres: \(error.message)" + (namesDatabase ? "" : " (DATABASE_URL is not set)")
        }
        // What a user gave wrong is told in the server's words, which are ours for it; the query's name is no help then.
        let isTold = error.sqlState?.hasPrefix("22") == true || isMissing(error)
        let text = isTold ? error.message : "\(error)"
        if error.sqlState == insufficientPrivilege, error.hint == nil {
            return "\(text): this login lacks a role (docs/sql.md tells what each may)"
        }
        guard let hint = error.hint, !text.contains(hint) else { return text }
        return "\(text) (\(hint))"
    }

    /// Whether the environment says where Postgres is; otherwise libpq looks where it always does.
    private static var namesDatabase: Bool {
        ["DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGSERVICE", "POSTRIDER_CONFIG_FILE"].contains { (name: String) in
            getenv(name).map { $0.pointee != 0 } ?? false
        }
    }

    /// The rule that a check of our schema keeps, which is its name: `attempts_are_not_kept_longer_than_events`.
    private static func rule(of error: PostgresError) -> String? {
        guard error.sqlState == "23514", error.schema == "postrider", let name = error.constraint else { return nil }
        return name.replacing("_", with: " ")
    }

    private static func status(of error: PostgresError) -> Int32 {
        if isMissingSchema(error) { return 5 }
        if isMissing(error) { return 3 }
        return error.isConnectionFailure || isUnanswered(error) ? 4 : 1
    }

    /// What is raised when what was named does not exist: no_data_found and undefined_object by our functions,
    /// undefined_table and invalid_schema_name by Postgres for a table.
    private static let missing: Set<String?> = ["P0002", "42704", "42P01", "3F000"]

    private static func isMissing(_ error: PostgresError) -> Bool {
        missing.contains(error.sqlState) && !isMissingSchema(error)
    }

    /// Whether nobody answered the attempt to connect in time. A query that takes too long has a name.
    private static func isUnanswered(_ error: PostgresError) -> Bool {
        error.code == .timedOut && error.queryName == nil
    }

    /// insufficient_privilege.
    private static let insufficientPrivilege = "42501"

    /// undefined_table, undefined_function, invalid_schema_name of our own schema.
    private static func isMissingSchema(_ error: PostgresError) -> Bool {
        guard let state = error.sqlState, ["42P01", "42883", "3F000"].contains(state) else { return false }
        // In whatever language and quotes, but not of a schema whose name only begins like ours.
        return error.message.split { !($0.isLetter || $0.isNumber || $0 == "_") }.contains("postrider")
    }
}
