// What `endpoints rotate-secret` and `n8n rotate-secret` do.

internal import FoundationEssentials
internal import Outbox

extension DestinationKind {
    /// Gives a destination a new secret and tells what its receiver has to know.
    func rotate(
        _ name: String, overlap: TimeArgument, _ options: SecretOptions, _ newOptions: NewSecretOptions, json: Bool
    ) async throws {
        try await Session.with { session in
            let record = try await find(name, session)
            let profile = try await session.profile(record["profile"])
            guard profile.signature != nil else {
                throw CommandFailure.failed("profile \(profile.name) does not sign, so a secret is of no use")
            }
            let secret = try newOptions.secret(given: options.secret(for: profile), for: profile)
            let answer = try await SecretWriter(session).rotate(
                id: record["id"], secret, profile, overlap: overlap.milliseconds)
            Self.tellCreated(answer, hadSecret: secret.given != nil, json: json)
            Session.remark(Self.consequence(profile, hadSecret: !record["secret"].isEmpty, overlap: overlap))
        }
    }

    /// Tells when secrets that are there are read in another way from now on.
    static func remarkForm(of found: Record, _ new: Profile, _ session: Session) async throws {
        guard !found["secret"].isEmpty, let old = try await session.usableProfile(found["profile"]) else { return }
        guard old.secretForm != new.secretForm else { return }
        Session.remark(
            "note: profile \(new.name) reads secrets in another form than \(old.name): rotate-secret. "
                + mismatch(new.secretForm))
    }

    /// What becomes of secrets that were made for another form. Any text is a secret of the others.
    static func mismatch(_ form: SecretForm) -> String {
        form == .standard
            ? "A secret that does not fit is not signed with: workers disable its destination, nothing is sent until it has "
                + "a new one, and then enable it again"
            : "Until then requests may not be signed as the receiver expects"
    }

    /// What receivers get from now on.
    static func consequence(_ profile: Profile, hadSecret: Bool, overlap: TimeArgument) -> String {
        guard hadSecret else { return "from now on requests are signed with it" }
        guard profile.signature?.separator != nil else {
            return "note: profile \(profile.name) has room for one signature: from now on the new secret alone signs, "
                + "and the receiver must accept it at once"
        }
        guard overlap.milliseconds > 0 else { return "from now on the new secret alone signs" }
        let end = Date().addingTimeInterval(overlap.seconds).formatted(.iso8601)
        return "both secrets sign until \(end), then the new one alone"
    }
}
