// From a row of webhook_destinations to the domain's destination. Used by RoutingStore alone.

internal import Outbox
internal import Postgres

/// One row of `DestinationLoad`.
struct DestinationRow {
    let id: Int32
    let isActive: Bool
    let keptResponseBytes: Int
    private let uuid: String
    private let kind: String
    private let name: String
    private let url: String
    private let eventTypes: [String?]
    private let profile: String
    private let organization: String?
    private let user: String?
    private let headers: [(name: String, value: String?)]
    private let maxAttempts: Int
    private let delays: Delays
    private let timeout: Duration
    private let finalStatuses: String
    private let maxConcurrency: Int
    private let options: String?

    /// Whether its options may name files. Read off the text, because a row whose file is missing makes no options.
    var namesFiles: Bool { options?.utf8.firstRange(of: "\"file:".utf8) != nil }

    /// The columns that make the retry policy.
    private struct Delays {
        let base: Duration
        let factor: Double
        let longest: Duration
        let jitter: Double
        let explicit: [Int64]?
    }

    init(_ row: Row) throws {
        id = Int32(try row.int(0))
        uuid = try row.uuid(1).description
        kind = try row.string(2)
        name = try row.string(3)
        url = try row.string(4)
        eventTypes = try row.optionalStrings(5)
        profile = try row.string(6)
        organization = try row.stringOrNil(7)
        user = try row.stringOrNil(8)
        isActive = try row.bool(9)
        headers = zip(try row.strings(10), try row.optionalStrings(11)).map { ($0, $1) }
        maxAttempts = try row.int(12)
        delays = Delays(
            base: .milliseconds(try row.int64(13)), factor: try row.double(14),
            longest: .milliseconds(try row.int64(15)), jitter: try row.double(16),
            explicit: try row.isNull(17) ? nil : row.int8s(17))
        timeout = .milliseconds(try row.int(18))
        finalStatuses = try row.string(19)
        maxConcurrency = try row.int(20)
        keptResponseBytes = try row.int(21)
        options = try row.stringOrNil(22)
    }

    /// The destination, checked in every part.
    ///
    /// - Throws: what is wrong with the row, never with a secret in it; `SealingError` when one does not open;
    ///   `SettingFault` when this process lacks something that the row names.
    func destination(
        secrets: [StoredSecret], profiles: ProfileCatalog, opener: inout SecretOpener, book: SettingBook
    ) throws -> Destination {
        let profile = try profiles.profile(profile)
        let signers = try signers(secrets, for: profile, &opener)
        let scope = SettingScope(organization: organization, user: user)
        let fields = try headers.map { header in
            guard let value = header.value else { throw DestinationRowError.headerValue(header.name) }
            return try field(
                header.name, opener.open(header: header.name, value, destination: id), scope: scope, book)
        }
        let options = try options.map { try DeliveryOptions(parsing: Array($0.utf8)) } ?? .none
        return try Destination(
            id: id, uuid: uuid, kind: kind == "n8n" ? .n8n : .endpoint, name: name, url: DestinationURL(url),
            patterns: eventTypes.map { try EventPattern($0 ?? "") }, organization: organization, user: user,
            profile: profile, secrets: signers, headers: fields, retry: try retryPolicy(), timeout: timeout,
            maxConcurrency: maxConcurrency, isEnabled: isActive, finalStatuses: try FinalStatuses(finalStatuses),
            options: options, access: try options.access(for: scope, from: book))
    }

    /// The secrets that sign, newest first. Each must open, and the newest must fit the profile. An older one that does not
    /// is from before another profile, or another form of this one, and could not sign for its receiver: it is left out.
    private func signers(
        _ secrets: [StoredSecret], for profile: Profile, _ opener: inout SecretOpener
    ) throws -> [Secret] {
        var signers: [Secret] = []
        for secret in secrets {
            let text = try opener.open(secret.text, at: .version(secret.version, destination: id))
            if signers.isEmpty {
                signers.append(try Secret(text, form: profile.secretForm))
            } else if let older = try? Secret(text, form: profile.secretForm), profile.canUse(older) {
                signers.append(older)
            }
        }
        return signers
    }

    /// A header with the settings that its value names.
    private func field(
        _ name: String, _ value: String, scope: SettingScope, _ book: SettingBook
    ) throws -> HeaderField {
        // Few values name one, and most have no dollar sign.
        guard value.utf8.contains(UInt8(ascii: "$")) else { return try HeaderField(name: name, value: value) }
        let full = try ReferenceText(value).expanded { name throws(SettingFault) in try book.value(of: name, for: scope)
        }
        do {
            return try HeaderField(name: name, value: full)
        } catch {
            throw SettingFault("header \(name.debugDescription): \(error)")
        }
    }

    /// A stand-in that matches the same events and is never sent to.
    ///
    /// When a pattern cannot be read, nobody knows which events it was meant for: then it matches all of its
    /// organization and user, because a delivery too many waits, and one too few is lost. It keeps the order that the
    /// destination keeps, and the answer to a request that was on its way before is judged as the destination would.
    func parkedDestination() -> Destination? {
        let readable = try? eventTypes.map { try EventPattern($0 ?? "") }
        guard let patterns = try? readable ?? [EventPattern("*")],
            let url = try? DestinationURL("https://unusable.invalid/"),
            let standard = Profile.builtIn["standard"]
        else { return nil }
        let retry = (try? retryPolicy()) ?? .standard
        return try? Destination(
            id: id, uuid: uuid, kind: kind == "n8n" ? .n8n : .endpoint, name: name, url: url, patterns: patterns,
            organization: organization, user: user, profile: standard, retry: retry, isEnabled: false,
            finalStatuses: (try? FinalStatuses(finalStatuses)) ?? .none, options: parkedOptions)
    }

    /// The options, or of those that cannot be read whether they ask for order: what goes out beside it cannot be put in order
    /// again.
    private var parkedOptions: DeliveryOptions {
        guard let options else { return .none }
        if let readable = try? DeliveryOptions(parsing: Array(options.utf8)) { return readable }
        var order = DeliveryOptions()
        order.isOrdered = options.utf8.firstRange(of: "\"order\": true".utf8) != nil
        return order
    }

    /// The retry policy. No wait is longer than the longest: not the first one either.
    private func retryPolicy() throws -> RetryPolicy {
        if let explicit = delays.explicit {
            return try RetryPolicy(delays: explicit.map { .milliseconds($0) }, jitter: delays.jitter)
        }
        return try RetryPolicy(
            maxAttempts: maxAttempts, growth: .exponential(factor: delays.factor),
            baseDelay: min(delays.base, delays.longest), maxDelay: delays.longest, jitter: delays.jitter)
    }
}

/// What only a row can have wrong; the rest is told by the domain's own errors.
enum DestinationRowError: Error, CustomStringConvertible {
    case headerValue(String)

    var description: String {
        switch self {
        case .headerValue(let name): "the value of header \(name.debugDescription) is no string"
        }
    }
}
