// Secrets: what is accepted, what is generated, and that nothing prints them.

import TestSupport
import Testing

@testable import Outbox

@Suite struct SecretTests {
    static let refused: [(String, SecretForm, SecretError)] = [
        ("", .text, .empty), ("", .standard, .empty), ("whsec_", .standard, .empty),
        ("whsec_!!!", .standard, .undecodable), ("whsec_A", .standard, .undecodable),
        ("whsec_QUJD=QUJD", .standard, .undecodable), ("whsec_QQ=", .standard, .undecodable),
        ("whsk_QUJD", .standard, .undecodable),
        ("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=", .standard, .publicKey),
        (
            "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbcAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==", .standard,
            .mismatchedPublicKey
        ),
    ]

    @Test(arguments: refused)
    func unusableSecretsAreRefused(_ text: String, _ form: SecretForm, _ error: SecretError) {
        #expect(throws: error) { try Secret(text, form: form) }
    }

    @Test func generatedSecretsHaveTheFormOfTheirProfile() throws {
        var generator = SeededGenerator(seed: 1)
        let text = Secret.generate(form: .text, using: &generator).reveal()
        #expect(text.wholeMatch(of: /[0-9a-f]{64}/) != nil)
        let stripe = Secret.generate(form: .prefixedText, using: &generator).reveal()
        #expect(stripe.wholeMatch(of: /whsec_[0-9a-f]{64}/) != nil)
        let standard = Secret.generate(form: .standard, using: &generator).reveal()
        #expect(standard.hasPrefix("whsec_"))
        #expect(Base64.decode(standard.utf8.dropFirst(6))?.count == 32)
        #expect(standard != Secret.generate(form: .standard, using: &generator).reveal())
        let asymmetric = try Secret.generateEd25519(using: &generator)
        #expect(try Secret(asymmetric.reveal(), form: .standard).publicKeyText == asymmetric.publicKeyText)
        #expect(Secret.generate(form: .text, using: &generator).publicKeyText == nil)
    }

    @Test(arguments: ["text-secret-4711", "whsec_c2VjcmV0LWJ5dGVzLTQ3MTEtNDcxMQ=="])
    func nothingPrintsASecret(_ text: String) throws {
        let secret = try Secret(text, form: text.hasPrefix("whsec_") ? .standard : .text)
        let name = text.hasPrefix("whsec_") ? "standard" : "fenix"
        let header = try HeaderField(name: "Authorization", value: "Bearer " + text)
        let destination = try Fixture.destination(name, secrets: [secret], headers: [header])
        var builder = RequestBuilder()
        let request = try builder.request(
            event: Fixture.event(), destination: destination, deliveryID: "d", attempt: 1, unixSeconds: 0
        )
        var shown = "\(secret) \(destination) \(header) \([secret]) \(String(reflecting: secret)) \(builder)"
        shown += String(describing: Mirror(reflecting: secret).children.map { "\($0)" })
        shown += String(describing: Mirror(reflecting: destination).children.map { "\($0)" })
        dump(secret, to: &shown)
        dump(destination, to: &shown)
        dump(header, to: &shown)
        dump(builder, to: &shown)
        dump(try PreparedDestination(destination), to: &shown)
        dump(request, to: &shown)
        shown += "\(request) \(String(reflecting: request)) \(String(reflecting: builder))"
        dump(SubscriptionTable([destination]), to: &shown)
        #expect(shown.contains("redacted"))
        #expect(!shown.contains(text))
        #expect(!shown.contains("4711"))
        #expect(!shown.contains(text.dropFirst(6)))
        #expect(secret.reveal() == text)
    }

    @Test func errorsNeverRepeatTheSecret() {
        for (text, form, _) in Self.refused where text.utf8.count > 8 {
            do {
                _ = try Secret(text, form: form)
                Issue.record("accepted")
            } catch {
                #expect(!"\(error)".contains(text.dropFirst(6)))
            }
        }
    }

    @Test func anEd25519SecretNeedsAProfileThatKnowsIt() throws {
        var generator = SeededGenerator(seed: 5)
        let secret = try Secret.generateEd25519(using: &generator)
        #expect(throws: DestinationError.asymmetricSecret(profile: "crm")) {
            try Fixture.destination("crm", secrets: [secret])
        }
    }

    @Test func base64AgreesWithItsVectors() {
        // RFC 4648 section 10.
        let vectors = [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ]
        for (plain, encoded) in vectors {
            #expect(Base64.text(Array(plain.utf8)) == encoded)
            #expect(Base64.decode(encoded.utf8) == Array(plain.utf8))
            #expect(Base64.decode(encoded.filter { $0 != "=" }.utf8) == Array(plain.utf8))
        }
        for count in 0..<100 {
            var generator = SeededGenerator(seed: UInt64(count))
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            #expect(Base64.decode(Base64.text(bytes).utf8) == bytes)
        }
    }
}
