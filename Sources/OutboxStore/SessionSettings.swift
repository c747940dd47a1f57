// What every session of Postrider begins with, whatever is set for its role or its database. Used by whoever connects.

public import Postgres

/// Settings of sessions that the statements of this module rely on.
public enum SessionSettings {
    /// For `ConnectionSettings.sessionSettings`. Sessions behind a pooler go without, see ``readCommitted``.
    ///
    /// - Isolation: a statement behind a lock must see what was committed while it waited for it. In a snapshot of before, the
    ///   events of an ordering key are put in a line that has moved on.
    /// - Timeouts: statements have deadlines of their own here, and upkeep takes minutes. Sessions that are kept may have
    ///   nothing to do for hours.
    /// - Texts: functions are read as they are run, and a pattern whose backslashes are gone matches something else.
    /// - Rows: with row-level security off Postgres refuses tables that have it to all but their owner.
    public static let own: [String: String] = [
        "default_transaction_isolation": "read committed",
        "statement_timeout": "0",
        "lock_timeout": "0",
        "idle_session_timeout": "0",
        "standard_conforming_strings": "on",
        "row_security": "on",
    ]

    /// The first step of a pipeline in a session that is shared: its transaction is read committed. Behind another step
    /// Postgres refuses it (25001), because a snapshot has been taken.
    public static let readCommitted = Step(
        Statement(name: "ReadCommitted", sql: "SET transaction_isolation = 'read committed'", prepare: false))
}
