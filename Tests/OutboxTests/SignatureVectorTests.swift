// Published test vectors of the signature schemes, and operators' own recipes for systems that are not built in.

import Testing

@testable import Outbox

@Suite struct SignatureVectorTests {
    private static let signed = "msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330."
    private static let body = #"{"test": 2432232314}"#
    private static let privateKey =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="

    private func sign(_ secret: String, _ form: SecretForm, _ recipe: SignatureRecipe, head: String) throws -> String {
        let signer = try #require(try Signer(Secret(secret, form: form), recipe: recipe))
        var output: [UInt8] = []
        try signer.appendSignature(head: Array(head.utf8), body: Array(Self.body.utf8), tail: [], to: &output)
        return String(decoding: output, as: UTF8.self)
    }

    @Test(arguments: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    func standardWebhooksV1(_ secret: String) throws {
        let recipe = try #require(Fixture.profile("standard").signature)
        let signature = try sign(secret, .standard, recipe, head: Self.signed)
        #expect(signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
    }

    @Test func standardWebhooksV1a() throws {
        let recipe = try #require(Fixture.profile("standard").signature)
        let expected =
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
        #expect(try sign(Self.privateKey, .standard, recipe, head: Self.signed) == expected)
        let publicKey = try Secret(Self.privateKey, form: .standard).publicKeyText
        #expect(publicKey == "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=")
    }

    @Test func aRotationFromHMACToEd25519SignsWithBoth() throws {
        let secrets = [
            try Secret(Self.privateKey, form: .standard),
            try Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", form: .standard),
        ]
        let request = try Fixture.request(Fixture.event(), Fixture.destination(secrets: secrets))
        let entries = try #require(request.value(of: "webhook-signature")).split(separator: " ")
        #expect(entries.count == 2)
        #expect(entries.map { $0.prefix { $0 != "," } } == ["v1a", "v1"])
    }

    @Test(arguments: ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwBr"])
    func unpaddedSecretsEqualPaddedOnes(_ unpadded: String) throws {
        let recipe = try #require(Fixture.profile("standard").signature)
        let bare = unpadded.hasPrefix("whsec_") ? String(unpadded.dropFirst(6)) : unpadded
        let padded = bare + String(repeating: "=", count: (4 - bare.utf8.count % 4) % 4)
        #expect(padded != bare)
        let expected = try sign(padded, .standard, recipe, head: Self.signed)
        #expect(try sign(unpadded, .standard, recipe, head: Self.signed) == expected)
    }

    /// A published vector of a scheme that signs what stands before the body, the body, and no event of ours.
    struct Vector: Sendable, CustomTestStringConvertible {
        let name: String
        let signs: String
        let header: String
        let secret: String
        let body: String
        let unixSeconds: Int64
        let expected: String

        var testDescription: String { name }
    }

    static let vectors = [
        Vector(
            name: "GitHub", signs: "{body}", header: "X-Hub-Signature-256: sha256={signature}",
            secret: "It's a Secret to Everybody", body: "Hello, World!", unixSeconds: 0,
            expected: "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        ),
        Vector(
            name: "Hook0 v0", signs: "{timestamp}.{body}", header: "X-Hook0-Signature: t={timestamp},v0={signature}",
            secret: "secret", body: "hello !", unixSeconds: 1_636_936_200,
            expected: "t=1636936200,v0=1b3d69df55f1e52f05224ba94a5162abeb17ef52cd7f4948c390f810d6a87e98"
        ),
        Vector(
            name: "Hook0 v1",
            signs: "{timestamp}.x-event-id x-event-type.1a01cb48-5142-4d9b-8f90-d20cca61f0ee"
                + ".service.resource.verb.{body}",
            header: "X-Hook0-Signature: {signature}", secret: "secret", body: "hello !", unixSeconds: 1_636_936_200,
            expected: "bc521546ba5de381b12f135782d2008b028c3065c191760b12b76850a8fc8f51"
        ),
        Vector(
            name: "Convoy simple", signs: "{body}", header: "X-Convoy-Signature: {signature}",
            secret: "convoy-webhook-secret", body: #"{"event":"charge.success","amount":1000,"currency":"NGN"}"#,
            unixSeconds: 0, expected: "244449b7f48cbc2709060c9dcdc2b3aa47a78f540430579015c579fb12defbb4"
        ),
        Vector(
            name: "Convoy advanced", signs: "{timestamp},{body}",
            header: "X-Convoy-Signature: t={timestamp},v1={signature}", secret: "convoy-webhook-secret",
            body: #"{"event":"charge.success","amount":1000,"currency":"NGN"}"#, unixSeconds: 1_700_000_000,
            expected: "t=1700000000,v1=77b8b9269f25a199846a55a2bd25b3fba151c70fdae60bb1dcd87fbbc943c55c"
        ),
    ]

    @Test(arguments: vectors)
    func publishedVectorsComeOutOfProfilesThatAreData(_ vector: Vector) throws {
        let profile = try Profile(
            name: vector.name, envelope: "{data}", headers: [vector.header],
            signature: SignatureRecipe(signs: vector.signs)
        )
        let destination = try Destination(
            id: 1, uuid: "u", name: "n", url: DestinationURL("https://example.org"), patterns: [], profile: profile,
            secrets: [Secret(vector.secret, form: .text)]
        )
        var builder = RequestBuilder()
        let request = try builder.request(
            event: Fixture.event(vector.body), destination: destination, deliveryID: "d", attempt: 1,
            unixSeconds: vector.unixSeconds
        )
        let name = String(vector.header.prefix { $0 != ":" })
        #expect(request.value(of: name) == vector.expected)
        #expect(request.text == vector.body)
    }
}
