// Loads all destinations with their secrets. Called by the worker when the routing's version moves.

public import Outbox
public import Postgres

/// All destinations as they were at one version.
public struct Routing: Sendable {
    /// `webhook_routing.version` read before the destinations, so they are at least as new.
    public let version: Int64
    /// Every destination that is not deleted, ascending by id; inactive ones too, because their deliveries are parked.
    public let destinations: [Destination]
    /// How many bytes of an answer each keeps with the attempt, by destination id.
    public let keptResponseBytes: [Int32: Int]
    /// Rows that no request can be made of, for example written by hand. Each stands among ``destinations`` as an
    /// inactive one, so that its deliveries are parked and not lost.
    public let faults: [Fault]

    /// A row that cannot be used.
    public struct Fault: Sendable {
        /// `webhook_destinations.id`.
        public let destination: Int32
        /// What is wrong, for people; never holds a secret.
        public let reason: String
        /// Whether it was active, so that somebody should be told.
        public let wasActive: Bool
    }

    /// No destinations, version 0.
    public static let empty = Routing(version: 0, destinations: [], keptResponseBytes: [:], faults: [])
}

/// Reads and switches destinations for workers.
public enum RoutingStore {
    /// The step that asks for the routing's version; put behind a claim, its answer is at least as new as the claim.
    public static func version() -> Step { Step(Queries.routingVersion) }

    /// Loads every destination.
    ///
    /// - Throws: `PostgresError`.
    public static func load(on connection: Connection) async throws -> Routing {
        let results = try await connection.pipeline([
            version(), Step(Queries.destinationLoad), Step(Queries.secretLoad),
        ])
        var secrets: [Int32: [String]] = [:]
        for index in 0..<results[2].count {
            let row = results[2][index]
            secrets[Int32(try row.int(0)), default: []].append(try row.string(1))
        }
        var destinations: [Destination] = []
        var kept: [Int32: Int] = [:]
        var faults: [Routing.Fault] = []
        for index in 0..<results[1].count {
            let row = try DestinationRow(results[1][index])
            kept[row.id] = row.keptResponseBytes
            do {
                destinations.append(try row.destination(secrets: secrets[row.id] ?? []))
            } catch {
                faults.append(Routing.Fault(destination: row.id, reason: "\(error)", wasActive: row.isActive))
                if let parked = row.parkedDestination() { destinations.append(parked) }
            }
        }
        return Routing(
            version: try results[0][0].int64(0), destinations: destinations, keptResponseBytes: kept, faults: faults)
    }

    /// Makes a destination inactive, if it is active (`DestinationDisable`).
    ///
    /// - Throws: `PostgresError`.
    public static func disable(destination: Int32, reason: String, on connection: Connection) async throws {
        _ = try await connection.query(Queries.destinationDisable, [.int4(destination), .text(reason)])
    }
}
