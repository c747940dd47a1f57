// The file of settings that POSTRIDER_CONFIG_FILE names. Read by Settings.

internal import Configuration
internal import Outbox

/// A JSON file as a provider of settings; swift-configuration's own would bring all of Foundation into every worker.
enum ConfigFile {
    /// The settings of a file: texts, numbers and truth values in objects within objects, the names of which make the key. A
    /// name with dots is as good as objects within objects, as with swift-configuration's own.
    ///
    /// - Returns: the provider, and the keys that the file has, as ``Setting/key`` writes them.
    /// - Throws: ``CommandFailure`` when the file cannot be read, holds something else, or a key twice.
    static func provider(_ path: String) throws -> (provider: InMemoryProvider, keys: [String]) {
        guard let members = try? JSONValue(parsing: FileContents.bytes(path)).members else {
            throw CommandFailure.failed("POSTRIDER_CONFIG_FILE: \(path) cannot be read as JSON")
        }
        var values: [AbsoluteConfigKey: ConfigValue] = [:]
        var keys: [String] = []
        try add(members, at: [], to: &values, &keys)
        return (InMemoryProvider(name: path, values: values), keys)
    }

    private static func add(
        _ members: [String: JSONValue], at place: [String], to values: inout [AbsoluteConfigKey: ConfigValue],
        _ keys: inout [String]
    ) throws {
        for (name, value) in members {
            let key = place + name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
            let told = key.joined(separator: ".")
            switch value {
            case .object(let members): try add(members, at: key, to: &values, &keys)
            case .string, .number, .bool:
                // The value itself is nowhere told: which ones are secret, the settings know.
                let text = ConfigValue(.string(value.string ?? value.line), isSecret: true)
                guard values.updateValue(text, forKey: AbsoluteConfigKey(key)) == nil else {
                    throw CommandFailure.failed("POSTRIDER_CONFIG_FILE: \(told) is there twice")
                }
                keys.append(told)
            case .array, .null:
                throw CommandFailure.failed("POSTRIDER_CONFIG_FILE: \(told) is neither text, number nor truth value")
            }
        }
    }
}
