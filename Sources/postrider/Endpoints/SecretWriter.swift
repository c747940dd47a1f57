// How commands write secrets: sealed before they are sent when there are keys, so that neither the statement's
// parameters nor the server's log ever hold one.

internal import Outbox
internal import OutboxStore
internal import Postgres

/// Creates and changes destinations with their secrets.
struct SecretWriter {
    /// Stands in the row until the sealed secret does, within one transaction: the row's number must be known first.
    private static let placeholder = "(comes with the same transaction)"

    private let session: Session

    init(_ session: Session) { self.session = session }

    /// Creates a destination.
    ///
    /// - Parameters:
    ///   - document: the columns, without the secret.
    ///   - secret: the secret; nil to generate one, unless the profile is n8n's, which checks none by itself.
    /// - Returns: what was created, with its secret.
    /// - Throws: ``CommandFailure``, `PostgresError`.
    func create(
        _ request: AdminRequest, _ document: [String: Any?], secret: String?, profile: Profile
    ) async throws -> Record {
        var document = document
        guard let keys = session.keys else {
            document["secret"] = secret
            return try only(await session.run(request, document))
        }
        let secret = secret ?? (profile.name == "n8n" ? nil : generated(for: profile))
        let headers = document["headers"] as? [String: String] ?? [:]
        let credentials = headers.filter { HeaderField.holdsCredential($0.key) && !$0.value.isEmpty }
        if !credentials.isEmpty { document["headers"] = headers.filter { credentials[$0.key] == nil } }
        document["secret"] = secret == nil ? nil : Self.placeholder
        let columns = document
        return try await Transaction.run(on: session.raw) {
            let record = try only(await session.run(request, columns))
            guard let number = record.number("destination_id") else {
                throw CommandFailure.failed("the destination has no number")
            }
            try await SecretStore.place(
                destination: Int32(number), secret: secret, headers: credentials, with: keys, on: session.raw)
            return try record.replacing("secret", with: secret)
        }
    }

    /// Changes columns of a destination.
    ///
    /// - Parameter found: the destination as it is listed.
    /// - Throws: `PostgresError`.
    func update(_ request: AdminRequest, _ changes: [String: Any?], of found: Record) async throws -> [Record] {
        var document = changes
        document["id"] = found["id"]
        if let keys = session.keys, let headers = changes["headers"] as? [String: String],
            let number = found.number("destination_id")
        {
            document["headers"] = try SecretStore.seal(headers: headers, of: Int32(number), with: keys)
        }
        return try await session.run(request, document)
    }

    /// Gives a destination a new secret beside the old one.
    ///
    /// - Parameters:
    ///   - secret: the new secret; nil to generate one.
    ///   - overlap: how long the old one signs too, in milliseconds.
    /// - Returns: a record with the new secret.
    /// - Throws: ``CommandFailure``, `PostgresError`.
    func rotate(id: String, secret: String?, profile: Profile, overlap: Int64) async throws -> Record {
        guard let keys = session.keys else {
            return try only(
                await session.run(.secretRotate, ["id": id, "secret": secret, "overlap_ms": overlap]))
        }
        let secret = secret ?? generated(for: profile)
        return try await Transaction.run(on: session.raw) {
            guard let sealed = try await SecretStore.sealNext(secret: secret, of: id, with: keys, on: session.raw)
            else { throw CommandFailure.notFound("there is no endpoint \(id)") }
            let answer = try await session.run(
                .secretRotate, ["id": id, "secret": sealed, "overlap_ms": overlap])
            return try only(answer).replacing("secret", with: secret)
        }
    }

    private func generated(for profile: Profile) -> String {
        var generator = SystemRandomNumberGenerator()
        return Secret.generate(form: profile.secretForm, using: &generator).reveal()
    }

    private func only(_ records: [Record]) throws -> Record {
        guard let record = records.first else { throw CommandFailure.failed("the database gave no answer") }
        return record
    }
}
