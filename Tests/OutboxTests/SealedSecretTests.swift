// Sealed secrets and key rings: what opens, what does not, and that nothing prints a key or a secret.

import TestSupport
import Testing

@testable import Outbox

@Suite struct SealedSecretTests {
    private static let old = "old:" + Base64.text([UInt8](repeating: 7, count: 32))
    private static let new = "new:" + Base64.text([UInt8](repeating: 8, count: 32))
    private static let place = SecretPlace.version(3, destination: 17)
    private static let plain = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    @Test func sealedOpensInItsPlaceAlone() throws {
        let ring = try KeyRing(list: Self.new)
        let text = try SealedSecret(sealing: Self.plain, for: Self.place, with: ring).text
        let sealed = try SealedSecret(text)
        #expect(try sealed.open(at: Self.place, with: ring) == Self.plain)
        let others: [SecretPlace] = [
            .version(4, destination: 17), .version(3, destination: 18), .version(17, destination: 3),
            .header("3", destination: 17), .header("Authorization", destination: 17),
        ]
        for other in others {
            #expect(throws: SealingError.doesNotOpen(key: "new")) { try sealed.open(at: other, with: ring) }
        }
    }

    @Test func headerIsBoundToItsNameInAnyCase() throws {
        let ring = try KeyRing(list: Self.new)
        let sealed = try SealedSecret(
            sealing: "Bearer x", for: .header("Authorization", destination: 1), with: ring)
        #expect(try sealed.open(at: .header("AUTHORIZATION", destination: 1), with: ring) == "Bearer x")
        #expect(throws: SealingError.doesNotOpen(key: "new")) {
            try sealed.open(at: .header("Cookie", destination: 1), with: ring)
        }
    }

    @Test func settingIsBoundToItsNameAndItsOwner() throws {
        let ring = try KeyRing(list: Self.new)
        let places: [SecretPlace] = [
            .setting("A", organization: "acme"), .setting("A", organization: "beta"), .setting("A", organization: nil),
            .setting("B", organization: "acme"), .proof("A"),
        ]
        for place in places {
            let sealed = try SealedSecret(sealing: Self.plain, for: place, with: ring)
            for other in places where other != place {
                #expect(throws: SealingError.doesNotOpen(key: "new")) { try sealed.open(at: other, with: ring) }
            }
            #expect(try sealed.open(at: place, with: ring) == Self.plain)
        }
    }

    @Test func firstKeySealsAndAllOpen() throws {
        let before = try KeyRing(list: Self.old)
        let during = try KeyRing(list: "\(Self.new),\(Self.old)")
        let after = try KeyRing(list: Self.new)
        let first = try SealedSecret(sealing: Self.plain, for: Self.place, with: before)
        #expect(first.text.hasPrefix("sealed:v1:old:"))
        #expect(first.text.hasPrefix(SealedSecret.prefix(ofKey: "old")))
        let second = try SealedSecret(sealing: first.open(at: Self.place, with: during), for: Self.place, with: during)
        #expect(second.keyName == "new")
        #expect(try second.open(at: Self.place, with: after) == Self.plain)
        #expect(throws: SealingError.missingKey("old")) { try first.open(at: Self.place, with: after) }
        #expect(throws: SealingError.missingKey("old")) { try first.open(at: Self.place, with: nil) }
    }

    @Test func everyAlteredByteIsNoticed() throws {
        let ring = try KeyRing(list: Self.new)
        let sealed = try SealedSecret(sealing: "0123456789", for: Self.place, with: ring)
        let prefix = SealedSecret.prefix(ofKey: "new")
        let bytes = try #require(Base64.decode(sealed.text.utf8.dropFirst(prefix.utf8.count)))
        #expect(bytes.count == 12 + 10 + 16)
        for index in bytes.indices {
            for bit in 0..<8 {
                var altered = bytes
                altered[index] ^= 1 << bit
                let other = try SealedSecret(prefix + Base64.text(altered))
                #expect(throws: SealingError.doesNotOpen(key: "new")) { try other.open(at: Self.place, with: ring) }
            }
        }
        let cut = try SealedSecret(prefix + Base64.text(Array(bytes.dropLast())))
        #expect(throws: SealingError.doesNotOpen(key: "new")) { try cut.open(at: Self.place, with: ring) }
    }

    @Test func anotherKeyOfTheSameNameDoesNotOpen() throws {
        let sealed = try SealedSecret(sealing: Self.plain, for: Self.place, with: KeyRing(list: Self.new))
        let impostor = try KeyRing(list: "new:" + Base64.text([UInt8](repeating: 9, count: 32)))
        #expect(throws: SealingError.doesNotOpen(key: "new")) { try sealed.open(at: Self.place, with: impostor) }
    }

    @Test func sealingTwiceGivesTwoTexts() throws {
        let ring = try KeyRing(list: Self.new)
        let texts = try (0..<100).map { _ in try SealedSecret(sealing: Self.plain, for: Self.place, with: ring).text }
        #expect(Set(texts).count == 100)
    }

    @Test(arguments: [
        "", "whsec_x", "sealed:", "sealed:v1:", "sealed:v1:k", "sealed:v1:k:", "sealed:v1:k:AAAA", "sealed:v2:k:AAAA",
        "sealed:v1:k:" + String(repeating: "A", count: 40) + ":x", "sealed:v1:a b:" + String(repeating: "A", count: 40),
        "sealed:v1:\n:" + String(repeating: "A", count: 40), "sealed:v1:k:" + String(repeating: "?", count: 40),
        "Sealed:v1:k:" + String(repeating: "A", count: 40),
    ])
    func otherTextsAreMalformed(_ text: String) {
        #expect(throws: SealingError.malformed) { try SealedSecret(text) }
    }

    @Test func nothingIsSealedThatIsEmpty() throws {
        let ring = try KeyRing(list: Self.new)
        #expect(throws: SealingError.unsealable) { try SealedSecret(sealing: "", for: Self.place, with: ring) }
    }

    @Test func proofIsThatOfItsKeyAndName() throws {
        let keys = try KeyRing(list: Self.new)
        let proof = try SealedSecret.proof(ofFirst: keys)
        #expect(keys.isProven(by: proof, name: "new"))
        #expect(!keys.isProven(by: proof, name: "other") && !keys.isProven(by: "sealed:v1:new:AAAA", name: "new"))
        let secret = try SealedSecret(sealing: "postrider", for: Self.place, with: keys).text
        #expect(!keys.isProven(by: secret, name: "new"))
        var generator = SystemRandomNumberGenerator()
        let impostor = try KeyRing(list: KeyRing.newLine(name: "new", using: &generator))
        #expect(!impostor.isProven(by: proof, name: "new"))
    }

    @Test(arguments: [
        ("Authorization", true), ("proxy-authorization", true), ("X-Auth", true), ("Cookie", true), ("X-API-Key", true),
        ("apikey", true), ("Ocp-Apim-Subscription-Key", true), ("X-Access-Token", true), ("x-shared-secret", true),
        ("X-Password", true), ("X-Credential", true), ("X-Team", false), ("Accept", false), ("X-Keyboard", false), ("User-Agent", false),
        ("traceparent", false), ("", false),
    ])
    func credentialsAreKnownByTheirNames(name: String, isCredential: Bool) {
        #expect(HeaderField.holdsCredential(name) == isCredential)
    }
}

@Suite struct KeyRingTests {
    private static let key = Base64.text([UInt8](repeating: 7, count: 32))

    @Test func namesOfKeysHave32LettersAtMost() {
        let longest = String(repeating: "n", count: 32)
        for name in [longest, "A.b-c_9Z", "0"] { #expect(KeyRing.isName(name), "\(name)") }
        for name in [longest + "n", "", "a b", "a:b", "é"] { #expect(!KeyRing.isName(name), "\(name)") }
    }

    @Test func listAndFileGiveTheSameRing() throws {
        let list = try KeyRing(list: " a:\(Self.key) , b:\(Self.key.filter { $0 != "=" })")
        let file = try KeyRing(file: "# keys\r\na:\(Self.key)  # since May\n\n   \nb:\(Self.key)\n")
        #expect(list.names == ["a", "b"])
        #expect(file.names == ["a", "b"])
        #expect(list.first == "a")
        #expect(list.contains("b") && !list.contains("c"))
    }

    static let refused: [(String, KeyRingError)] = [
        ("", .form(place: 1)), (key, .form(place: 1)), ("a:\(key),", .form(place: 2)), ("a:\(key),\(key)", .form(place: 2)),
        (":\(key)", .name(place: 1)), ("a b:\(key)", .name(place: 1)), ("\(key):a", .name(place: 1)),
        (String(repeating: "n", count: 33) + ":\(key)", .name(place: 1)), ("é:\(key)", .name(place: 1)),
        ("a:", .key("a")), ("a:\(key)\(key)", .key("a")), ("a:AAAA", .key("a")), ("a:\(key.dropLast(2))!=", .key("a")),
        ("a:\(key),b:\(key),a:\(key)", .repeatedName("a")),
    ]

    @Test(arguments: refused)
    func otherListsAreRefused(_ list: String, _ error: KeyRingError) {
        #expect(throws: error) { try KeyRing(list: list) }
        #expect(!"\(error)".contains(Self.key.prefix(10)))
    }

    @Test func emptyFileIsRefused() { #expect(throws: KeyRingError.empty) { try KeyRing(file: "# nothing\n\n") } }

    @Test func newLineIsAKeyOfARing() throws {
        var generator = SeededGenerator(seed: 11)
        let line = try KeyRing.newLine(name: "k1", using: &generator)
        #expect(try KeyRing(file: line).names == ["k1"])
        #expect(try KeyRing.newLine(name: "k1", using: &generator) != line)
        #expect(throws: KeyRingError.name(place: 1)) { try KeyRing.newLine(name: "a:b", using: &generator) }
    }

    @Test func nothingPrintsAKeyOrASecret() throws {
        let ring = try KeyRing(list: "a:\(Self.key)")
        let sealed = try SealedSecret(sealing: "marker-4711", for: .version(1, destination: 1), with: ring)
        var shown = "\(ring) \(String(reflecting: ring)) \([ring]) \(sealed) \(String(reflecting: sealed))"
        dump(ring, to: &shown)
        dump(sealed, to: &shown)
        dump(Optional(ring), to: &shown)
        shown += String(describing: Mirror(reflecting: ring).children.map { "\($0)" })
        #expect(shown.contains("KeyRing(a)"))
        #expect(!shown.contains(Self.key))
        #expect(!shown.contains("7, 7, 7"))
        #expect(!shown.contains("marker-4711"))
        let errors: [SealingError] = [.malformed, .missingKey("a"), .doesNotOpen(key: "a"), .wrongKey("a"), .unsealable]
        for error in errors { #expect(!"\(error)".contains("marker")) }
    }
}
