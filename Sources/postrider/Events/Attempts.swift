// How commands show attempts.

/// Rows of webhook_attempts.
enum Attempts {
    /// Prints attempts in order of time.
    static func show(_ records: [Record]) {
        Session.show(
            records,
            [
                ("attempt", "attempt_number"), ("at", "attempted_at"), ("worker", "worker_id"), ("code", "status_code"),
                ("µs", "duration_us"), ("failure", "failure"), ("message", "error_message"),
            ], json: false)
    }
}
