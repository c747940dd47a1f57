// Whether the headers of a destination can be sent beside those of its profile and of its option `auth`. Asked by `create`
// and `update` before anything is stored: workers disable a destination that has a header twice.

internal import Outbox

/// Compares headers with what is sent anyway.
enum DestinationHeaders {
    /// Checks a new destination, or with what stays of it one that changes.
    ///
    /// - Throws: ``CommandFailure`` with the header that would be there twice.
    static func check(_ changes: Document, of found: Record? = nil, for profile: Profile) throws {
        let given = changes["headers"] as? [String: String]
        let stored = found?.value("headers")?.members
        let names = given.map { Array($0.keys) } ?? stored.map { Array($0.keys) } ?? []
        do {
            try Destination.checkHeaders(
                names.sorted() + (authentication(changes, found).map { [$0] } ?? []), of: profile)
        } catch {
            throw CommandFailure.failed("\(error)")
        }
    }

    /// Checks a change that concerns headers.
    ///
    /// - Parameter found: the destination as it is listed.
    /// - Throws: ``CommandFailure``, also when there is no profile of the new name; `PostgresError`.
    static func check(_ changes: Document, of found: Record, _ session: Session) async throws {
        if let name = changes["profile"] as? String {
            return try check(changes, of: found, for: await session.profile(name))
        }
        let options = changes["options"] as? [String: JSONValue]
        guard changes["headers"] != nil || options?["auth"] != nil else { return }
        // A profile that stays and cannot be used is a fault of its own.
        guard let profile = try await session.usableProfile(found["profile"]) else { return }
        try check(changes, of: found, for: profile)
    }

    /// The header of the option `auth`; nil when there is none, or no more.
    private static func authentication(_ changes: Document, _ found: Record?) -> String? {
        let given = changes["options"] as? [String: JSONValue]
        let stored = found?.value("options")?.members
        guard let value = given?["auth"] ?? stored?["auth"] else { return nil }
        return try? DeliveryOptions(name: "auth", value: value).authenticationHeader
    }
}
