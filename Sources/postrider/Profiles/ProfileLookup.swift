// Where commands get a profile from: the built-in ones, the database, a file.

internal import Outbox
internal import OutboxStore

extension Session {
    /// The profile of a name; a built-in one is known without asking the database.
    ///
    /// - Throws: ``CommandFailure`` that names the profiles there are; `PostgresError`.
    func profile(_ name: String) async throws -> Profile {
        if let profile = Profile.builtIn[name] { return profile }
        do {
            return try await ProfileStore.load(on: raw).profile(name)
        } catch let error as ProfileCatalogError {
            if case .unknown = error { throw CommandFailure.notFound(error.description) }
            throw CommandFailure.failed(error.description)
        }
    }

    /// The profile of a name; nil for one that is not there or cannot be used.
    ///
    /// - Throws: `PostgresError`.
    func usableProfile(_ name: String) async throws -> Profile? {
        do { return try await profile(name) } catch is CommandFailure { return nil }
    }
}

/// Finds a profile by what a user wrote: a name, or the path of a file with its JSON form.
enum ProfileLookup {
    /// Whether a word is a path: no name of a profile has a slash or a dot.
    static func isPath(_ word: String) -> Bool { word.contains("/") || word.contains(".") }

    /// The profile of a name or path. The database is asked only for names that are not built in.
    ///
    /// - Throws: ``CommandFailure``, `PostgresError`.
    static func profile(_ word: String) async throws -> Profile {
        if isPath(word) { return try file(word) }
        if let profile = Profile.builtIn[word] { return profile }
        return try await Session.with { try await $0.profile(word) }
    }

    /// The profile in a file.
    ///
    /// - Throws: ``CommandFailure`` with what is wrong.
    static func file(_ path: String) throws -> Profile {
        let data = try FileContents.given(path)
        do {
            return try Profile(parsing: data)
        } catch {
            throw CommandFailure.failed("\(path): \(error)")
        }
    }
}
