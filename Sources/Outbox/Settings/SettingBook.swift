// What `${NAME}` stands for, and for whom. Filled by the store with each load of the destinations; asked for each of them.

/// Whose settings a destination may use: its organization's, or the operator's own when it has neither organization nor
/// user. Otherwise whoever may write destinations of one organization could have the values of another sent to himself.
public struct SettingScope: Sendable, Equatable {
    /// The organization; nil when there is none.
    public let organization: String?
    /// Whether it is the operator's own.
    public let isOperators: Bool

    /// The scope of a destination.
    public init(organization: String?, user: String?) {
        self.organization = organization
        isOperators = organization == nil && user == nil
    }

    /// What gives a name a value for the destinations of the scope.
    func cure(for name: String) -> String {
        if isOperators { return "postrider settings set \(name), or POSTRIDER_EXPOSE of the worker" }
        let own = organization.map { "--organization \($0.debugDescription) or " } ?? ""
        return "postrider settings set \(name) with \(own)--shared, or \(name):shared in POSTRIDER_EXPOSE of the worker"
    }
}

/// What a process lets destinations use of its own: nothing, unless the operator says so.
public struct ProcessGrants: Sendable, CustomStringConvertible, CustomReflectable {
    /// A variable of the environment that destinations may name.
    public struct Variable: Sendable {
        let value: String
        let isShared: Bool

        /// Makes a variable; shared ones may be named by destinations of every organization.
        public init(_ value: String, isShared: Bool = false) {
            self.value = value
            self.isShared = isShared
        }
    }

    /// Variables by name.
    public var variables: [String: Variable]
    /// Proxies as `host:port` in lower case, and whether destinations of every organization may name them.
    public var proxies: [String: Bool]
    /// Gives the text of a file of the folder for certificates and keys, by its name.
    public var readFile: @Sendable (String) throws(SettingFault) -> String

    /// Makes grants.
    public init(
        variables: [String: Variable] = [:], proxies: [String: Bool] = [:],
        readFile: @escaping @Sendable (String) throws(SettingFault) -> String = Self.noFile
    ) {
        self.variables = variables
        self.proxies = proxies
        self.readFile = readFile
    }

    /// Nothing.
    public static let none = ProcessGrants()

    /// Reads no file and says which setting would allow it.
    public static let noFile: @Sendable (String) throws(SettingFault) -> String = { (_) throws(SettingFault) in
        throw SettingFault("it names a file, and POSTRIDER_TLS_FOLDER is not set")
    }

    /// The value of a variable that destinations of a scope may name; nil for others.
    public func value(of name: String, for scope: SettingScope) -> String? {
        guard let variable = variables[name], scope.isOperators || variable.isShared else { return nil }
        return variable.value
    }

    /// The names alone.
    public var description: String {
        "ProcessGrants(\(variables.keys.sorted().joined(separator: ", ")))"
    }
    /// A mirror of the names alone.
    public var customMirror: Mirror { Mirror(self, children: ["variables": variables.keys.sorted()]) }
}

/// All settings, and what the process adds to them.
public struct SettingBook: Sendable, CustomStringConvertible, CustomReflectable {
    private struct Entry: Sendable {
        let value: Result<String, SettingFault>
        let isShared: Bool
    }

    /// What the process lets destinations use.
    public let grants: ProcessGrants
    /// By organization, nil for the operator's own, then by name.
    private var entries: [ExactText?: [String: Entry]] = [:]

    /// A book with no settings but what the process grants.
    public init(grants: ProcessGrants = .none) { self.grants = grants }

    /// Adds a setting: its value, or why it cannot be read.
    public mutating func add(
        _ name: String, organization: String?, isShared: Bool, _ value: Result<String, SettingFault>
    ) {
        let owner = organization.map { ExactText($0) }
        entries[owner, default: [:]][name] = Entry(value: value, isShared: isShared)
    }

    /// The value of a name for a destination: of its organization first, then of the operator, then of the environment.
    ///
    /// - Throws: ``SettingFault`` that names it. What exists and may not be used is told like what does not exist.
    public func value(of name: String, for scope: SettingScope) throws(SettingFault) -> String {
        if let organization = scope.organization, let own = entries[ExactText(organization)]?[name] {
            return try own.value.get()
        }
        if let common = entries[nil]?[name], scope.isOperators || common.isShared { return try common.value.get() }
        if let granted = grants.value(of: name, for: scope) { return granted }
        let whose = scope.organization.map { " for organization \($0.debugDescription)" } ?? ""
        throw SettingFault("${\(name)} has no value\(whose): \(scope.cure(for: name))")
    }

    /// How many settings there are; none of them.
    public var description: String { "SettingBook(\(entries.values.reduce(0) { $0 + $1.count }) settings)" }
    /// A mirror without children.
    public var customMirror: Mirror { Mirror(self, children: EmptyCollection<Mirror.Child>()) }
}
