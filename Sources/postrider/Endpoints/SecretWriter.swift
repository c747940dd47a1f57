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
    ///   - secret: the secret; one is generated when none is given, unless the profile does not sign, or is n8n's, which
    ///     checks none by itself, and nobody asked for a certain one.
    /// - Returns: what was created, with its secret and its public key.
    /// - Throws: ``CommandFailure``, `PostgresError`.
    func create(
        _ request: AdminRequest, _ document: Document, _ secret: NewSecret, _ profile: Profile
    ) async throws -> Record {
        let needsNone = profile.name == "n8n" || profile.signature == nil
        let isUnsigned = needsNone && secret.given == nil && !secret.isAskedFor
        let text = try isUnsigned ? nil : secret.text(for: profile)
        return try await Transaction.run(on: session.raw) {
            let record = try await create(request, document, text: text)
            try await expire(secret, of: record["id"])
            return try Self.withPublicKey(record, of: text, profile)
        }
    }

    private func create(
        _ request: AdminRequest, _ document: Document, text secret: String?
    ) async throws -> Record {
        var document = document
        guard let keys = session.keys else {
            document["secret"] = secret
            return try only(await session.run(request, document))
        }
        let headers = document["headers"] as? [String: String] ?? [:]
        let credentials = headers.filter { HeaderField.holdsCredential($0.key) && !$0.value.isEmpty }
        if !credentials.isEmpty { document["headers"] = headers.filter { credentials[$0.key] == nil } }
        document["secret"] = secret == nil ? nil : Self.placeholder
        let columns = document
        let record = try only(await session.run(request, columns))
        guard let number = record.number("destination_id") else {
            throw CommandFailure.failed("the destination has no number")
        }
        try await SecretStore.place(
            destination: Int32(number), secret: secret, headers: credentials, with: keys, on: session.raw)
        return record.replacing("secret", with: secret)
    }

    /// Changes columns of a destination.
    ///
    /// - Parameter found: the destination as it is listed.
    /// - Throws: `PostgresError`.
    func update(_ request: AdminRequest, _ changes: Document, of found: Record) async throws -> [Record] {
        var document = changes
        document["id"] = found["id"]
        if let keys = session.keys, let headers = changes["headers"] as? [String: String],
            let number = found.number("destination_id")
        {
            document["headers"] = try await SecretStore.seal(
                headers: headers, of: Int32(number), with: keys, on: session.raw)
        }
        return try await Transaction.run(on: session.raw) {
            // Options are merged by name: of two who change one each, the second must see what the first has left.
            try await SecretStore.lock(destination: found["id"], on: session.raw)
            return try await session.run(request, document)
        }
    }

    /// Gives a destination a new secret beside the old one.
    ///
    /// - Parameters:
    ///   - secret: the new secret; one is generated when none is given.
    ///   - overlap: how long the old one signs too, in milliseconds.
    /// - Returns: a record with the new secret and its public key.
    /// - Throws: ``CommandFailure``, `PostgresError`.
    func rotate(id: String, _ secret: NewSecret, _ profile: Profile, overlap: Int64) async throws -> Record {
        let text = try secret.text(for: profile)
        return try await Transaction.run(on: session.raw) {
            var stored = text
            if let keys = session.keys {
                guard let sealed = try await SecretStore.sealNext(secret: text, of: id, with: keys, on: session.raw)
                else { throw CommandFailure.notFound("there is no endpoint \(id)") }
                stored = sealed
            }
            let answer = try only(
                await session.run(.secretRotate, ["id": id, "secret": stored, "overlap_ms": overlap]))
            try await expire(secret, of: id)
            return try Self.withPublicKey(answer.replacing("secret", with: text), of: text, profile)
        }
    }

    /// A record with what a receiver needs of an Ed25519 secret; as it is for all others.
    private static func withPublicKey(_ record: Record, of secret: String?, _ profile: Profile) throws -> Record {
        guard let secret, let key = try Secret(secret, form: profile.secretForm).publicKeyText else { return record }
        return record.replacing("public_key", with: key)
    }

    /// Writes down by when the newest secret should be replaced, when that was asked for.
    private func expire(_ secret: NewSecret, of id: String) async throws {
        guard let milliseconds = secret.expiresInMilliseconds else { return }
        _ = try await session.run(.secretExpire, ["id": id, "expires_in_ms": milliseconds])
    }

    private func only(_ records: [Record]) throws -> Record {
        guard let record = records.first else { throw CommandFailure.failed("the database gave no answer") }
        return record
    }
}
