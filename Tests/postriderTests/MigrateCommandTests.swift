// `postrider migrate down`: nobody loses what was not named before.

import Foundation
import OutboxStore
import TestSupport
import Testing

@testable import postrider

@Suite struct MigrateCommandTests {
    @Test func whatIsLostIsToldBeforeItIsUndone() async throws {
        let database = try await TestCluster.freshDatabase()
        _ = try postrider(["migrate"], database: database)
        let unasked = try postrider(["migrate", "down", "--to", "12"], database: database)
        #expect(unasked.status == 1)
        #expect(unasked.errors.contains("Undoes 0014. Lost: the audit log, which persons were erased"))
        #expect(unasked.errors.contains("Undoes 0013. Lost: all settings"))
        let newest = try #require(Migration.all.last).version
        let nothing = try postrider(["migrate", "down", "--to", "\(newest)"], database: database)
        #expect(nothing.status == 0 && nothing.errors.isEmpty, "\(nothing)")
    }

    @Test func machinesAreToldOfEachMigration() async throws {
        let database = try await TestCluster.freshDatabase()
        func run(_ words: String...) throws -> [[String: Any]] {
            let result = try postrider(["migrate"] + words + ["--json"], database: database)
            #expect(result.status == 0, "\(words): \(result)")
            return try jsonLines(result.output)
        }
        let versions = Migration.all.map(\.version)
        let plan = try run("up", "--dry-run")
        #expect(plan.compactMap { $0["sql"] as? String } == Migration.all.map(\.up))
        #expect(try run("status").allSatisfy { $0["applied_at"] is NSNull })
        let applied = try run("up")
        #expect(applied.compactMap { $0["version"] as? Int } == versions && applied.allSatisfy { $0["action"] as? String == "apply" })
        #expect(applied.compactMap { $0["name"] as? String } == Migration.all.map(\.name) && applied.allSatisfy { $0["sql"] == nil })
        #expect(try run("up").isEmpty)
        let times = try run("status").compactMap { $0["applied_at"] as? String }
        #expect(times.count == versions.count && times.allSatisfy { Record.time($0) != nil }, "\(times)")
        let undone = try run("down", "--to", "0", "--yes")
        #expect(undone.compactMap { $0["version"] as? Int } == Array(versions.reversed()) && undone.allSatisfy { $0["action"] as? String == "undo" })
    }

    @Test(arguments: Migration.all.map(\.version)) func everyWayBackSaysWhatItDoes(version: Int) throws {
        let migration = try #require(Migration.all.first { $0.version == version })
        let heading = Migrate.Down.heading(of: migration)
        #expect(heading.contains("ndo"))
        // The number alone tells nobody what goes: whole sentences follow it.
        #expect(heading.split(separator: " ").count > 6 && heading.hasSuffix("."), "\(heading)")
    }
}
