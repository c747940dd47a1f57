// `postrider attach` as people run it: the built program and a real database.

import Postgres
import TestSupport
import Testing

@testable import postrider

@Suite struct AttachCommandTests {
    @Test func listsMayHaveBlanksBehindTheirCommas() async throws {
        let database = try await TestCluster.freshDatabase()
        #expect(try postrider(["migrate"], database: database).status == 0)
        let connection = try await Connection.open(ConnectionSettings(url: database))
        _ = try await connection.script("CREATE TABLE deals (id int PRIMARY KEY, title text, note text)", name: "table")
        for (name, options) in [
            ("some", ["--operations", "insert, update", "--columns", "id , title"]),
            ("others", ["--operations", " update,delete", "--except", "note, title"]),
        ] {
            let result = try postrider(
                ["attach", "public.deals", "--event-type", "deal.changed", "--name", name] + options, database: database)
            #expect(result.status == 0 && result.text == name, "\(result.errors)")
        }
        let list = try postrider(["attachments", "list"], database: database).output
        #expect(list.contains("insert,update") && list.contains("delete,update"), "\(list)")
        await connection.close()
    }
}
