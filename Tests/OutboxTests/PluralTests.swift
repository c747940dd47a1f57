// Counts before words.

import Outbox
import Testing

@Suite struct PluralTests {
    @Test(arguments: [(0, "0 retries"), (1, "1 retry"), (2, "2 retries")]) func oneIsNotMany(count: Int, text: String) {
        #expect(Plural.text(count, "retry", "retries") == text)
    }

    @Test(arguments: [(0, "0 events"), (1, "1 event"), (2, "2 events")]) func manyGetAnS(count: Int, text: String) {
        #expect(Plural.text(count, "event") == text)
    }
}
