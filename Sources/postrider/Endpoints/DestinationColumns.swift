// The options of `create` and `update` that endpoints and n8n workflows have in common.

internal import ArgumentParser

/// What every new destination needs.
struct NewDestination<Group: DestinationGroup>: ParsableArguments {
    @Option(help: "Name for people.") var name: String
    @Option(help: ArgumentHelp(Group.kind.help.url)) var url: String
    @Option(help: ArgumentHelp("Types: a.b, a.*, *.", valueName: "list")) var events: String

    /// Adds its columns.
    ///
    /// - Throws: ``CommandFailure`` with what is wrong.
    func add(to columns: inout Document) throws {
        columns["name"] = try DestinationKind.name(name)
        columns["url"] = try DestinationKind.url(url)
        columns["events"] = try DestinationKind.patterns(events)
    }
}

/// What a new destination may have, and how its secret comes about.
struct CreationOptions<Group: DestinationGroup>: ParsableArguments {
    @OptionGroup var secretOptions: SecretOptions
    @OptionGroup var newSecretOptions: NewSecretOptions
    @OptionGroup var options: DestinationOptions
    @OptionGroup var output: OutputOptions

    /// Creates the destination and prints it.
    func create(_ columns: Document, profile: String) async throws {
        var columns = columns
        columns["profile"] = profile
        let document = columns
        try await Session.with { session in
            let known = try await session.profile(profile)
            try DestinationHeaders.check(document, for: known)
            let secret = try newSecretOptions.secret(given: secretOptions.secret(for: known), for: known)
            let record = try await SecretWriter(session).create(Group.kind.create, document, secret, known)
            try await Group.kind.remarkNamesakes(of: record, session)
            DestinationKind.tellCreated(record, hadSecret: secret.given != nil, json: output.json)
        }
    }
}

/// Which destination changes, and what every one may change.
struct ChangedDestination<Group: DestinationGroup>: ParsableArguments {
    @OptionGroup var chosen: ChosenDestination<Group>
    @Option(help: "New name.") var name: String?
    @Option(help: "New URL.") var url: String?
    @Option(help: ArgumentHelp("New types.", valueName: "list")) var events: String?
    @Flag(help: "Events of all organizations again.") var allOrganizations = false
    @Flag(help: "Events of all users again.") var allUsers = false
    @Flag(help: "No request headers of its own any more.") var noHeaders = false
    @OptionGroup var output: OutputOptions

    /// Refuses a change of nothing. What is wrong with the options is told when they are used.
    ///
    /// - Throws: `ValidationError` when neither these options nor the others name anything.
    func check(beside options: DestinationOptions) throws {
        let isGiven = [name, url, events].contains { $0 != nil } || allOrganizations || allUsers || noHeaders
        guard !isGiven, let others = try? options.columns(), others.isEmpty else { return }
        throw ValidationError("say what to change")
    }

    /// Adds the columns that were given.
    ///
    /// - Throws: ``CommandFailure`` with what is wrong.
    func add(to columns: inout Document) throws {
        if let name { columns["name"] = try DestinationKind.name(name) }
        if let url { columns["url"] = try DestinationKind.url(url) }
        if let events { columns["events"] = try DestinationKind.patterns(events) }
        if allOrganizations { try lift("organization_id", "--all-organizations", "--organization", in: &columns) }
        if allUsers { try lift("user_id", "--all-users", "--user", in: &columns) }
        if noHeaders {
            try lift("headers", "--no-headers", "--header", in: &columns)
            columns["headers"] = [String: String]()
        }
    }

    /// Sets a column to null, unless an option has just given it a value.
    private func lift(_ column: String, _ flag: String, _ option: String, in columns: inout Document) throws {
        guard columns[column] == nil else { throw CommandFailure.failed("give one of \(option) and \(flag)") }
        columns.updateValue(nil, forKey: column)
    }

    /// Changes the destination and prints its id.
    ///
    /// - Parameter before: what is to be said about the destination as it is.
    func update(
        _ columns: Document, before: (Record, Session) async throws -> Void = { _, _ in }
    ) async throws {
        try await Session.with { session in
            let found = try await Group.kind.find(chosen.name, session)
            try await DestinationHeaders.check(columns, of: found, session)
            try await before(found, session)
            for record in try await SecretWriter(session).update(Group.kind.update, columns, of: found) {
                print(output.json ? record.text : record["id"])
            }
        }
    }
}
