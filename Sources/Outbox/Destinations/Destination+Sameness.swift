// Whether a destination is still what it was: asked by the store for each row of a load, so that a hundred thousand that did
// not change are not in memory twice, and by the worker for what was routed to it before it changed.

extension Destination {
    /// Whether another one is the same in every part, texts byte by byte. False too when either has options, credentials or a way of
    /// its own: those are few, and compared by nobody.
    public func isSame(as other: Destination) -> Bool {
        guard uncommon == nil, other.uncommon == nil, access == nil, other.access == nil else { return false }
        return id == other.id && identity == other.identity && kind == other.kind && isEnabled == other.isEnabled
            && maxConcurrency == other.maxConcurrency && timeout == other.timeout && retry == other.retry
            && finalStatuses == other.finalStatuses && url == other.url && patterns == other.patterns
            && Self.isSame(name, other.name) && Self.isSame(organization, other.organization)
            && Self.isSame(user, other.user) && hasSameHeaders(as: other) && secrets == other.secrets
            && profile.isSame(as: other.profile)
    }

    /// Whether what was routed to another version of it would come here too, and with the same payload: both are of the same
    /// organization and user, and filter and transform alike.
    public func isRouted(like other: Destination) -> Bool {
        Self.isSame(organization, other.organization) && Self.isSame(user, other.user)
            && options.filter == other.options.filter && options.template == other.options.template
            && Self.isSame(options.transformFunction, other.options.transformFunction)
    }

    /// Whether events of this organization and user may be sent to it, whatever their type.
    public func serves(_ event: Event) -> Bool {
        (organization == nil || Self.isSame(organization, event.organization))
            && (user == nil || Self.isSame(user, event.user))
    }

    private func hasSameHeaders(as other: Destination) -> Bool {
        headers.elementsEqual(other.headers) { Self.isSame($0.name, $1.name) && Self.isSame($0.value, $1.value) }
    }

    /// Two ways of writing an é are the same String, and not the same to receivers.
    private static func isSame(_ left: String?, _ right: String?) -> Bool {
        left.map { ExactText($0) } == right.map { ExactText($0) }
    }
}

extension Profile {
    /// Whether another one sends the same, texts byte by byte.
    func isSame(as other: Profile) -> Bool {
        self === other
            || texts == other.texts && secretForm == other.secretForm
                && signature?.encoding == other.signature?.encoding
    }

    private var texts: [ExactText?] {
        let few = [
            name, purpose, contentType, userAgent, envelope, signature?.signs, signature?.prefix,
            signature?.ed25519Prefix, signature?.separator,
        ]
        return (few + headers).map { $0.map { ExactText($0) } }
    }
}
