// Which destinations want an event. Built by the routing table of the worker when destinations
// change, asked for every event.

/// All destinations, indexed so that the cost of a question grows with its answers and not with their number.
///
/// `a.b` is exact, `a.*` is every type that starts with `a.`, `*` is every type. A destination with an organization
/// gets only events of that organization, one without gets those of all; the same for users. Disabled destinations
/// are part of every answer, because deliveries to them wait instead of vanishing.
public struct SubscriptionTable: Sendable {
    /// The destinations, in the order they were given; `matches` answers with indices of it.
    public let destinations: [Destination]
    /// Whether a destination is bound to a user. If none is, answers depend on type and organization alone and may be
    /// remembered by these.
    public let dependsOnUser: Bool

    /// Organization and user that a destination is bound to.
    private struct Scope: Hashable {
        let organization: ExactText?
        let user: ExactText?

        init(organization: String?, user: String?) {
            self.organization = organization.map { ExactText($0) }
            self.user = user.map { ExactText($0) }
        }
    }

    /// A stretch of `members`.
    private struct Stretch {
        var start: Int32
        var count: Int32
    }

    private enum Kind: UInt64 {
        case exact = 0
        case prefix
        case all
    }

    private var scopes: [Scope: UInt32] = [:]
    private var names: [String: UInt32] = [:]
    /// The number of the scope of destinations that are bound to nothing; nil when there is none.
    private var unbound: UInt32?
    /// Whether a pattern ends with `.*`.
    private var hasPrefixes = false
    private var stretches: [UInt64: Stretch] = [:]
    private var members: [Int32] = []

    /// Builds the table: 100,000 destinations take a fraction of a second.
    public init(_ destinations: [Destination]) {
        self.destinations = destinations
        dependsOnUser = destinations.contains { $0.user != nil }
        var entries: [(key: UInt64, index: Int32)] = []
        entries.reserveCapacity(destinations.count)
        for (index, destination) in destinations.enumerated() {
            let scope = intern(Scope(organization: destination.organization, user: destination.user))
            for pattern in Self.reduced(destination.patterns) {
                entries.append((key(scope, pattern), Int32(truncatingIfNeeded: index)))
            }
        }
        unbound = scopes[Scope(organization: nil, user: nil)]
        // By key, then by index, so that every stretch is ascending.
        entries.sort { ($0.key, $0.index) < ($1.key, $1.index) }
        members.reserveCapacity(entries.count)
        for entry in entries {
            let fresh = Stretch(start: Int32(truncatingIfNeeded: members.count), count: 0)
            stretches[entry.key, default: fresh].count += 1
            members.append(entry.index)
        }
    }

    /// Gives the indices of the destinations that want an event, ascending, each once; empty when there is none.
    public func matches(type: String, organization: String?, user: String?) -> [Int] {
        let wanted = candidates(for: type)
        var answer: [Int] = []
        var stretchCount = 0
        for scope in scopeNumbers(organization, user) {
            for (kind, name) in wanted {
                guard let stretch = stretches[Self.key(scope, kind, name)] else { continue }
                let start = Int(stretch.start)
                for index in members[start..<(start + Int(stretch.count))] { answer.append(Int(index)) }
                stretchCount += 1
            }
        }
        if stretchCount > 1 { answer.sort() }
        return answer
    }

    // MARK: Building

    /// Leaves out patterns that another one covers, so that no type is wanted twice by one destination.
    private static func reduced(_ patterns: [EventPattern]) -> [EventPattern] {
        guard patterns.count > 1 else { return patterns }
        var kept: [EventPattern] = []
        for pattern in patterns where !kept.contains(where: { $0.covers(pattern) }) {
            kept.removeAll { pattern.covers($0) }
            kept.append(pattern)
        }
        return kept
    }

    private mutating func intern(_ scope: Scope) -> UInt32 {
        if let known = scopes[scope] { return known }
        let number = UInt32(scopes.count)
        scopes[scope] = number
        return number
    }

    private mutating func intern(_ name: String) -> UInt32 {
        if let known = names[name] { return known }
        let number = UInt32(names.count)
        names[name] = number
        return number
    }

    private mutating func key(_ scope: UInt32, _ pattern: EventPattern) -> UInt64 {
        switch pattern.form {
        case .exact(let type): return Self.key(scope, .exact, intern(type))
        case .prefix(let prefix):
            hasPrefixes = true
            return Self.key(scope, .prefix, intern(prefix))
        case .all: return Self.key(scope, .all, 0)
        }
    }

    private static func key(_ scope: UInt32, _ kind: Kind, _ name: UInt32) -> UInt64 {
        UInt64(scope) << 32 | UInt64(name) << 2 | kind.rawValue
    }

    // MARK: Asking

    /// The kinds and names under which destinations that want a type may stand.
    private func candidates(for type: String) -> [(Kind, UInt32)] {
        var wanted: [(Kind, UInt32)] = [(.all, 0)]
        if let name = names[type] { wanted.append((.exact, name)) }
        guard hasPrefixes else { return wanted }
        let bytes = type.utf8
        for dot in bytes.indices where bytes[dot] == UInt8(ascii: ".") {
            let afterDot = bytes.index(after: dot)
            guard afterDot != bytes.endIndex else { break }
            if let name = names[String(type[..<afterDot])] { wanted.append((.prefix, name)) }
        }
        return wanted
    }

    /// The scopes an event falls into: unbound, its organization, its user, and both.
    private func scopeNumbers(_ organization: String?, _ user: String?) -> [UInt32] {
        var numbers: [UInt32] = []
        func add(_ organization: String?, _ user: String?) {
            if let number = scopes[Scope(organization: organization, user: user)] { numbers.append(number) }
        }
        if let unbound { numbers.append(unbound) }
        if organization != nil { add(organization, nil) }
        if user != nil { add(nil, user) }
        if organization != nil, user != nil { add(organization, user) }
        return numbers
    }
}
