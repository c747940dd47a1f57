// The one error of the driver. Everything throws it; Bench.main prints it.

/// Why a benchmark cannot go on, as one or more lines for people.
struct BenchError: Error {
    /// What is wrong and, where there is one, the cure.
    let message: String

    /// The exit status of the program: 64 for a wrong command line, 130 after Ctrl-C, else 1.
    let status: Int32

    /// - Parameters:
    ///   - message: what is wrong.
    ///   - status: exit status; default 1.
    init(_ message: String, status: Int32 = 1) {
        self.message = message
        self.status = status
    }
}
