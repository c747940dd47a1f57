// How domain values become database values and back. Used by every store of this module.

internal import Outbox
internal import Postgres

extension EventID {
    /// The same 16 bytes as the driver's uuid.
    var uuid: UUIDBytes { UUIDBytes(high: high, low: low) }
}

extension UUIDBytes {
    /// The same 16 bytes as an event's id.
    var eventID: EventID { EventID(high: high, low: low) }
}

extension Statement {
    /// The same statement, planned anew each time it runs.
    ///
    /// For rare statements over the log: a plan that was kept from when the log was small would read all of it, once for
    /// each event. Work connections need not care, because their sessions forbid such plans.
    var plannedAnew: Statement { Statement(name: name, sql: sql, prepare: false) }
}

/// Postgres counts time from 2000-01-01, Unix from 1970-01-01.
enum Epoch {
    /// Microseconds from the Unix epoch to the Postgres epoch.
    static let offset: Int64 = 946_684_800_000_000

    /// Microseconds since 1970 from microseconds since 2000. What lies beyond, such as `infinity`, which whoever writes events
    /// may give them, counts as the last that there is.
    static func unix(fromPostgres microseconds: Int64) -> Int64 {
        let (sum, isBeyond) = microseconds.addingReportingOverflow(offset)
        return isBeyond ? .max : sum
    }
}
