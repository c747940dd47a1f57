// `postrider migrate down`: nobody loses what was not named before.

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

    @Test(arguments: Migration.all.map(\.version)) func everyWayBackSaysWhatItDoes(version: Int) throws {
        let migration = try #require(Migration.all.first { $0.version == version })
        let heading = Migrate.Down.heading(of: migration)
        #expect(heading.contains("ndo"))
        // The number alone tells nobody what goes: whole sentences follow it.
        #expect(heading.split(separator: " ").count > 6 && heading.hasSuffix("."), "\(heading)")
    }
}
