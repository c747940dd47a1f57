// A payload being changed. Made by a template for one payload, written out once.

/// A payload of which only what a path touches is taken apart; the rest stays the text that it was.
///
/// An array on the way of a path stands for its elements, those of arrays within it too. What is nested deeper than
/// ``mostDepth`` on such a way is refused, so that recursion is bounded.
struct PayloadDraft {
    /// So deep is a payload followed; 128.
    static let mostDepth = 128

    /// A value.
    indirect enum Value {
        /// A node of the document, as it stands.
        case node(Int)
        /// JSON text from elsewhere.
        case text([UInt8])
        /// An object that was taken apart, members in order.
        case object([Member])
        /// An array that was taken apart.
        case array([Value])
    }

    /// A member of an object that was taken apart.
    struct Member {
        /// Decoded.
        let name: ArraySlice<UInt8>
        var value: Value
    }

    private let document: JSONDocument
    private(set) var root = Value.node(0)

    init(_ document: JSONDocument) { self.document = document }

    /// Whether a value is an object or an array.
    func isContainer(_ value: Value) -> Bool {
        switch value {
        case .node(let index): document.nodes[index].kind == .object || document.nodes[index].kind == .array
        case .text: false
        case .object, .array: true
        }
    }

    /// The value with its first level taken apart; of a repeated name the last member counts, as in Postgres.
    private func opened(_ value: Value, _ depth: Int) throws(PayloadError) -> Value {
        guard depth < Self.mostDepth else { throw PayloadError("the payload is nested too deeply for a transform") }
        guard case .node(let index) = value else { return value }
        switch document.nodes[index].kind {
        case .object:
            var names: Set<ArraySlice<UInt8>> = []
            var members: [Member] = []
            for (key, value) in document.members(of: index).reversed() {
                let name = document.content(of: document.nodes[key])
                if names.insert(name).inserted { members.append(Member(name: name, value: .node(value))) }
            }
            return .object(members.reversed())
        case .array:
            var elements: [Value] = []
            var child = index + 1
            while child < document.nodes[index].end {
                elements.append(.node(child))
                child = document.nodes[child].end
            }
            return .array(elements)
        default: return value
        }
    }

    // MARK: What stays and what goes

    /// Keeps what the paths lead to, and the objects and arrays on their way.
    mutating func keep(_ tree: PathTree) throws(PayloadError) { root = try picked(root, tree, keeping: true, 0) }

    /// Removes what the paths lead to.
    mutating func remove(_ tree: PathTree) throws(PayloadError) { root = try picked(root, tree, keeping: false, 0) }

    /// What is left of a value when what the paths lead to is kept, or is removed.
    private func picked(
        _ value: Value, _ tree: PathTree, keeping isKept: Bool, _ depth: Int
    ) throws(PayloadError) -> Value {
        switch try opened(value, depth) {
        case .object(let members):
            var rest: [Member] = []
            for member in members {
                guard let subtree = tree.children[member.name], !subtree.isEnd else {
                    if (tree.children[member.name] != nil) == isKept { rest.append(member) }
                    continue
                }
                if isContainer(member.value) {
                    let value = try picked(member.value, subtree, keeping: isKept, depth + 1)
                    rest.append(Member(name: member.name, value: value))
                } else if !isKept {
                    rest.append(member)
                }
            }
            return .object(rest)
        case .array(let elements):
            var rest: [Value] = []
            for element in elements {
                if isContainer(element) {
                    rest.append(try picked(element, tree, keeping: isKept, depth + 1))
                } else if !isKept {
                    rest.append(element)
                }
            }
            return .array(rest)
        case let other: return other
        }
    }

    // MARK: Renames and constants

    /// Moves a value within each object of the rename's scope that has it.
    mutating func move(_ rename: PayloadTemplate.Rename) throws(PayloadError) {
        root = try moved(root, rename.scope, rename, 0)
    }

    private func moved(
        _ value: Value, _ scope: ArraySlice<[UInt8]>, _ rename: PayloadTemplate.Rename, _ depth: Int
    ) throws(PayloadError) -> Value {
        switch try opened(value, depth) {
        case .object(var members):
            if let name = scope.first {
                guard let index = members.lastIndex(where: { $0.name == name[...] }) else { return value }
                members[index].value = try moved(members[index].value, scope.dropFirst(), rename, depth + 1)
                return .object(members)
            }
            let (rest, taken) = try taken(.object(members), rename.from, depth)
            guard let taken, try !meetsArray(rename.target, in: rest, depth) else { return value }
            return try placed(taken, at: rename.target, in: rest, depth)
        case .array(let elements):
            var changed: [Value] = []
            for element in elements {
                changed.append(isContainer(element) ? try moved(element, scope, rename, depth + 1) : element)
            }
            return .array(changed)
        case let other: return other
        }
    }

    /// Whether an array stands on the way of a path, before its end: a value put there would be lost, or be there many times.
    private func meetsArray(
        _ path: ArraySlice<[UInt8]>, in value: Value, _ depth: Int
    ) throws(PayloadError) -> Bool {
        guard let name = path.first else { return false }
        switch try opened(value, depth) {
        case .object(let members):
            guard let member = members.last(where: { $0.name == name[...] }) else { return false }
            return try meetsArray(path.dropFirst(), in: member.value, depth + 1)
        case .array: return true
        case .node, .text: return false
        }
    }

    /// Takes a value out, through objects alone; nil when it is not there.
    private func taken(
        _ value: Value, _ path: ArraySlice<[UInt8]>, _ depth: Int
    ) throws(PayloadError) -> (rest: Value, taken: Value?) {
        guard let name = path.first, case .object(var members) = try opened(value, depth),
            let index = members.lastIndex(where: { $0.name == name[...] })
        else { return (value, nil) }
        guard path.count > 1 else {
            let found = members[index].value
            members.removeAll { $0.name == name[...] }
            return (.object(members), found)
        }
        let (rest, found) = try taken(members[index].value, path.dropFirst(), depth + 1)
        members[index].value = rest
        return (.object(members), found)
    }

    /// Puts a constant in, making the objects on its way.
    mutating func put(_ text: [UInt8], at path: PayloadPath) throws(PayloadError) {
        root = try placed(.text(text), at: path.names[...], in: root, 0)
    }

    /// What is in the way and neither object nor array is replaced by an object.
    private func placed(
        _ new: Value, at path: ArraySlice<[UInt8]>, in value: Value, _ depth: Int
    ) throws(PayloadError) -> Value {
        guard let name = path.first else { return new }
        switch try opened(value, depth) {
        case .object(var members):
            if let index = members.lastIndex(where: { $0.name == name[...] }) {
                members[index].value = try placed(new, at: path.dropFirst(), in: members[index].value, depth + 1)
            } else {
                let inner = try placed(new, at: path.dropFirst(), in: .object([]), depth + 1)
                members.append(Member(name: name[...], value: inner))
            }
            return .object(members)
        case .array(let elements):
            var changed: [Value] = []
            for element in elements {
                changed.append(isContainer(element) ? try placed(new, at: path, in: element, depth + 1) : element)
            }
            return .array(changed)
        case .node, .text: return try placed(new, at: path, in: .object([]), depth)
        }
    }

    // MARK: Writing

    /// The whole as JSON text, spaced as Postgres does.
    func text() -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(document.sourceCount + 64)
        append(root, to: &output)
        return output
    }

    private func append(_ value: Value, to output: inout [UInt8]) {
        switch value {
        case .node(let index): document.appendText(of: index, to: &output)
        case .text(let text): output.append(contentsOf: text)
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { output.append(contentsOf: ", ".utf8) }
                JSONText.appendQuoted(member.name, to: &output)
                output.append(contentsOf: ": ".utf8)
                append(member.value, to: &output)
            }
            output.append(UInt8(ascii: "}"))
        case .array(let elements):
            output.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { output.append(contentsOf: ", ".utf8) }
                append(element, to: &output)
            }
            output.append(UInt8(ascii: "]"))
        }
    }
}
