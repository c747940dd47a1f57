// Which keys a worker may trust when a payload does not open with them.

import Testing

@testable import OutboxStore
@testable import OutboxWorker

@Suite struct ProvenKeysTests {
    @Test func keyIsProvenWhileItsProofOpens() {
        let keys = ProvenKeys()
        #expect(!keys.contains("right"))
        keys.set(proofs(opened: ["right"], unopened: ["wrong"]))
        #expect(["right", "wrong", "other"].filter { keys.contains($0) } == ["right"])
        keys.set(proofs(unopened: ["right"]))
        #expect(!keys.contains("right"))
    }

    /// An altered secret is no matter of the worker; a key that opens none may be another one where nothing else decides.
    @Test func proofDecidesWhichKeysAreWrong() {
        var census = SecretCensus()
        census.unopened = ["k1": 1]
        #expect(SecretKeyError(census, proofs(opened: ["k1"])) == nil)
        #expect(SecretKeyError(census, proofs())?.description.contains("'k1' opens nothing") == true)
        let error = SecretKeyError(SecretCensus(), proofs(unopened: ["k2"]))
        #expect(error?.description == "key 'k2' is another key than the one that seals under its name")
    }

    private func proofs(opened: Set<String> = [], unopened: Set<String> = []) -> KeyStore.Proofs {
        var proofs = KeyStore.Proofs()
        proofs.opened = opened
        proofs.unopened = unopened
        return proofs
    }
}
