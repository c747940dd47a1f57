// Starts verify.py, the receivers of the source systems in Python, and asks it about requests.

import Foundation
import Testing

@testable import Outbox

enum PythonVerifier {
    /// One request as its receiver sees it, and what the receiver knows.
    struct Case: Encodable {
        struct Known: Encodable {
            let id: String
            let type: String
            let delivery: String
            let destination: String
        }

        let profile: String
        let secret: String
        let headers: [String]
        let body: Data
        let now: Int64
        let event: Known

        init(_ request: PreparedRequest, profile: String, secret: String, event: Event) {
            self.profile = profile
            self.secret = secret
            headers = request.headers
            body = Data(request.body)
            now = Fixture.unixSeconds + 12
            self.event = Known(
                id: event.id.description, type: event.type, delivery: Fixture.deliveryID,
                destination: Fixture.destinationID
            )
        }
    }

    /// Gives a verdict for each case: `ok`, or what is wrong. One process for all of them.
    static func verify(_ cases: [Case]) throws -> [String] {
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
        try #require(process.terminationStatus == 0)
        return try JSONDecoder().decode([String].self, from: answer)
    }
}
