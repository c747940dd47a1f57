// What the receivers of a source system say of the requests that came: verify.py, written from their own documents with
// nothing but Python's standard library. Asked by PackScenarios.

import Foundation
import Postgres
import Testing

extension Pack {
    /// One request as its receiver sees it, and what Postgres knows of it, in the form that verify.py reads.
    private struct Case: Encodable {
        struct Known: Encodable {
            var id = ""
            var type = ""
            var delivery = ""
            var destination = ""
        }

        let profile: String
        let secret: String
        let headers: [String]
        let body: Data
        let now: Int64
        let event: Known
    }

    /// Gives a verdict on each request: `ok`, or what is wrong with its headers, signature, ids or members.
    func verdicts(on requests: [Received], secret: String, outpost: Outpost) async throws -> [String] {
        let known = try await outpost.sql(
            """
            SELECT webhook_event_id::text, event_type::text, id::text, webhook_endpoint_id::text
            FROM postrider.webhook_deliveries WHERE destination_name = $1
            """, [.text(name)]
        ).map { row in
            Case.Known(
                id: try row.string(0), type: try row.string(1), delivery: try row.string(2),
                destination: try row.string(3))
        }
        let now = Int64(Date().timeIntervalSince1970)
        let cases = requests.map { request in
            let named = [request.json["id"], request.json["event_id"], request.headers["x-delivery-id"]]
                .compactMap { $0 as? String }
            let event = known.first { named.contains($0.id) || named.contains("evt_" + $0.id) || named.contains($0.delivery) }
            return Case(
                profile: name, secret: secret, headers: request.headers.map { "\($0.key): \($0.value)" },
                body: Data(request.body), now: now, event: event ?? Case.Known())
        }
        return try Self.verify(cases)
    }

    private static func verify(_ cases: [Case]) throws -> [String] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "python3",
            URL(fileURLWithPath: #filePath).appendingPathComponent("../../../TestSupport/verify.py").standardized.path,
        ]
        // A file, because a pipe holds less than all requests.
        let input = FileManager.default.temporaryDirectory.appendingPathComponent("requests-\(UUID()).json")
        defer { try? FileManager.default.removeItem(at: input) }
        try JSONEncoder().encode(cases).write(to: input)
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
