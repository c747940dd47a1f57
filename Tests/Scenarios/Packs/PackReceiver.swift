// What the receivers of a source system say of the requests that came: verify.py, written from their own documents with
// nothing but Python's standard library. Asked by PackScenarios.

import Postgres
import TestSupport

extension Pack {
    /// Gives a verdict on each request: `ok`, or what is wrong with its headers, signature, ids or members.
    func verdicts(on requests: [Received], secret: String, outpost: Outpost) async throws -> [String] {
        let known = try await outpost.sql(
            """
            SELECT webhook_event_id::text, event_type::text, id::text, webhook_endpoint_id::text
            FROM postrider.webhook_deliveries WHERE destination_name = $1
            """, [.text(name)]
        ).map { row in
            PythonVerifier.Case.Known(
                id: try row.string(0), type: try row.string(1), delivery: try row.string(2), destination: try row.string(3))
        }
        let unknown = PythonVerifier.Case.Known(id: "", type: "", delivery: "", destination: "")
        let cases = requests.map { request in
            let named = [request.json["id"], request.json["event_id"], request.headers["x-delivery-id"]]
                .compactMap { $0 as? String }
            let event = known.first { named.contains($0.id) || named.contains("evt_" + $0.id) || named.contains($0.delivery) }
            return request.judged(as: name, secret: secret, event: event ?? unknown)
        }
        return try PythonVerifier.verify(cases)
    }
}
