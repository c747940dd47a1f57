// Which keys are the right ones of their names. Asked by everything that seals before it does, and by workers at each load.

public import Outbox
public import Postgres

/// A proof for each name that was ever sealed under, written once by whoever came first and compared by all others.
public enum KeyStore {
    /// How the proofs of a ring's names stand. Names without a proof are in neither set.
    public struct Proofs: Sendable, Equatable {
        /// Names whose proof opens: the key is the one that seals under that name.
        public internal(set) var opened: Set<String> = []
        /// Names whose proof does not open: the key is another one.
        public internal(set) var unopened: Set<String> = []

        /// No proof.
        public init() {}
    }

    /// Compares the keys of a ring with their proofs (`KeyProofLoad`), and writes nothing.
    ///
    /// - Throws: `PostgresError`.
    public static func load(_ keys: KeyRing, on connection: Connection) async throws -> Proofs {
        var proofs = Proofs()
        for row in try await connection.query(Queries.keyProofLoad.plannedAnew, [.texts(keys.names)]) {
            let name = try row.string(0)
            if keys.isProven(by: try row.string(1), name: name) {
                proofs.opened.insert(name)
            } else {
                proofs.unopened.insert(name)
            }
        }
        return proofs
    }

    /// The same, after the proof of the first key was written where there was none.
    ///
    /// Any number may run at once, with other keys of the same name too: the first to commit wins, the others wait for it and
    /// compare with what it wrote.
    ///
    /// - Throws: `PostgresError`; `SealingError`, never for a ring.
    public static func claim(_ keys: KeyRing, on connection: Connection) async throws -> Proofs {
        let found = try await load(keys, on: connection)
        guard !found.opened.contains(keys.first), !found.unopened.contains(keys.first) else { return found }
        try await connection.query(
            Queries.keyProofAdd.plannedAnew, [.text(keys.first), .text(SealedSecret.proof(ofFirst: keys))])
        // A statement of its own: of two who write at once the second sees only now what stands there.
        return try await load(keys, on: connection)
    }

    /// Makes sure that the first key is the one that seals under its name. Called before anything is sealed; within a
    /// transaction too, with which a proof that was written comes and goes.
    ///
    /// - Throws: `SealingError.wrongKey`; `PostgresError`.
    public static func check(_ keys: KeyRing, on connection: Connection) async throws {
        guard try await claim(keys, on: connection).opened.contains(keys.first) else {
            throw SealingError.wrongKey(keys.first)
        }
    }
}
