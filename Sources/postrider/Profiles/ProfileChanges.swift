// `postrider profiles add` and `update`: a file, single options, or both. What is written was compiled first.

internal import ArgumentParser
internal import Outbox
internal import OutboxStore

/// The members of a profile as options; empty text takes an optional one away.
struct ProfileOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The profile's JSON form: a path, or - for standard input.", valueName: "file"))
    var file: String?
    @Option(help: "What it is for, for people.") var purpose: String?
    @Option(help: "Content-Type (application/json).") var contentType: String?
    @Option(help: "User-Agent (\(Profile.ownUserAgent)).") var userAgent: String?
    @Option(help: ArgumentHelp("The body: {data}, or JSON around it.", valueName: "template")) var envelope: String?
    @Option(help: ArgumentHelp("Header line; can be repeated, and replaces all.", valueName: "name: template"))
    var header: [String] = []
    @Option(help: ArgumentHelp("What is signed: '{timestamp}.{body}'.", valueName: "template")) var signs: String?
    @Option(help: "How signatures are written: hex or base64 (hex).") var encoding: String?
    @Option(help: "What stands before each HMAC-SHA256 signature: sha256=.") var prefix: String?
    @Option(help: "What stands before each Ed25519 signature.") var ed25519Prefix: String?
    @Option(help: "What stands between several signatures; without it the newest secret alone signs.")
    var separator: String?
    @Option(help: "How secrets are read: text, prefixed_text or standard, see docs/profiles.md (text).")
    var secretForm: String?

    /// The profile of a name: the file's members, or those of what it was before, and the options over them.
    ///
    /// - Throws: ``CommandFailure`` with what is wrong.
    func profile(_ name: String, before: Profile?) throws -> Profile {
        var members = try fileMembers() ?? before.map { try Self.members(Array($0.json.utf8)) } ?? [:]
        if let other = members["name"]?.string, other != name {
            Session.remark("note: the file has the name \(other.debugDescription); here it is \(name.debugDescription)")
        }
        members["name"] = name.json
        for (member, text) in [
            ("purpose", purpose), ("content_type", contentType), ("user_agent", userAgent), ("envelope", envelope),
            ("signs", signs), ("encoding", encoding), ("ed25519_prefix", ed25519Prefix), ("separator", separator),
            ("secret_form", secretForm),
        ] {
            if let text { members[member] = text.isEmpty ? .null : text.json }
        }
        if let prefix { members["prefix"] = prefix.json }
        if !header.isEmpty { members["headers"] = header.json }
        do {
            let profile = try Profile(parsing: members.json.text())
            guard Profile.builtIn[name] == nil else {
                throw CommandFailure.failed("\(name) is the name of a built-in profile")
            }
            return profile
        } catch let error as ProfileError {
            throw CommandFailure.failed("profile \(name): \(error)")
        }
    }

    private func fileMembers() throws -> [String: JSONValue]? {
        guard let file else { return nil }
        return try Self.members(FileContents.given(file))
    }

    private static func members(_ data: [UInt8]) throws -> [String: JSONValue] {
        guard let members = try? JSONValue(parsing: data).members else {
            throw CommandFailure.failed("a profile is a JSON object")
        }
        return members
    }
}

extension Profile {
    /// What the database stores.
    fileprivate var document: Document {
        get throws {
            try JSONValue(parsing: Array(json.utf8)).members ?? [:]
        }
    }
}

extension Profiles {
    /// `postrider profiles add`.
    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a profile.",
            discussion: """
                  postrider profiles add shop --envelope '{data}' --header 'X-Topic: {event.type}' \\
                    --header 'X-Hmac-Sha256: {signature}' --signs '{body}' --encoding base64
                """)
        @Argument(help: "Name: a-z 0-9 _ -, the first a letter.") var profile: String
        @OptionGroup var options: ProfileOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let document = try options.profile(profile, before: nil).document
            try await Session.with { session in
                if try await ProfileStore.load(on: session.raw).names.contains(profile) {
                    throw CommandFailure.failed("there is a profile \(profile) already: profiles update changes it")
                }
                for record in try await session.run(.profileCreate, document) {
                    print(output.json ? record.text : record["name"])
                }
            }
        }
    }

    /// `postrider profiles update`.
    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Change a profile: the whole with --file, or what the options name.",
            discussion: "Destinations that use it send in the new form from their next delivery on, retries included.")
        @Argument(help: "Name.") var profile: String
        @OptionGroup var options: ProfileOptions
        @Flag(help: "Tell how many destinations use it, and change nothing.") var dryRun = false
        @OptionGroup var output: OutputOptions

        func run() async throws {
            if Profile.builtIn[profile] != nil {
                throw CommandFailure.failed("\(profile) is built in: profiles show prints it, to begin your own with")
            }
            try await Session.with { session in
                let catalog = try await ProfileStore.load(on: session.raw)
                guard catalog.names.contains(profile) else {
                    throw CommandFailure.notFound("there is no profile \(profile.debugDescription)")
                }
                // One that cannot be used is mended with a whole file, since nothing of it can be kept.
                let before = try? catalog.profile(profile)
                let after = try options.profile(profile, before: before)
                let known = try await session.run(.profileList).first { $0["name"] == profile }
                let users = Int(known?.number("destinations") ?? 0)
                if dryRun {
                    if output.json { return print(Record(["name": profile, "destinations": users]).text) }
                    return print(Plural.text(users, "destination uses", "destinations use") + " profile \(profile)")
                }
                for record in try await session.run(.profileUpdate, after.document) {
                    print(output.json ? record.text : record["name"])
                }
                if users > 0 {
                    let text = Plural.text(users, "destination sends", "destinations send")
                    Session.remark("\(text) in the new form from now on")
                }
                if users > 0, let before, before.secretForm != after.secretForm {
                    Session.remark(
                        "note: their secrets are read in another form too: rotate-secret for each. "
                            + DestinationKind.mismatch(after.secretForm))
                }
            }
        }
    }
}
