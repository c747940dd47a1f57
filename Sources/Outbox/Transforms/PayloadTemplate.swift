// What of a payload a destination gets, and under which names. Read from the option `transform`, applied by the routing table
// of the worker before the envelope is written. docs/options.md tells the rules.

/// A declarative transform: fields that stay, fields that go, fields renamed, constants; in this order.
///
/// A class, so that a destination without one pays eight bytes.
public final class PayloadTemplate: Sendable, Equatable {
    /// Only these stay; nil for all.
    private let included: PathTree?
    /// These go; nil for none.
    private let omitted: PathTree?
    private let renames: [Rename]
    private let constants: [Constant]

    /// Moves a value within each object that both paths have in common.
    struct Rename: Sendable, Equatable {
        let scope: ArraySlice<[UInt8]>
        let from: ArraySlice<[UInt8]>
        let target: ArraySlice<[UInt8]>
    }

    /// A value that is the same in every payload, as JSON text.
    struct Constant: Sendable, Equatable {
        let path: PayloadPath
        let text: [UInt8]
    }

    /// Reads a template.
    ///
    /// - Throws: `OptionError` that names the member at fault.
    public init(_ value: JSONValue) throws(OptionError) {
        let members = try value.members(["include", "omit", "rename", "set"])
        guard !members.isEmpty else { throw OptionError("a transform needs include, omit, rename or set") }
        included = try Self.read("include", members) { value throws(OptionError) in try PathTree(value) }
        omitted = try Self.read("omit", members) { value throws(OptionError) in try PathTree(value) }
        renames = try Self.read("rename", members) { value throws(OptionError) in try Self.renames(value) } ?? []
        constants = try Self.read("set", members) { value throws(OptionError) in try Self.constants(value) } ?? []
    }

    /// Reads a template's text.
    ///
    /// - Throws: `OptionError`.
    public convenience init(parsing text: [UInt8]) throws(OptionError) { try self.init(JSONValue(parsing: text)) }

    /// The payload as the destination gets it: JSON, numbers as they were written.
    ///
    /// - Throws: `PayloadError` for a payload that is neither object nor array, or is nested too deeply on the way of a path.
    public func apply(to payload: ParsedPayload) throws(PayloadError) -> [UInt8] {
        var draft = PayloadDraft(payload.document)
        guard draft.isContainer(draft.root) else {
            throw PayloadError("a transform needs a payload that is an object or a list")
        }
        if let included { try draft.keep(included) }
        if let omitted { try draft.remove(omitted) }
        for rename in renames { try draft.move(rename) }
        for constant in constants { try draft.put(constant.text, at: constant.path) }
        return draft.text()
    }

    /// Equal when they do the same.
    public static func == (left: PayloadTemplate, right: PayloadTemplate) -> Bool {
        left.included == right.included && left.omitted == right.omitted && left.renames == right.renames
            && left.constants == right.constants
    }
}

// MARK: Reading

extension PayloadTemplate {
    private static func read<Result>(
        _ name: String, _ members: [String: JSONValue], _ body: (JSONValue) throws(OptionError) -> Result
    ) throws(OptionError) -> Result? {
        guard let value = members[name] else { return nil }
        do { return try body(value) } catch { throw OptionError("\(name): \(error.reason)") }
    }

    private static func pairs(_ value: JSONValue, _ expected: String) throws(OptionError) -> [(PayloadPath, JSONValue)]
    {
        guard case .object(let members) = value, !members.isEmpty else { throw OptionError("expected \(expected)") }
        var pairs: [(PayloadPath, JSONValue)] = []
        for (name, value) in members.sorted(by: { $0.key < $1.key }) { pairs.append((try PayloadPath(name), value)) }
        return pairs
    }

    private static func renames(_ value: JSONValue) throws(OptionError) -> [Rename] {
        var paths: [(from: PayloadPath, target: PayloadPath)] = []
        for (from, target) in try pairs(value, "an object of old and new paths") {
            paths.append((from, try PayloadPath(try target.string())))
        }
        // Members of an object have no order, so no rename may depend on another.
        for (index, pair) in paths.enumerated() {
            guard pair.from != pair.target else { throw OptionError("a path is renamed to itself") }
            for other in paths[..<index] {
                let (mine, theirs) = ([pair.from, pair.target], [other.from, other.target])
                let isApart = mine.allSatisfy { one in !theirs.contains { $0.covers(one) || one.covers($0) } }
                guard isApart else { throw OptionError("two renames touch the same path") }
            }
        }
        return paths.map { from, target in
            let common = zip(from.names.dropLast(), target.names.dropLast()).prefix { $0 == $1 }.count
            return Rename(
                scope: from.names[..<common], from: from.names[common...], target: target.names[common...])
        }
    }

    private static func constants(_ value: JSONValue) throws(OptionError) -> [Constant] {
        var constants: [Constant] = []
        for (path, value) in try pairs(value, "an object of paths and values") {
            guard !constants.contains(where: { $0.path.covers(path) || path.covers($0.path) }) else {
                throw OptionError("two paths lead to the same place")
            }
            constants.append(Constant(path: path, text: value.text(.spaced)))
        }
        return constants
    }
}
