// Which keys a worker may trust when a payload does not open with them.

import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct ProvenKeysTests {
    @Test func keyThatOpenedAPayloadIsProven() {
        let keys = ProvenKeys()
        #expect(!keys.contains("k1"))
        keys.add("k1")
        #expect(keys.contains("k1") && !keys.contains("k2"))
    }

    /// Of two keys of one name nobody knows which is the right one.
    @Test func keyIsProvenBySecretsOnlyWhenItOpensAllOfItsName() {
        var census = SecretCensus()
        census.opened = ["right": 2, "mixed": 1]
        census.unopened = ["mixed": 1, "wrong": 3]
        census.missing = ["other": 1]
        let keys = ProvenKeys()
        keys.add(census)
        #expect(["right", "mixed", "wrong", "other"].filter { keys.contains($0) } == ["right"])
    }
}
