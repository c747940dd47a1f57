// What answers to batches say of single events, also badly.

import Outbox
import Testing

@Suite struct BatchAnswerTests {
    private static let batch = ["018f6b1e-2a3c-7d4e-8f50-617283940001", "018f6b1e-2a3c-7d4e-8f50-617283940002"]
    private let ids = Set(Self.batch.compactMap(EventID.init))

    private func refused(_ body: String) -> Set<EventID> { BatchAnswer.refused(Array(body.utf8)) { ids } }

    @Test(arguments: [
        "", "ok", "[1]", "{}", #"{"ok": true}"#, #"{"batchItemFailures": []}"#, #"{"batchItemFailures": null}"#, "{not json",
    ])
    func withoutAListAllIsTaken(body: String) {
        #expect(refused(body) == [])
    }

    @Test func namedEventsAreRefusedAlone() {
        let (first, second) = (Self.batch[0], Self.batch[1].uppercased())
        #expect(refused(#" {"batchItemFailures": [{"itemIdentifier": "\#(first)"}], "x": 1}"#) == Set([first].compactMap(EventID.init)))
        #expect(refused(#"{"batchItemFailures": [{"itemIdentifier": "\#(second)"}]}"#) == Set([second].compactMap(EventID.init)))
        #expect(refused(#"{"batchItemFailures": [{"itemIdentifier": "\#(first)"}, {"itemIdentifier": "\#(second)"}]}"#) == ids)
    }

    @Test(arguments: [
        #"{"batchItemFailures": [{"itemIdentifier": "018f6b1e-2a3c-7d4e-8f50-617283940009"}]}"#,
        #"{"batchItemFailures": [{"itemIdentifier": ""}]}"#, #"{"batchItemFailures": [{"itemIdentifier": null}]}"#,
        #"{"batchItemFailures": [{"id": "018f6b1e-2a3c-7d4e-8f50-617283940001"}]}"#,
        #"{"batchItemFailures": ["018f6b1e-2a3c-7d4e-8f50-617283940001"]}"#, #"{"batchItemFailures": "all"}"#,
        #"{"batchItemFailures": [{"itemIdentifier": "018f6b1e-2a3c-7d4e-8f50-617283940001"}, {"itemIde"#,
    ])
    func listThatCannotBeReadRefusesAll(body: String) {
        #expect(refused(body) == ids)
    }
}
