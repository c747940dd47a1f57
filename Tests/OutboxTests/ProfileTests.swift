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
        for envelope in ["", #"{"a":{data}"#, #"{"a":"{data}}"#, #"{"a":{data},}"#] {
            guard case .envelopeIsNotJSON = refusal({ try profile(envelope: envelope) }) else {
                Issue.record("accepted: \(envelope)")
                continue
            }
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
}
