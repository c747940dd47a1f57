// A set of paths, walked together with a payload. Part of templates.

/// Paths by their names, one level after the other.
struct PathTree: Sendable, Equatable {
    /// Whether a path ends here.
    private(set) var isEnd = false
    /// What follows each name.
    private(set) var children: [ArraySlice<UInt8>: PathTree] = [:]

    private init() {}

    /// Reads a list of paths.
    ///
    /// - Throws: `OptionError`.
    init(_ value: JSONValue) throws(OptionError) {
        guard case .array(let paths) = value, !paths.isEmpty else { throw OptionError("expected a list of paths") }
        for path in paths { add(try PayloadPath(try path.string()).names[...]) }
    }

    private mutating func add(_ names: ArraySlice<[UInt8]>) {
        guard let name = names.first else {
            isEnd = true
            return
        }
        children[name[...], default: PathTree()].add(names.dropFirst())
    }
}
