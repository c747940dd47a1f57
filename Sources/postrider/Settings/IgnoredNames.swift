// Names that look like settings and are none: a misspelled setting has its default, and nothing else tells of it. Asked by
// Settings.

internal import Outbox

/// Finds names that nobody reads.
enum IgnoredNames {
    private static let prefix = "POSTRIDER_"

    /// How the names begin that the demo, tests and scripts set for themselves.
    private static let ours = [
        "POSTRIDER_CHAOS", "POSTRIDER_DEMO_", "POSTRIDER_FAILPOINTS", "POSTRIDER_SANITIZER", "POSTRIDER_TEST_",
    ]

    /// The variables of an environment and the members of a file of settings that are ignored, in order, each with the setting
    /// that may be meant; never a value.
    ///
    /// - Parameters:
    ///   - environment: all of it; a variable without text is as good as none.
    ///   - keys: what the file has, as ``Setting/key`` writes it. All of it is looked at: nobody else reads the file.
    ///   - named: variables that destinations or options of the command may name, whatever they are called.
    static func all(environment: [String: String], keys: [String], named: some Collection<String>) -> [String] {
        let variables = environment.filter { name, value in
            name.hasPrefix(prefix) && ReferenceText.isName(name) && !value.isEmpty && !isKnown(name)
                && !named.contains(name)
        }
        let members = keys.filter { key in !Setting.all.contains { $0.key == key } }
        return variables.keys.sorted().map { told($0, nearest(to: $0)?.variable) }
            + members.sorted().map { told($0, nearest(to: variable(of: $0))?.key) }
    }

    private static func variable(of key: String) -> String { key.uppercased().replacing(".", with: "_") }

    /// Whether a name is a setting, one of the demo's, a test's or a script's, or what Kubernetes tells of a service whose name
    /// begins with ours.
    static func isKnown(_ name: String) -> Bool {
        Setting.all.contains { $0.variable == name } || ours.contains { name.hasPrefix($0) }
            || name.hasSuffix("_SERVICE_HOST") || name.contains("_SERVICE_PORT")
            || name.hasSuffix("_PORT") || name.contains("_PORT_")
    }

    private static func told(_ name: String, _ meant: String?) -> String {
        name + (meant.map { " (\($0)?)" } ?? "")
    }

    /// The setting that differs in one letter of four at most, also when only the prefix is too much.
    private static func nearest(to name: String) -> Setting? {
        let rest = name.hasPrefix(prefix) ? name.dropFirst(prefix.count) : name[...]
        let distances = Setting.all.map { setting in
            let known = Array(setting.variable.utf8)
            return (setting: setting, value: min(distance(Array(name.utf8), known), distance(Array(rest.utf8), known)))
        }
        guard let best = distances.min(by: { $0.value < $1.value }) else { return nil }
        return best.value <= max(1, rest.utf8.count / 4) ? best.setting : nil
    }

    /// How many letters must be put in, taken out or replaced (Levenshtein).
    private static func distance(_ one: [UInt8], _ other: [UInt8]) -> Int {
        var row = Array(0...other.count)
        for (line, letter) in one.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for (column, counterpart) in other.enumerated() {
                let above = row[column + 1]
                row[column + 1] = min(above + 1, row[column] + 1, diagonal + (letter == counterpart ? 0 : 1))
                diagonal = above
            }
        }
        return row[other.count]
    }
}
