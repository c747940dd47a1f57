// What a receiver makes of a request: by which profile it was sent, what it tells, and whether it is signed. Called for each
// request by `postrider listen` and by the demo's receivers. Pure: the time comes in as an argument.

internal import Outbox

/// What the check of a signature found.
enum SignatureVerdict: Sendable, Equatable {
    /// Signed with one of the secrets, and recently.
    case ok
    /// Signed, but not so; the reason in a few words, which never hold a secret or an expected signature.
    case bad(String)
    /// Not signed.
    case none
    /// Nobody gave a secret to check it with.
    case unchecked

    /// One word for machines: `ok`, `bad`, `none` or `unchecked`.
    var word: String {
        switch self {
        case .ok: "ok"
        case .bad: "bad"
        case .none: "none"
        case .unchecked: "unchecked"
        }
    }

    /// Why it is bad; nil otherwise.
    var reason: String? { if case .bad(let reason) = self { reason } else { nil } }
}

/// What a receiver knows of a request after it looked at it.
struct Inspection: Sendable, Equatable {
    /// The profile by which it was read; nil when none fits.
    var profile: String?
    /// The event's type; nil when neither header nor body tell it.
    var eventType: String?
    /// The event's id; nil when neither header nor body tell it.
    var eventID: String?
    var signature: SignatureVerdict
    /// What is in it when it is a batch; nil for one event.
    var batch: BatchContents?
}

/// Reads and verifies requests of one profile, or of whichever built-in profile fits a request best.
struct Verifier: Sendable {
    private let readers: [ProfileReader]

    /// Makes a verifier.
    ///
    /// - Parameters:
    ///   - profile: the only profile to expect; nil for all built-in ones.
    ///   - secrets: texts of the secrets, any of which may have signed; `whpk_` public keys too. Empty to check nothing.
    /// - Throws: `SecretError` when the one profile cannot use a secret.
    init(profile: Profile?, secrets: [String]) throws {
        if let profile {
            readers = [try ProfileReader(profile, secrets: secrets)]
        } else {
            // By name, so that the choice between equal fits does not depend on chance; but first the one whose headers
            // others share.
            let all = Profile.builtIn.values.sorted {
                ($0.name == "standard" ? 0 : 1, $0.name) < ($1.name == "standard" ? 0 : 1, $1.name)
            }
            // A secret that is not base64 is no secret of Standard Webhooks, but may be one of another profile.
            readers = try all.map { profile in
                do { return try ProfileReader(profile, secrets: secrets) } catch is SecretError {
                    return try ProfileReader(profile, secrets: [])
                }
            }
        }
    }

    /// Reads a request and checks its signature.
    ///
    /// - Parameters:
    ///   - request: the request.
    ///   - unixSeconds: now.
    func inspect(_ request: ReceivedRequest, unixSeconds: Int64) -> Inspection {
        let fits = readers.map { (reader: $0, fit: $0.fit(request)) }
        guard let best = fits.max(by: { $0.fit < $1.fit }), best.fit > 0 || readers.count == 1 else {
            return Inspection(signature: .none)
        }
        return best.reader.inspect(request, unixSeconds: unixSeconds)
    }
}

/// One profile as a receiver sees it.
private struct ProfileReader: Sendable {
    private let profile: Profile
    private let verifier: RequestVerifier
    private let headers: [String]
    /// The header with the signature; nil for profiles that do not sign.
    private let signatureHeader: String?
    private let idInBody: EnvelopePattern?
    private let typeInBody: EnvelopePattern?

    init(_ profile: Profile, secrets: [String]) throws(SecretError) {
        self.profile = profile
        verifier = try RequestVerifier(profile: profile, texts: secrets)
        headers = profile.headers.map { String($0.prefix { $0 != ":" }) }
        signatureHeader = zip(profile.headers, headers).first { $0.0.contains("{signature}") }?.1
        idInBody = EnvelopePattern("event.id", in: profile.envelope)
        typeInBody = EnvelopePattern("event.type", in: profile.envelope)
    }

    /// How many of the profile's headers a request has, and one more for its User-Agent; 0 unless all of its headers
    /// but the signature are there.
    func fit(_ request: ReceivedRequest) -> Int {
        let present = headers.count { request.header($0) != nil }
        guard present > 0, present + (signatureHeader == nil ? 0 : 1) >= headers.count else { return 0 }
        return present * 2 + (request.header("User-Agent") == profile.userAgent ? 1 : 0)
    }

    func inspect(_ request: ReceivedRequest, unixSeconds: Int64) -> Inspection {
        let reading = verifier.read(request.headers)
        var inspection = Inspection(
            profile: profile.name, eventType: reading.text("event.type"), eventID: reading.text("event.id"),
            signature: verdict(reading, request, unixSeconds))
        guard inspection.eventID == nil || inspection.eventType == nil || inspection.eventType == BatchContents.type
        else { return inspection }
        let body = try? JSONValue(payload: request.body)
        if let batch = BatchContents(body) {
            inspection.eventType = BatchContents.type
            inspection.batch = batch
        } else if let members = body?.members {
            inspection.eventID = inspection.eventID ?? idInBody?.value(in: members)
            inspection.eventType = inspection.eventType ?? typeInBody?.value(in: members)
        }
        return inspection
    }

    private func verdict(
        _ reading: RequestVerifier.Reading, _ request: ReceivedRequest, _ unixSeconds: Int64
    ) -> SignatureVerdict {
        guard let signatureHeader else { return .none }
        guard let signature = reading.text("signature"), !signature.isEmpty else {
            // A header that is there but has another form is a bad signature, not a missing one.
            return request.header(signatureHeader) == nil ? .none : .bad("\(signatureHeader) cannot be read")
        }
        guard verifier.hasSecrets else { return .unchecked }
        do {
            try verifier.verify(reading, body: request.body, unixSeconds: unixSeconds)
            return .ok
        } catch {
            return .bad(error.description)
        }
    }
}
