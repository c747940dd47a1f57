// The verifier on the published vectors of Standard Webhooks and on requests that are wrong in one thing.

import Foundation
import Outbox
import Testing

@testable import postrider

@Suite struct ListenVerifierTests {
    static let now: Int64 = 1_614_265_330
    static let id = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    static let body = #"{"test": 2432232314}"#
    static let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    static let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    static let asymmetric =
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
    static let publicKey = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
    static let privateKey =
        "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="

    static func standard(_ signature: String?, id: String? = id, timestamp: String? = "\(now)") -> ReceivedRequest {
        let headers = [("Webhook-Id", id), ("Webhook-Timestamp", timestamp), ("Webhook-Signature", signature)]
        return request(headers.compactMap { name, value in value.map { (name, $0) } }, body: body)
    }

    static func request(_ headers: [(String, String)], body: String) -> ReceivedRequest {
        ReceivedRequest(
            method: "POST", target: "/hook", headers: headers.map { (name: $0.0, value: $0.1) },
            body: Array(body.utf8), arrivedAt: .now)
    }

    static func verdict(
        _ request: ReceivedRequest, profile: String = "standard", secrets: [String] = [secret], at now: Int64 = now
    ) throws -> SignatureVerdict {
        let known: Profile = try #require(Profile.builtIn[profile])
        let verifier = try Verifier(profile: known, secrets: secrets)
        return verifier.inspect(request, unixSeconds: now).signature
    }

    @Test(arguments: [secret, String(secret.dropFirst(6))])
    func vectorOfStandardWebhooksIsAccepted(secret: String) throws {
        #expect(try Self.verdict(Self.standard(Self.signature), secrets: [secret]) == .ok)
    }

    @Test(arguments: [publicKey, privateKey]) func vectorOfEd25519IsAccepted(secret: String) throws {
        #expect(try Self.verdict(Self.standard(Self.asymmetric), secrets: [secret]) == .ok)
    }

    @Test func oneOfSeveralSignaturesAndSecretsIsEnough() throws {
        let list = "v2,abc v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= \(Self.signature)"
        #expect(try Self.verdict(Self.standard(list), secrets: ["whsec_d3Jvbmc=", Self.secret]) == .ok)
    }

    @Test(arguments: [
        "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc=", "v1,", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", asymmetric,
    ]) func otherSignaturesAreRefused(signature: String) throws {
        #expect(try Self.verdict(Self.standard(signature)) == .bad("no signature matches"))
    }

    @Test func missingHeadersAreRefused() throws {
        #expect(try Self.verdict(Self.standard(nil)) == .none)
        #expect(try Self.verdict(Self.standard(Self.signature, id: nil)) == .bad("missing: event.id"))
        #expect(try Self.verdict(Self.standard(Self.signature, timestamp: nil)) == .bad("missing: timestamp"))
        #expect(try Self.verdict(Self.standard(Self.signature, timestamp: "soon")) == .bad("the timestamp cannot be read"))
    }

    @Test(arguments: [(-301, false), (-300, true), (300, true), (301, false)])
    func timestampsAreAcceptedForFiveMinutesBothWays(offset: Int64, isAccepted: Bool) throws {
        let verdict = try Self.verdict(Self.standard(Self.signature), at: Self.now + offset)
        #expect((verdict == .ok) == isAccepted)
    }

    @Test func extremeTimestampDoesNotOverflow() throws {
        let verdict = try Self.verdict(Self.standard(Self.signature, timestamp: "\(Int64.min)"))
        #expect(verdict == .bad("the timestamp is more than 5 minutes off"))
    }

    @Test func vectorOfGitHubIsAccepted() throws {
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
        let headers = [("X-GitHub-Event", "ping"), ("X-GitHub-Delivery", "1"), ("X-Hub-Signature-256", signature)]
        let verifier = try Verifier(profile: nil, secrets: ["It's a Secret to Everybody"])
        let found = verifier.inspect(Self.request(headers, body: "Hello, World!"), unixSeconds: Self.now)
        #expect(found == Inspection(profile: "github", eventType: "ping", eventID: "1", signature: .ok))
    }

    @Test func withoutSecretNothingIsClaimed() throws {
        #expect(try Self.verdict(Self.standard(Self.signature), secrets: []) == .unchecked)
    }

    @Test func unreadableSignatureHeaderIsBadRatherThanMissing() throws {
        let request = Self.request([("Stripe-Signature", "nonsense")], body: "{}")
        #expect(try Self.verdict(request, profile: "stripe") == .bad("Stripe-Signature cannot be read"))
    }

    @Test(arguments: ["standard", "github", "n8n"]) func batchTellsItsEventsAndTheirTypes(name: String) throws {
        let profile = try #require(Profile.builtIn[name])
        let destination = try Destination(
            id: 1, uuid: "", name: "d", url: DestinationURL("https://receiver.example/"), patterns: [],
            profile: profile, secrets: [Secret(Self.secret, form: profile.secretForm)])
        let events = ["lead.won", "lead.created", "lead.created"].enumerated().map { place, type in
            Event(
                id: EventID(high: UInt64(place), low: 1), type: type, createdAtMicroseconds: 0,
                data: Array(#"{"a": 1}"#.utf8))
        }
        var builder = RequestBuilder()
        let sent = try builder.batch(
            events: events, destination: destination, deliveryID: "1", attempt: 1, unixSeconds: Self.now)
        let headers = sent.headers.map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (String(parts[0]), String(parts[1].dropFirst()))
        }
        let request = Self.request(headers, body: String(decoding: sent.body, as: UTF8.self))
        let found = try Verifier(profile: nil, secrets: [Self.secret]).inspect(request, unixSeconds: Self.now)
        #expect(found.profile == name && found.signature == .ok && found.eventType == "batch")
        let report = RequestReport(receivedAt: Date(), request: request, inspection: found, status: 200)
        #expect(report.line.contains("  batch of 3: lead.created ×2, lead.won  "))
        let line = try JSONSerialization.jsonObject(with: Data(report.json(withHeaders: false).utf8)) as? [String: Any]
        #expect(line?["events"] as? Int == 3)
        #expect(line?["event_types"] as? [String: Int] == ["lead.created": 2, "lead.won": 1])
    }

    @Test(arguments: ["[]", "[1]", #"[{"id": "1", "type": "a.b"}]"#, #"{"id": "1"}"#])
    func otherBodiesAreNoBatch(body: String) throws {
        let request = Self.request([("X-GitHub-Event", "batch"), ("X-GitHub-Delivery", "1")], body: body)
        let found = try Verifier(profile: nil, secrets: []).inspect(request, unixSeconds: Self.now)
        #expect(found == Inspection(profile: "github", eventType: "batch", eventID: "1", signature: .none))
    }

    @Test func lineOfAStrangerCannotSteerTheTerminal() throws {
        let request = Self.request([("X-GitHub-Event", "a\u{1B}[2J"), ("X-GitHub-Delivery", "1\u{9B}")], body: "\u{1B}\n")
        let found = try Verifier(profile: nil, secrets: []).inspect(request, unixSeconds: Self.now)
        let line = RequestReport(receivedAt: Date(), request: request, inspection: found, status: 200).line
        #expect(!line.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) })
        #expect(line.contains("a [2J"))
    }

    @Test func planAnswersStepsThenItsStatus() {
        var plan = AnswerPlan()
        plan.steps = AnswerPlan.steps("500:2,404") ?? []
        let request = Self.request([], body: "")
        #expect((0..<4).map { plan.answer(place: $0, request: request).status } == [500, 500, 404, 404])
        plan.steps = AnswerPlan.steps("500,503:1") ?? []
        #expect((0..<3).map { plan.answer(place: $0, request: request).status } == [500, 503, 200])
    }

    @Test func jsonStringsAreEscaped() throws {
        let text = "\u{0}\u{1F}\"\\\n\r\té🚀"
        let parsed = try JSONSerialization.jsonObject(with: Data("[\(JSONLine.string(text))]".utf8)) as? [String]
        #expect(parsed == [text])
    }
}
