// Turns libpq's error results and messages into PostgresError. Called while a session takes in results.

internal import CLibPQ

extension PostgresError {
    /// Reads the fields of an error result (`PQresultErrorField`).
    ///
    /// A FATAL or PANIC report ends the connection, so it becomes ``Code/connectionLost``.
    ///
    /// - Parameters:
    ///   - result: a `PGresult` of status `PGRES_FATAL_ERROR`; not freed here.
    ///   - name: the name of the statement it answers, nil outside of queries.
    ///   - values: the bound parameters, whose text is taken out of the message.
    init(result: OpaquePointer, name: String?, values: [Value]) {
        func field(_ code: Unicode.Scalar) -> String? {
            PQresultErrorField(result, Int32(code.value)).map { String(cString: $0) }
        }
        let state = field("C")
        let severity = field("V") ?? field("S") ?? ""
        let primary = field("M") ?? PostgresError.firstLine(PQresultErrorMessage(result))
        let isFatal = severity == "FATAL" || severity == "PANIC" || state == nil
        self.init(
            code: isFatal ? .connectionLost : .server,
            message: Redaction.serverText(primary, state: state, values: values), queryName: name, sqlState: state)
        hint = field("H").map { Redaction.serverText($0, state: state, values: values) }
        detail = field("D")
        schema = field("s")
        table = field("t")
        column = field("c")
        constraint = field("n")
    }

    /// The first line of a libpq message, without the newline; libpq adds advice in the lines after it.
    ///
    /// - Parameter text: a C string owned by libpq, or nil.
    static func firstLine(_ text: UnsafePointer<CChar>?) -> String {
        guard let text else { return "unknown error" }
        let line = String(cString: text).split(whereSeparator: \.isNewline).first.map(String.init)
        return line ?? "unknown error"
    }

    /// The same error under another query's name: the queries waiting behind a lost connection fail with its cause.
    func named(_ name: String) -> PostgresError {
        var copy = self
        copy.queryName = name
        return copy
    }
}
