// The statements of sql/queries with what their headings promise.

import Foundation

/// One statement of `sql/queries`.
struct NamedQuery {
    /// The name of its file, without folder and extension.
    let file: String
    let name: String
    /// The indexes that its heading names; empty for "none".
    let indexes: [String]
    let sql: String

    /// Every statement, by name.
    static func all() throws -> [String: NamedQuery] {
        var found: [String: NamedQuery] = [:]
        for file in try Shell.files(in: "sql/queries", suffix: ".sql") {
            let text = try String(contentsOf: file, encoding: .utf8)
            for part in text.components(separatedBy: "-- name: ").dropFirst() {
                let query = NamedQuery(part, file: file.deletingPathExtension().lastPathComponent)
                found[query.name] = query
            }
        }
        return found
    }

    /// Reads what follows `-- name: `.
    private init(_ part: String, file: String) {
        self.file = file
        let lines = part.split(separator: "\n", omittingEmptySubsequences: false)
        name = String(lines[0].prefix { $0 != " " })
        let heading = lines.dropFirst().prefix { $0.hasPrefix("--") }
        let index = heading.first { $0.hasPrefix("-- index:") } ?? ""
        let isNone = index.hasPrefix("-- index: none")
        indexes = isNone ? [] : index.matches(of: /webhook_\w+_(?:pkey|idx)/).map { String($0.output) }
        // The last statement of the part ends where the last semicolon does; what follows is a comment.
        let body = lines.dropFirst(1 + heading.count).joined(separator: "\n")
        sql = String(body[..<(body.lastIndex(of: ";") ?? body.endIndex)])
    }
}
