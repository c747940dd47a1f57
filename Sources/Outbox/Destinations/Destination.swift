// Where events go: an endpoint or an n8n workflow, with everything that decides how. Made by the store from a row,
// checked once here, and then read by routing, requests and verdicts without further checks.

/// A destination. Immutable, so a class: handing it on costs one reference, and its identity says whether what was
/// prepared for it is still valid.
public final class Destination: Sendable, Identifiable {
    /// The two kinds of destination.
    public enum Kind: String, Sendable {
        /// A registered URL.
        case endpoint
        /// The webhook node of an n8n workflow.
        case n8n
    }

    /// The number by which deliveries refer to it.
    public let id: Int32
    /// The id that people and receivers see.
    public var uuid: String {
        switch identity {
        case .uuid(let id): id.description
        case .text(let text): text
        }
    }
    /// Endpoint or n8n workflow.
    public let kind: Kind
    /// Its name, for people.
    public let name: String
    /// Where requests go.
    public let url: DestinationURL
    /// Which types it wants; without any it gets nothing.
    public let patterns: [EventPattern]
    /// The organization whose events alone it gets; nil for those of all.
    public let organization: String?
    /// The user whose events alone it gets; nil for those of all.
    public let user: String?
    /// The wire format.
    public let profile: Profile
    /// The secrets, newest first; several sign at once where the profile has room for it. Empty for no signature.
    public let secrets: [Secret]
    /// Custom headers, in order.
    public let headers: [HeaderField]
    /// When failed attempts are repeated.
    public let retry: RetryPolicy
    /// How long one attempt may take in all; default 30 s.
    public let timeout: Duration
    /// How many attempts may run at once; default 32.
    public let maxConcurrency: Int
    /// Whether events are sent now. Deliveries to a disabled destination wait.
    public let isEnabled: Bool
    /// Which statuses are never retried.
    public let finalStatuses: FinalStatuses
    /// Credentials and ways to reach it; nil for none.
    public let access: Access?
    /// What only some destinations use.
    public var options: DeliveryOptions { uncommon?.options ?? .none }
    // These are asked for with every delivery, mostly of destinations without any options.
    /// How many events go into one request; nil for one event a request.
    public var batch: BatchLimits? { uncommon?.options.batch }
    /// Whether events of one ordering key are delivered strictly one after the other.
    public var isOrdered: Bool { uncommon?.options.isOrdered ?? false }
    /// Whose turn is first: 0 high, 1 normal, 2 low.
    public var priority: Int { uncommon?.options.priority ?? 1 }

    /// A uuid costs 16 bytes instead of 80, which counts with 100,000 destinations.
    enum Identity: Equatable {
        case uuid(EventID)
        case text(String)
    }

    /// Options of a destination that has some: the others pay eight bytes, not the space of all options.
    final class Uncommon: Sendable {
        let options: DeliveryOptions

        init(_ options: DeliveryOptions) { self.options = options }
    }

    let identity: Identity
    let uncommon: Uncommon?

    /// Makes a destination.
    ///
    /// - Throws: `DestinationError` when parts do not fit together: a custom header that the profile sends itself or
    ///   that is there twice, a secret that the profile cannot use, a timeout or concurrency that is not positive.
    public init(
        id: Int32,
        uuid: String,
        kind: Kind = .endpoint,
        name: String,
        url: DestinationURL,
        patterns: [EventPattern],
        organization: String? = nil,
        user: String? = nil,
        profile: Profile,
        secrets: [Secret] = [],
        headers: [HeaderField] = [],
        retry: RetryPolicy = .standard,
        timeout: Duration = .seconds(30),
        maxConcurrency: Int = 32,
        isEnabled: Bool = true,
        finalStatuses: FinalStatuses = .none,
        options: DeliveryOptions = .none,
        access: Access? = nil
    ) throws(DestinationError) {
        try Self.checkHeaders(headers.map(\.name) + (access?.headerName.map { [$0] } ?? []), of: profile)
        try Self.check(secrets, profile: profile)
        guard timeout > .zero else { throw .timeout }
        guard maxConcurrency > 0 else { throw .concurrency }
        self.id = id
        // Only the canonical text survives the way through 16 bytes.
        let parsed = EventID(uuid)
        identity = if let parsed, parsed.description == uuid { .uuid(parsed) } else { .text(uuid) }
        self.kind = kind
        self.name = name
        self.url = url
        self.patterns = patterns
        self.organization = organization
        self.user = user
        self.profile = profile
        self.secrets = secrets
        self.headers = headers
        self.retry = retry
        self.timeout = timeout
        self.maxConcurrency = maxConcurrency
        self.isEnabled = isEnabled
        self.finalStatuses = finalStatuses
        uncommon = options == .none ? nil : Uncommon(options)
        self.access = access
    }

    /// Checks that headers, custom ones and the one of the option `auth`, can be sent beside those of a profile.
    ///
    /// - Throws: `DestinationError`: the profile sends one of them itself, or one is there twice.
    public static func checkHeaders(_ names: [String], of profile: Profile) throws(DestinationError) {
        if names.isEmpty { return }
        let own = profile.headerNames
        var seen: Set<String> = []
        for name in names {
            let lower = name.lowercased()
            if own.contains(lower) { throw .headerOfProfile(name, profile: profile.name) }
            if !seen.insert(lower).inserted { throw .repeatedHeader(name) }
        }
    }

    private static func check(_ secrets: [Secret], profile: Profile) throws(DestinationError) {
        guard secrets.allSatisfy(profile.canUse) else { throw .asymmetricSecret(profile: profile.name) }
    }
}

/// Why the parts of a destination do not fit together.
public enum DestinationError: Error, Equatable, CustomStringConvertible {
    /// A custom header that the profile sends itself.
    case headerOfProfile(String, profile: String)
    /// The same header twice, among the custom ones or beside the one of the option `auth`.
    case repeatedHeader(String)
    /// An Ed25519 secret for a profile without such signatures.
    case asymmetricSecret(profile: String)
    /// A timeout of zero or less.
    case timeout
    /// A concurrency of zero or less.
    case concurrency

    /// The reason in one line.
    public var description: String {
        switch self {
        case .headerOfProfile(let name, let profile):
            "header \(name.debugDescription) is sent by profile \(profile.debugDescription) itself"
        case .repeatedHeader(let name):
            "header \(name.debugDescription) is there twice, among the headers or beside that of option auth"
        case .asymmetricSecret(let profile): "profile \(profile.debugDescription) has no Ed25519 signatures (whsk_)"
        case .timeout: "the timeout must be positive"
        case .concurrency: "the concurrency must be positive"
        }
    }
}
