// Profiles as data: what operators may write, and what is refused with a reason.

import Testing

@testable import Outbox

@Suite struct ProfileTests {
    private func profile(
        envelope: String = "{data}",
        headers: [String] = [],
        signs: String? = nil
    ) throws -> Profile {
        try Profile(
            name: "own", envelope: envelope, headers: headers, signature: signs.map { SignatureRecipe(signs: $0) }
        )
    }

    @Test func everyVariableCanBeUsed() throws {
        let own = try profile(
            envelope: #"{"o":{event.organization},"u":"{event.user}","r":{event.record_id},"i":{event.id},"#
                + #""t":{event.type},"a":{event.created_at},"c":{event.created_unix},"k":"{x","d":{data}}"#,
            headers: [
                "X-All: {event.id}|{event.type}|{event.created_unix}|{delivery.id}|{delivery.attempt}|{destination.id}",
                "X-Time: {timestamp} {timestamp.iso} {event.created_at}",
                "X-Owner: {event.organization}/{event.user}/{event.record_id}", "X-Sig: {signature}",
            ],
            signs: "{delivery.attempt}.{body}.{event.id}"
        )
        let destination = try Destination(
            id: 1, uuid: "dest", name: "n", url: DestinationURL("https://example.org"), patterns: [], profile: own,
            secrets: [Secret("s", form: .text)]
        )
        var event = Fixture.event("1", organization: "Ac\"me")
        event.user = "ü\n"
        #expect(throws: RequestError.headerValue(header: "X-Owner")) { try Fixture.request(event, destination) }
        event.user = "ü"
        let request = try Fixture.request(event, destination)
        let id = Fixture.eventID.description
        #expect(
            request.text
                == #"{"o":"Ac\"me","u":"ü","r":null,"i":"\#(id)","t":"user.created","a":"2025-12-31T23:59:59.123Z","#
                + #""c":1767225599,"k":"{x","d":1}"#
        )
        #expect(
            request.value(of: "X-All") == "\(id)|user.created|1767225599|\(Fixture.deliveryID)|1|dest"
        )
        #expect(request.value(of: "X-Time") == "1767225600 2026-01-01T00:00:00.000Z 2025-12-31T23:59:59.123Z")
        #expect(request.value(of: "X-Owner") == "Ac\"me/ü/")
        #expect(request.value(of: "X-Sig")?.utf8.count == 64)
    }

    @Test func mistakesAreNamed() {
        func refusal(_ make: () throws -> Profile) -> ProfileError? {
            do {
                _ = try make()
                return nil
            } catch {
                return error as? ProfileError
            }
        }
        #expect(refusal { try profile(envelope: "{event.name}") } == .unknownVariable("event.name"))
        #expect(refusal { try profile(envelope: "{body}") } == .variableNotAllowed("body", in: "envelope"))
        #expect(refusal { try profile(envelope: "{timestamp}") } == .variableNotAllowed("timestamp", in: "envelope"))
        #expect(refusal { try profile(headers: ["A: {data}"]) } == .variableNotAllowed("data", in: "header"))
        #expect(refusal { try profile(headers: ["A b"]) } == .headerWithoutColon("A b"))
        #expect(refusal { try profile(headers: ["A b: c"]) } == .header("A b", .nameByte(0x20)))
        #expect(refusal { try profile(headers: ["A: c\r\nB: d"]) } == .header("A", .valueByte(0x0D)))
        #expect(refusal { try profile(headers: ["A: 1", "a: 2"]) } == .repeatedHeader("a"))
        #expect(refusal { try profile(headers: ["A: {signature}"]) } == .signatureWithoutRecipe(header: "A"))
        #expect(refusal { try profile(headers: ["Host: x"]) } == .header("Host", .reserved("Host")))
        #expect(refusal { try profile(headers: ["User-Agent: x"]) } == .repeatedHeader("User-Agent"))
        #expect(refusal { try profile(signs: "{timestamp}") } == .bodyNotSignedOnce)
        #expect(refusal { try profile(signs: "{body}{body}") } == .bodyNotSignedOnce)
        #expect(refusal { try profile(signs: "{body}") } == .signatureNotSent)
        func own(_ recipe: SignatureRecipe) throws -> Profile {
            try Profile(name: "own", envelope: "{data}", headers: ["A: {signature}"], signature: recipe)
        }
        #expect(
            refusal { try own(SignatureRecipe(signs: "{body}", ed25519Prefix: "e=")) } == .ed25519WithoutStandardSecrets)
        #expect(refusal { try own(SignatureRecipe(signs: "{body}", separator: "")) } == .emptySeparator)
        #expect(
            refusal { try own(SignatureRecipe(signs: "{body}", prefix: "a\n")) } == .header("signature", .valueByte(10)))
        for envelope in ["", #"{"a":"{data}"}"#, #"{"a":{data}"#, #"{"a":"{data}}"#, #"{"a":{data},}"#] {
            guard case .envelopeIsNotJSON = refusal({ try profile(envelope: envelope) }) else {
                Issue.record("accepted: \(envelope)")
                continue
            }
        }
    }

    @Test(arguments: Profile.builtIn.keys.sorted())
    func theJSONFormOfAProfileIsTheProfile(_ name: String) throws {
        let profile = try Fixture.profile(name)
        let copy = try Profile(parsing: Array(profile.json.utf8))
        #expect(copy.json == profile.json)
        let secret = try Secret(Fixture.secretText(for: profile), form: copy.secretForm)
        let destination = try Destination(
            id: 1, uuid: Fixture.destinationID, name: "d1", url: DestinationURL("https://example.org/hook"),
            patterns: [], profile: copy, secrets: [secret])
        let expected = try Fixture.request(Fixture.event(), Fixture.destination(name))
        #expect(try Fixture.request(Fixture.event(), destination) == expected)
    }

    @Test func membersThatAreLeftOutHaveTheDefaultsOfTheTable() throws {
        let own = try Profile(parsing: Array(#"{"name": "own", "envelope": "{data}", "purpose": null}"#.utf8))
        #expect(own.contentType == "application/json" && own.userAgent == Profile.ownUserAgent)
        #expect(own.headers.isEmpty && own.signature == nil && own.secretForm == .text && own.purpose == nil)
    }

    static let faultyForms = [
        ("[]", "the profile: expected an object"),
        (#"{"name": "a", "envelop": "{data}"}"#, "the profile: unknown key"),
        (#"{"envelope": "{data}"}"#, "is no name of a profile"), (#"{"name": "A b"}"#, "is no name of a profile"),
        (#"{"name": "a"}"#, "envelope: it is missing"), (#"{"name": "a", "envelope": 1}"#, "envelope: expected a string"),
        (#"{"name": "a", "envelope": "{data}", "headers": "A: b"}"#, "headers: expected a list of strings"),
        (#"{"name": "a", "envelope": "{data}", "headers": [1]}"#, "headers: expected strings"),
        (#"{"name": "a", "envelope": "{data}", "encoding": "hexa"}"#, "is none of hex, base64"),
        (#"{"name": "a", "envelope": "{data}", "secret_form": "x"}"#, "is none of text, prefixed_text, standard"),
        (#"{"name": "a", "envelope": "{date}"}"#, "unknown variable {date}"),
    ]

    @Test(arguments: faultyForms)
    func mistakesInTheJSONFormAreNamed(_ text: String, _ reason: String) {
        do throws(ProfileError) {
            _ = try Profile(parsing: Array(text.utf8))
            Issue.record("accepted: \(text)")
        } catch {
            #expect(error.description.contains(reason), "\(error)")
        }
    }

    @Test func catalogKnowsBuiltInAndAddedProfilesAndWhyOneIsBroken() throws {
        var catalog = ProfileCatalog()
        catalog.add("own", json: Array(#"{"name": "own", "envelope": "{data}"}"#.utf8))
        catalog.add("torn", json: Array(#"{"name": "torn", "envelope": "{date}"}"#.utf8))
        catalog.add("github", json: Array(#"{"name": "github", "envelope": "null"}"#.utf8))
        #expect(try catalog.profile("own").envelope == "{data}")
        #expect(try catalog.profile("github") === Fixture.profile("github"))
        #expect(throws: ProfileCatalogError.broken("torn", .unknownVariable("date"))) { try catalog.profile("torn") }
        #expect(throws: ProfileCatalogError.unknown("none", known: catalog.names)) { try catalog.profile("none") }
        #expect(catalog.names.count == 13)
    }

    /// Each form of time, sent and verified, fresh and stale.
    @Test(arguments: [
        ("{timestamp}", "1767225600"), ("{timestamp.ms}", "1767225600000"),
        ("{timestamp.iso}", "2026-01-01T00:00:00.000Z"),
    ])
    func everyFormOfTheTimestampIsSignedAndChecked(_ form: String, _ text: String) throws {
        let own = try Profile(
            name: "own", envelope: #"{"at":{event.created_ms},"d":{data}}"#,
            headers: ["X-Time: \(form)", "X-Sig: {signature}"],
            signature: SignatureRecipe(signs: "\(form).{body}", encoding: .base64))
        let secret = try Secret("s", form: .text)
        let destination = try Destination(
            id: 1, uuid: "dest", name: "n", url: DestinationURL("https://example.org"), patterns: [], profile: own,
            secrets: [secret])
        let request = try Fixture.request(Fixture.event("1"), destination)
        #expect(request.value(of: "X-Time") == text)
        #expect(request.text == #"{"at":1767225599123,"d":1}"#)
        let verifier = try RequestVerifier(profile: own, secrets: [secret])
        let headers = request.headers.map { line in
            (name: String(line.prefix { $0 != ":" }), value: String(line.drop { $0 != ":" }.dropFirst(2)))
        }
        let signed = try verifier.signedBytes(headers: headers, body: request.body)
        #expect(signed == Array("\(text).\(request.text)".utf8))
        try verifier.verify(headers: headers, body: request.body, unixSeconds: Fixture.unixSeconds + 300)
        for seconds in [Fixture.unixSeconds - 301, Fixture.unixSeconds + 301] {
            #expect(throws: VerificationError.timestamp) {
                try verifier.verify(headers: headers, body: request.body, unixSeconds: seconds)
            }
        }
        let wrong = headers.map { $0.name == "X-Time" ? (name: $0.name, value: "yesterday") : $0 }
        #expect(throws: VerificationError.timestampForm) {
            try verifier.verify(headers: wrong, body: request.body, unixSeconds: Fixture.unixSeconds)
        }
    }

    @Test func profilesStandUnderTheirOwnNames() {
        #expect(
            Profile.builtIn.keys.sorted() == [
                "agentes", "bird", "companion", "crm", "fenix", "github", "hasura", "n8n", "standard", "stripe",
                "supabase",
            ]
        )
        for (name, profile) in Profile.builtIn { #expect(profile.name == name) }
    }

    @Test func namesOfAddedProfilesAreLowerCaseWords() {
        let longest = String(repeating: "p", count: 64)
        for name in [longest, "a_-9"] { #expect(Profile.isName(name), "\(name)") }
        for name in [longest + "p", "", "1a", "_a", "-a", "aB", "a.b", "é"] { #expect(!Profile.isName(name), "\(name)") }
    }
}
