// A payload as commands take it: the JSON itself, @file, or - for standard input.

internal import Foundation

/// Reads payloads.
enum Payload {
    /// The bytes, as they stand.
    ///
    /// - Throws: ``CommandFailure`` when the file cannot be read, or what is there is no JSON.
    static func read(_ text: String) throws -> [UInt8] {
        let data: Data
        if text == "-" {
            data = FileHandle.standardInput.readDataToEndOfFile()
        } else if text.hasPrefix("@") {
            guard let file = FileManager.default.contents(atPath: String(text.dropFirst())) else {
                throw CommandFailure.failed("cannot read \(text.dropFirst())")
            }
            data = file
        } else {
            data = Data(text.utf8)
        }
        // The server would refuse it too, with a message about a larger document.
        do {
            _ = try JSONSerialization.jsonObject(with: data, options: [.fragmentsAllowed])
        } catch {
            throw CommandFailure.failed("--data is no JSON")
        }
        return [UInt8](data)
    }
}
