// A JSON text on the command line, in a file or on standard input. Used by commands that look into payloads.

internal import ArgumentParser
internal import Foundation

/// JSON itself, `@file`, or `-` for standard input.
struct DataArgument: ExpressibleByArgument {
    private let argument: String

    init(argument: String) { self.argument = argument }

    /// The bytes; whether they are JSON, the reader tells.
    ///
    /// - Throws: ``CommandFailure`` when a file cannot be read.
    func bytes() throws -> [UInt8] {
        if argument == "-" { return Array(FileHandle.standardInput.readDataToEndOfFile()) }
        guard argument.hasPrefix("@") else { return Array(argument.utf8) }
        guard let file = FileManager.default.contents(atPath: String(argument.dropFirst())) else {
            throw CommandFailure.failed("cannot read \(argument.dropFirst())")
        }
        return Array(file)
    }
}
