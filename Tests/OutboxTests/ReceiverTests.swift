// Every built-in profile, proved by receivers that were written independently (verify.py).

import TestSupport
import Testing

@testable import Outbox

@Suite struct ReceiverTests {
    static let payloads = [
        #"{"id": 1, "name": "Ana"}"#, "null", "[]", #"{"price": 1000.00, "β": "\ud83d\ude00", "a": {"c": 1, "b": -0}}"#,
        #""a \"quoted\" text""#, "12345678901234567890123456789.10", "",
    ]

    @Test func everyProfileIsAcceptedByItsReceiver() throws {
        var cases: [PythonVerifier.Case] = []
        for name in Profile.builtIn.keys.sorted() {
            for payload in Self.payloads {
                let event = Fixture.event(payload)
                let request = try Fixture.request(event, Fixture.destination(name))
                let secret = Fixture.secretText(for: try Fixture.profile(name))
                cases.append(PythonVerifier.Case(request, profile: name, secret: secret, event: event))
            }
        }
        #expect(cases.count == Profile.builtIn.count * Self.payloads.count)
        for (verdict, item) in zip(try PythonVerifier.verify(cases), cases) {
            #expect(verdict == "ok", "\(item.profile)")
        }
    }

    @Test func everyReceiverRefusesAChangedBodyAndAForeignSecret() throws {
        var cases: [PythonVerifier.Case] = []
        for name in Profile.builtIn.keys.sorted() {
            let event = Fixture.event()
            var request = try Fixture.request(event, Fixture.destination(name))
            let secret = Fixture.secretText(for: try Fixture.profile(name))
            cases.append(PythonVerifier.Case(request, profile: name, secret: "bm90IHRoaXMgb25l", event: event))
            let ana = Array("Ana".utf8)
            let start = try #require(request.body.indices.first { request.body[$0...].starts(with: ana) })
            request.body.replaceSubrange(start..<(start + 3), with: "Eva".utf8)
            cases.append(PythonVerifier.Case(request, profile: name, secret: secret, event: event))
        }
        let verdicts = try PythonVerifier.verify(cases)
        #expect(verdicts.count == 2 * Profile.builtIn.count)
        for verdict in verdicts { #expect(verdict.hasPrefix("ValueError")) }
    }

    @Test(arguments: ["standard", "stripe", "supabase", "hasura"])
    func bothSecretsOfARotationAreAccepted(_ name: String) throws {
        let profile = try Fixture.profile(name)
        var generator = SeededGenerator(seed: 7)
        let secrets = [
            Secret.generate(form: profile.secretForm, using: &generator),
            try Secret(Fixture.secretText(for: profile), form: profile.secretForm),
        ]
        let event = Fixture.event()
        let request = try Fixture.request(event, Fixture.destination(name, secrets: secrets))
        let cases = secrets.map {
            PythonVerifier.Case(request, profile: name, secret: $0.reveal(), event: event)
        }
        #expect(try PythonVerifier.verify(cases) == ["ok", "ok"])
    }

    @Test(arguments: ["companion", "agentes", "crm", "fenix", "bird", "github", "n8n"])
    func profilesWithRoomForOneSignatureUseTheNewestSecret(_ name: String) throws {
        let newest = try Secret("newest", form: .text)
        let older = try Secret("older", form: .text)
        let event = Fixture.event()
        let request = try Fixture.request(event, Fixture.destination(name, secrets: [newest, older]))
        let alone = try Fixture.request(event, Fixture.destination(name, secrets: [newest]))
        #expect(request == alone)
        let item = PythonVerifier.Case(request, profile: name, secret: "newest", event: event)
        #expect(try PythonVerifier.verify([item]) == ["ok"])
    }

    @Test func generatedSecretsOfEveryProfileWork() throws {
        var generator = SeededGenerator(seed: 11)
        var cases: [PythonVerifier.Case] = []
        for (name, profile) in Profile.builtIn {
            let secret = Secret.generate(form: profile.secretForm, using: &generator)
            let reread = try Secret(secret.reveal(), form: profile.secretForm)
            let event = Fixture.event()
            for one in [secret, reread] {
                let request = try Fixture.request(event, Fixture.destination(name, secrets: [one]))
                cases.append(PythonVerifier.Case(request, profile: name, secret: secret.reveal(), event: event))
            }
        }
        #expect(try PythonVerifier.verify(cases) == Array(repeating: "ok", count: 2 * Profile.builtIn.count))
    }
}
