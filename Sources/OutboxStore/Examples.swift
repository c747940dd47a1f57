// The example systems under sql/examples, for programs that are not psql. Read by `postrider demo`.

/// SQL files of the example systems.
public enum Examples {
    /// The text of a file, ready for a script: without psql's own commands, its variables filled in as literals.
    ///
    /// - Parameters:
    ///   - path: the path below `sql/examples`, for example `agentes/domain.sql`.
    ///   - variables: values of what the file writes as `:'name'`; no secrets, servers log scripts.
    /// - Returns: the text; nil when there is no such file.
    public static func script(_ path: String, variables: [String: String] = [:]) -> String? {
        guard let file = SQLFiles.examples[path] else { return nil }
        var lines = file.split(separator: "\n", omittingEmptySubsequences: false)
        lines.removeAll { $0.drop { $0 == " " }.hasPrefix("\\") }
        var text = lines.joined(separator: "\n")
        for (name, value) in variables { text = replace(":'\(name)'", by: literal(value), in: text) }
        return text
    }

    /// A literal under `standard_conforming_strings`, which is on unless somebody wants trouble.
    private static func literal(_ value: String) -> String {
        "'" + value.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }

    private static func replace(_ mark: String, by value: String, in text: String) -> String {
        text.split(separator: mark, omittingEmptySubsequences: false).joined(separator: value)
    }
}
