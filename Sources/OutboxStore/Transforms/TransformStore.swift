// Calls of transform functions. Made by the worker's transformer and by the command line.

public import Postgres

/// What a transform function made of a payload.
public enum TransformAnswer: Sendable, Equatable {
    /// The payload to send, JSON text.
    case data([UInt8])
    /// Null: the event is not for this destination.
    case dropped
    /// The call failed; one line in the server's words.
    case failed(String)
}

/// Runs transform functions.
public enum TransformStore {
    /// How long the calls of one batch may take together; 1 s.
    public static let timeout = Duration.seconds(1)

    /// Calls one function for each payload (`TransformCall`), in a transaction that reads only and is rolled back: nothing of
    /// a call remains, not even a setting of the session.
    ///
    /// - Parameters:
    ///   - function: the name that the destination gives; whether it is allowed, the answer tells.
    ///   - inputs: payloads and their contexts, JSON texts; see `TransformContext`.
    ///   - connection: the caller's alone meanwhile.
    /// - Returns: one answer for each input, in their order.
    /// - Throws: `PostgresError`; SQLSTATE 57014 when the calls took longer than ``timeout``.
    public static func call(
        function: String, _ inputs: [(data: [UInt8], context: [UInt8])], on connection: Connection
    ) async throws -> [TransformAnswer] {
        try await Transaction.readAndUndo(within: timeout, on: connection) {
            // Unnamed: what has a name a function may have replaced, for the calls that follow, which have a worker's rights.
            let rows = try await connection.query(
                Queries.transformCall.plannedAnew,
                [.text(function), .utf8s(inputs.map(\.data)), .utf8s(inputs.map(\.context))])
            return try (0..<rows.count).map { try answer(rows[$0]) }
        }
    }

    private static func answer(_ row: Row) throws -> TransformAnswer {
        if let fault = try row.stringOrNil(1) { return .failed(fault) }
        return try row.isNull(0) ? .dropped : .data(row.bytes(0))
    }
}
