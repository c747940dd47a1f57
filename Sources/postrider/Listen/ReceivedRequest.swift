// What a receiver gets and what it answers. Used by everything that receives.

/// A request as it arrived.
struct ReceivedRequest: Sendable {
    let method: String
    /// Path and query, as sent.
    let target: String
    /// Names as sent, ordered by name; of a name that came twice the last value.
    let headers: [(name: String, value: String)]
    let body: [UInt8]
    /// When the body was complete.
    let arrivedAt: ContinuousClock.Instant

    /// The value of a header, whatever its case; nil when it was not sent.
    func header(_ name: String) -> String? {
        let lower = name.lowercased()
        return headers.first { $0.name.lowercased() == lower }?.value
    }
}

/// What a receiver answers.
struct ReceiverAnswer: Sendable {
    var status = 200
    var headers: [(name: String, value: String)] = []
    var body = ""
    /// How long the answer is held back.
    var delay = Duration.zero
}
