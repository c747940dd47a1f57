// Which event types a destination wants. Held by destinations, indexed by the subscription table.

/// A pattern over event types: `user.created` exactly, `message.*` for everything below `message.`, `*` for all.
public struct EventPattern: Hashable, Sendable, CustomStringConvertible {
    /// The three kinds of pattern.
    enum Form: Hashable, Sendable {
        /// One type.
        case exact(String)
        /// Every type that starts with this text, which ends in a dot: `message.*` is `message.`, of any depth.
        case prefix(String)
        /// Every type.
        case all
    }

    let form: Form

    /// Reads a pattern.
    ///
    /// - Throws: `EventTypeError`: the part before `.*` follows the rules of event types, and a star stands nowhere
    ///   else.
    public init(_ text: String) throws(EventTypeError) {
        if text == "*" {
            form = .all
            return
        }
        let stem = text.hasSuffix(".*") ? String(text.dropLast(2)) : text
        if stem.contains("*") { throw .misplacedStar(in: text) }
        try EventType.validate(stem, of: text)
        form = stem.utf8.count == text.utf8.count ? .exact(text) : .prefix(stem + ".")
    }

    /// The text it was read from.
    public var description: String {
        switch form {
        case .exact(let type): type
        case .prefix(let prefix): prefix + "*"
        case .all: "*"
        }
    }

    /// Tells whether events of a type are wanted.
    public func matches(_ type: String) -> Bool {
        switch form {
        case .exact(let wanted): wanted == type
        case .prefix(let prefix): type.utf8.count > prefix.utf8.count && type.utf8.starts(with: prefix.utf8)
        case .all: true
        }
    }

    /// Tells whether every type that `other` wants is wanted by this pattern too.
    func covers(_ other: EventPattern) -> Bool {
        switch (form, other.form) {
        case (.all, _): true
        case (_, .all): false
        case (.prefix(let prefix), .prefix(let narrower)): narrower.utf8.starts(with: prefix.utf8)
        case (.prefix, .exact(let type)): matches(type)
        case (.exact(let wanted), .exact(let type)): wanted == type
        case (.exact, .prefix): false
        }
    }
}
