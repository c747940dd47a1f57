// `postrider profiles test`: an event through a profile, the exact request, and whether a receiver can verify it.

internal import ArgumentParser
internal import FoundationEssentials
internal import Outbox

extension Profiles {
    /// `postrider profiles test`.
    struct Test: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the exact request that a profile makes of an event, and verify it as a receiver does.",
            discussion: """
                Without a secret one is generated for the test. Exit status 1 when the request cannot be verified from its \
                headers and body alone, or when --url does not accept it.

                  postrider profiles test ./own.json --event-type order.paid --data '{"total": 10.50}'
                  postrider profiles test own --secret-env SECRET --url https://receiver.example.com/hook
                """)
        @Argument(help: "Name, or path of a file.") var profile: String
        @Option(help: "Type of the event.") var eventType = DestinationTest.eventType
        @Option(help: ArgumentHelp("Its payload: JSON, @file, or - for standard input.", valueName: "json"))
        var data = #"{"test": true}"#
        @OptionGroup var secretOptions: SecretOptions
        @Option(help: "Kind of a generated secret: hmac, or ed25519 where the profile has it (hmac).")
        var signature: SignatureKind?
        @Option(help: ArgumentHelp("Time of the request, for a result that stays the same (now).", valueName: "unix-s"))
        var at: Int64?
        @Option(help: "Send it there, under the rules of workers.") var url: String?
        @OptionGroup var output: OutputOptions

        func validate() throws {
            // The times that ids can hold and dates of four digits can show.
            if let at, !(0...253_402_300_799).contains(at) { throw ValidationError("--at must be 0 to 253402300799") }
        }

        func run() async throws {
            let profile = try await ProfileLookup.profile(profile)
            let secret = try NewSecret(given: secretOptions.secret(for: profile), kind: signature, for: profile)
            let sample = try ProfileSample(
                profile: profile, secret: profile.signature == nil ? nil : secret.text(for: profile),
                url: url ?? "https://receiver.invalid/", eventType: eventType, data: Payload.read(data),
                unixSeconds: at ?? Int64(Date().timeIntervalSince1970))
            let sent = try await send(sample)
            print(output.json ? sample.json(isGenerated: secret.given == nil, sent?.document) : sample.text)
            if !output.json {
                if secret.given == nil, let text = sample.secretText { print("secret, generated for this: \(text)") }
                if let sent { print("sent: \(sent.summary)") }
            }
            if let fault = sample.fault { throw CommandFailure.failed("a receiver cannot verify it: \(fault)") }
            if let sent, !sent.isDelivered { throw CommandFailure.failed("the request was not accepted") }
        }

        private func send(_ sample: ProfileSample) async throws -> DestinationTest? {
            guard let url else { return nil }
            _ = try DestinationKind.url(url)
            return try await DestinationTest.send(sample.request, to: sample.destination, Settings.loadForCommand())
        }
    }
}

/// A request of a profile, as it is sent, and what a receiver makes of it.
struct ProfileSample {
    let destination: Destination
    let request: PreparedRequest
    let secretText: String?
    /// What a receiver signs to compare; nil for a profile that does not sign, or when it cannot know.
    let signed: [UInt8]?
    /// Why a receiver cannot verify it; nil when it can, and for profiles that do not sign.
    let fault: String?

    /// Builds the request and verifies it.
    ///
    /// - Throws: ``CommandFailure`` with what is wrong with the profile, the secret or the event.
    init(
        profile: Profile, secret: String?, url: String, eventType: String, data: [UInt8], unixSeconds: Int64
    ) throws {
        let secrets: [Secret]
        do {
            try EventType.validate(eventType)
            secrets = try secret.map { [try Secret($0, form: profile.secretForm)] } ?? []
            destination = try Destination(
                id: 1, uuid: "00000000-0000-4000-8000-000000000001", name: "sample", url: DestinationURL(url),
                patterns: [], profile: profile, secrets: secrets)
            let id = EventID(high: UInt64(unixSeconds * 1000) << 16 | 0x7000, low: 0x8000_0000_0000_0001)
            let event = Event(
                id: id, type: eventType, createdAtMicroseconds: unixSeconds * 1_000_000, organization: "acme",
                user: "u-1", recordID: "17", data: data)
            var builder = RequestBuilder()
            request = try builder.request(
                event: event, destination: destination, deliveryID: DeliveryID.text(event: id, destination: 1),
                attempt: 1, unixSeconds: unixSeconds)
        } catch {
            throw CommandFailure.failed("\(error)")
        }
        secretText = secret
        guard profile.signature != nil else {
            (signed, fault) = (nil, nil)
            return
        }
        let verifier = try RequestVerifier(profile: profile, secrets: secrets)
        let headers = request.headers.map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (name: String(parts[0]), value: String(parts[1].dropFirst()))
        }
        var found: [UInt8]?
        var problem: String?
        do {
            found = try verifier.signedBytes(headers: headers, body: request.body)
            try verifier.verify(headers: headers, body: request.body, unixSeconds: unixSeconds)
        } catch {
            problem = error.description
        }
        (signed, fault) = (found, problem)
    }

    /// The request and the judgement for people.
    var text: String {
        var lines = request.headers + ["", String(decoding: request.body, as: UTF8.self), ""]
        if let signed { lines.append("signed: \(String(decoding: signed, as: UTF8.self))") }
        if destination.profile.signature == nil {
            lines.append("verified: this profile does not sign")
        } else {
            lines.append(fault.map { "verified: no: \($0)" } ?? "verified: yes")
        }
        return lines.joined(separator: "\n")
    }

    /// The same for machines, with what came of sending it.
    func json(isGenerated: Bool, _ sent: Document?) -> String {
        let told: Document = [
            "profile": destination.profile.name, "headers": request.headers,
            "body": String(decoding: request.body, as: UTF8.self),
            "signed": signed.map { String(decoding: $0, as: UTF8.self) },
            "verified": destination.profile.signature != nil && fault == nil, "fault": fault,
            "secret": isGenerated ? secretText : nil,
            "public_key": destination.secrets.first?.publicKeyText,
        ]
        return Record(told.merging(sent ?? [:]) { $1 }).text
    }
}
