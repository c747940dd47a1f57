// The receiver's side in Swift: what it accepts, and the published negative vectors that it must refuse.

import Testing

@testable import Outbox

@Suite struct RequestVerifierTests {
    private func fields(_ request: PreparedRequest) -> [(name: String, value: String)] {
        request.headers.map { line in
            let name = line.prefix { $0 != ":" }
            return (String(name), String(line.dropFirst(name.count + 2)))
        }
    }

    @Test(arguments: Profile.builtIn.keys.sorted())
    func ownRequestsAreAcceptedAndChangedOnesAreNot(_ name: String) throws {
        let destination = try Fixture.destination(name)
        let verifier = try RequestVerifier(profile: destination.profile, secrets: destination.secrets)
        let request = try Fixture.request(Fixture.event(), destination)
        let headers = fields(request)
        try verifier.verify(headers: headers, body: request.body, unixSeconds: Fixture.unixSeconds + 299)
        #expect(throws: VerificationError.signature) {
            try verifier.verify(headers: headers, body: Array("{}".utf8), unixSeconds: Fixture.unixSeconds)
        }
        let foreign = try RequestVerifier(
            profile: destination.profile, secrets: [Secret("c29tZXRoaW5n", form: destination.profile.secretForm)]
        )
        #expect(throws: VerificationError.signature) {
            try foreign.verify(headers: headers, body: request.body, unixSeconds: Fixture.unixSeconds)
        }
        for index in headers.indices where !["content-type", "user-agent"].contains(headers[index].name.lowercased()) {
            var fewer = headers
            let missing = fewer.remove(at: index)
            #expect(throws: VerificationError.missingHeader(missing.name)) {
                try verifier.verify(headers: fewer, body: request.body, unixSeconds: Fixture.unixSeconds)
            }
        }
    }

    /// Small bodies are signed in one piece with what comes before them, larger ones in several.
    @Test(arguments: [1, 4_095, 4_096, 4_097, 70_000], ["standard", "agentes", "github"])
    func bodiesOfEverySizeAreSignedAsTheReceiverReadsThem(size: Int, profile: String) throws {
        let destination = try Fixture.destination(profile)
        var builder = RequestBuilder()
        // Two in a row: what is kept of the first must not be in the second.
        for (text, unixSeconds) in [("a", Fixture.unixSeconds), ("b", Fixture.unixSeconds + 1)] {
            let event = Fixture.event("\"" + String(repeating: text, count: size) + "\"")
            let request = try builder.request(
                event: event, destination: destination, deliveryID: "d", attempt: 1, unixSeconds: unixSeconds)
            let verifier = try RequestVerifier(profile: destination.profile, secrets: destination.secrets)
            try verifier.verify(headers: fields(request), body: request.body, unixSeconds: unixSeconds)
        }
    }

    private static let valid = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    private func verify(_ signature: String, secret: String = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", now: Int64)
        throws
    {
        let verifier = try RequestVerifier(
            profile: Fixture.profile("standard"), secrets: [Secret(secret, form: .standard)]
        )
        let headers = [
            (name: "Webhook-Id", value: "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            (name: "WEBHOOK-TIMESTAMP", value: "1614265330"),
            (name: "webhook-signature", value: signature),
        ]
        try verifier.verify(headers: headers, body: Array(#"{"test": 2432232314}"#.utf8), unixSeconds: now)
    }

    @Test(arguments: [
        valid, "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= " + valid,
        "v2,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= nonsense " + valid + " v1,",
    ])
    func oneValidEntryIsEnough(_ signature: String) throws {
        try verify(signature, now: 1_614_265_330)
        #expect(throws: VerificationError.signature) {
            try verify(signature.replacing("g0hM9", with: "g0hM8"), now: 1_614_265_330)
        }
    }

    @Test(arguments: [
        "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", "v1,", "",
        "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", valid + ",", "v1, g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ])
    func publishedNegativesAreRefused(_ signature: String) {
        #expect(throws: VerificationError.signature) { try verify(signature, now: 1_614_265_330) }
    }

    @Test func timestampsFarAwayAreRefused() throws {
        for now in [1_614_265_630, 1_614_265_030] as [Int64] { try verify(Self.valid, now: now) }
        for now in [1_614_265_631, 1_614_265_029, 0, .min, .max] as [Int64] {
            #expect(throws: VerificationError.timestamp) { try verify(Self.valid, now: now) }
        }
    }

    @Test func ed25519SignaturesAreVerified() throws {
        let secret = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
        let signature =
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
        try verify(signature, secret: secret, now: 1_614_265_330)
        #expect(throws: VerificationError.signature) { try verify(Self.valid, secret: secret, now: 1_614_265_330) }
    }

    @Test func publicKeyIsEnoughForAReceiver() throws {
        let standard = try Fixture.profile("standard")
        let headers = [
            (name: "webhook-id", value: "msg_p5jXN8AQM9LWM0D4loKWxJek"), (name: "webhook-timestamp", value: "1614265330"),
            (
                name: "webhook-signature",
                value:
                    "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
            ),
        ]
        let verifier = try RequestVerifier(
            profile: standard, texts: ["whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="])
        try verifier.verify(headers: headers, body: Array(#"{"test": 2432232314}"#.utf8), unixSeconds: 1_614_265_330)
        #expect(throws: VerificationError.signature) {
            try verifier.verify(headers: headers, body: Array("{}".utf8), unixSeconds: 1_614_265_330)
        }
        for text in ["whpk_", "whpk_AAAA", "whpk_!"] {
            #expect(throws: SecretError.undecodable) { try RequestVerifier(profile: standard, texts: [text]) }
        }
    }

    @Test func timestampThatIsNotSignedProvesNothing() throws {
        let profile = try Profile(
            name: "own", envelope: "{data}", headers: ["X-Time: {timestamp}", "X-Sig: {signature}"],
            signature: SignatureRecipe(signs: "{body}"))
        let verifier = try RequestVerifier(profile: profile, texts: ["s"])
        // HMAC-SHA256 of "x" with the key "s".
        let signature = "cefb105ee22996fb167ed606478d2931b87aa3ab99b4b04b68c4fc16c8b49a30"
        for time in ["1", "1614265330"] {
            let headers = [(name: "x-time", value: time), (name: "x-sig", value: signature)]
            try verifier.verify(headers: headers, body: Array("x".utf8), unixSeconds: 1_614_265_330)
        }
    }

    @Test func malformedStripeHeadersAreRefused() throws {
        let destination = try Fixture.destination("stripe")
        let verifier = try RequestVerifier(profile: destination.profile, secrets: destination.secrets)
        for value in ["", "t=", "t=x,v1=00", "v1=00,t=1", "t=1767225600", "t=99999999999999999999,v1=0"] {
            #expect(throws: VerificationError.self) {
                try verifier.verify(
                    headers: [(name: "Stripe-Signature", value: value)], body: [], unixSeconds: Fixture.unixSeconds
                )
            }
        }
    }

    @Test func aProfileWithoutSignatureVerifiesNothing() throws {
        let profile = try Profile(name: "plain", envelope: "{data}")
        let verifier = try RequestVerifier(profile: profile, secrets: [])
        #expect(throws: VerificationError.unsignedProfile) {
            try verifier.verify(headers: [], body: [], unixSeconds: 0)
        }
    }

    static let times: [(String, Int64?)] = [
        ("2026-01-01T23:59:59.999Z", 1_767_311_999), ("2026-01-01T24:00:00.000Z", nil), ("2026-01-01T00:60:00.000Z", nil),
        ("2026-01-01T00:00:60.000Z", nil), ("2026-00-01T00:00:00.000Z", nil), ("2026-13-01T00:00:00.000Z", nil),
        ("2026-01-00T00:00:00.000Z", nil), ("2026-01-32T00:00:00.000Z", nil), ("2026-01-01T00:00:00Z", nil),
    ]

    @Test(arguments: times)
    func timesOfISO8601AreReadAsTheyAreWritten(_ text: String, _ seconds: Int64?) {
        #expect(Timestamp.unixSeconds(iso8601: Array(text.utf8)[...]) == seconds)
    }
}
