// A JSON text on the command line, in a file or on standard input. Used by commands that look into payloads.

internal import ArgumentParser

/// JSON itself, `@file`, or `-` for standard input.
struct DataArgument: ExpressibleByArgument {
    private let argument: String

    init(argument: String) { self.argument = argument }

    /// The bytes; whether they are JSON, the reader tells.
    ///
    /// - Throws: ``CommandFailure`` when a file cannot be read.
    func bytes() throws -> [UInt8] {
        if argument == "-" { return try FileContents.given("-") }
        guard argument.hasPrefix("@") else { return Array(argument.utf8) }
        return try FileContents.given(String(argument.dropFirst()))
    }
}
