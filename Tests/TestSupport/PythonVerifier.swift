// Starts verify.py, the receivers of the source systems in Python, and asks it about requests.

public import Foundation

/// Receivers that were written without a look at the sender.
public enum PythonVerifier {
    /// Python could not be asked.
    public struct Failure: Error, CustomStringConvertible {
        /// What came of it.
        public let description: String
    }

    /// One request as its receiver sees it, and what the receiver knows.
    public struct Case: Encodable, Sendable {
        /// What the test knows of the event; the receivers compare it with what they got.
        public struct Known: Encodable, Sendable {
            /// The id of the event.
            public let id: String
            let type: String
            /// The id of the delivery.
            public let delivery: String
            let destination: String

            /// What is known.
            public init(id: String, type: String, delivery: String, destination: String) {
                self.id = id
                self.type = type
                self.delivery = delivery
                self.destination = destination
            }
        }

        /// The name of the receiver in verify.py.
        public let profile: String
        let secret: String
        let headers: [String]
        /// The body.
        public let body: Data
        let now: Int64
        let event: Known

        /// Makes a case of header lines and a body.
        public init(
            profile: String, secret: String, headers: [String], body: [UInt8], unixSeconds: Int64, event: Known
        ) {
            self.profile = profile
            self.secret = secret
            self.headers = headers
            self.body = Data(body)
            now = unixSeconds
            self.event = event
        }
    }

    /// Gives a verdict for each case: `ok`, or what is wrong. One process for all of them.
    ///
    /// - Throws: ``Failure``, and what the file system says.
    public static func verify(_ cases: [Case]) throws -> [String] {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("outbox-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let input = folder.appendingPathComponent("cases.json")
        try JSONEncoder().encode(cases).write(to: input)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "python3", URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/verify.py",
        ]
        process.standardInput = try FileHandle(forReadingFrom: input)
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let answer = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "verify.py ended with status \(process.terminationStatus)")
        }
        return try JSONDecoder().decode([String].self, from: answer)
    }
}
