// The columns of an event in the rows of three statements: EventClaim, RetryClaim and EventLoad in sql/queries/claims.sql. What
// one of them gives the others give too, in this order. Used by ClaimStore, RescueStore and ReplayStore.

internal import Outbox
internal import Postgres

/// Reads the columns that every statement gives for an event.
enum EventRow {
    /// How many columns that are; 9.
    static let width = 9

    /// So many events of a claim are read at once; 256. Each portion has the whole deadline: a server that needs longer for
    /// a large claim gets to its end, and what was read is not lost to the last event.
    static let portion = 256

    /// Whether only the event's id is given, because it was created outside of the span that was read along.
    static func isUnread(_ row: Row, first: Int) throws -> Bool { try row.isNull(first + 1) }

    /// The event in a row, from the column `first` on.
    static func work(_ row: Row, first: Int, target: Claim.Target?) throws -> Claim.Work {
        let isHeavy = try row.isNull(first + 8)
        let event = Event(
            id: try row.uuid(first).eventID,
            type: try row.string(first + 3),
            createdAtMicroseconds: Epoch.unix(fromPostgres: try row.timestamp(first + 1)),
            organization: try row.stringOrNil(first + 4),
            user: try row.stringOrNil(first + 5),
            recordID: try row.stringOrNil(first + 6),
            orderingKey: try row.stringOrNil(first + 7),
            priority: Int16(try row.int(first + 2)),
            data: isHeavy ? [] : try row.bytes(first + 8))
        return Claim.Work(event: event, isHeavy: isHeavy, target: target)
    }
}
