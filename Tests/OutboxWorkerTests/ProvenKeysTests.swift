// Which keys a worker may trust when a payload does not open with them.

import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct ProvenKeysTests {
    /// Of two keys of one name nobody knows which is the right one.
    @Test func keyIsProvenBySecretsOnlyWhenItOpensAllOfItsName() {
        let keys = ProvenKeys()
        keys.add(census(opened: ["right": 2, "mixed": 1], unopened: ["mixed": 1, "wrong": 3], missing: ["other": 1]), isWhole: true)
        #expect(["right", "mixed", "wrong", "other"].filter { keys.contains($0) } == ["right"])
    }

    @Test func keyThatFailsAtASecretIsDoubtedUntilAllSecretsOpen() {
        let keys = ProvenKeys()
        #expect(!keys.contains("k1"))
        keys.add(census(opened: ["k1": 1]), isWhole: true)
        #expect(keys.contains("k1") && !keys.contains("k2"))
        keys.add(census(unopened: ["k1": 1]), isWhole: false)
        #expect(!keys.contains("k1"))
        // What changed says nothing of the others.
        keys.add(census(opened: ["k1": 1]), isWhole: false)
        #expect(!keys.contains("k1"))
        keys.add(census(opened: ["k1": 2]), isWhole: true)
        #expect(keys.contains("k1"))
    }

    private func census(
        opened: [String: Int] = [:], unopened: [String: Int] = [:], missing: [String: Int] = [:]
    ) -> SecretCensus {
        var census = SecretCensus()
        census.opened = opened
        census.unopened = unopened
        census.missing = missing
        return census
    }
}
