// `postrider keys`.

internal import ArgumentParser
internal import FoundationEssentials
internal import Outbox
internal import OutboxStore

/// The keys that secrets are sealed with.
struct Keys: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make keys for secrets at rest, tell what they seal, and change them.",
        discussion: """
            POSTRIDER_SECRET_KEYS (name:base64, several with commas) or POSTRIDER_SECRET_KEYS_FILE (one a line) hold the \
            keys: the first seals, all open. To change keys, put a new one in front everywhere, restart the workers one \
            after the other, run 'postrider keys rotate', and take the old one away when neither 'postrider keys status' nor \
            'postrider sealed-types keys' shows anything of it: payloads stay sealed with the key of their day.
            """,
        subcommands: [Generate.self, Status.self, Rotate.self])

    /// `postrider keys generate`.
    struct Generate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print a new key as a line for POSTRIDER_SECRET_KEYS_FILE.",
            discussion: """
                It is stored nowhere: without it nothing that it sealed can be read again, so keep a copy apart from the \
                database's backups.

                  (umask 077; postrider keys generate >> /etc/postrider/keys)
                """)
        @Option(help: "Name of the key (k and today's date).") var name: String?

        func run() async throws {
            var generator = SystemRandomNumberGenerator()
            do {
                print(try KeyRing.newLine(name: name ?? Self.nameOfToday(), using: &generator))
            } catch {
                throw CommandFailure.failed("--name: \(error)")
            }
        }

        private static func nameOfToday() -> String {
            "k" + Date().ISO8601Format(.iso8601.year().month().day().dateSeparator(.omitted))
        }
    }

    /// `postrider keys status`.
    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tell how many secrets stand under each key, and how many readable.",
            discussion: """
                The proof of a name tells whether the key here is the one that seals under it: 'opens'; 'wrong' for another key, \
                with which nothing is sealed and no worker starts; 'none' when nothing was ever sealed with it.
                """)
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                let uses = try await SecretStore.census(on: session.raw)
                var proofs = KeyStore.Proofs()
                if let keys = session.keys { proofs = try await KeyStore.load(keys, on: session.raw) }
                let lines = KeyLine.all(uses, ring: session.keys, proofs)
                if output.json {
                    for line in lines { print(line.json) }
                    return
                }
                var table = Table(headings: ["key", "state", "secrets", "expired", "headers", "settings", "proof"])
                table.rows = lines.map {
                    [
                        "\($0.name)", $0.state, "\($0.secrets)", "\($0.expired)", "\($0.headers)", "\($0.settings)",
                        $0.proof,
                    ]
                }
                for line in table.lines() { print(line) }
            }
        }
    }

    /// `postrider keys rotate`.
    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Seal every secret with the first key: what stands readable, and what other keys sealed.",
            discussion: """
                Workers go on meanwhile and need not load anything. Stopped half-way, it goes on where it stopped when it \
                is run again. Exit status 1 when a secret that signs cannot be opened with the keys there are.
                """)
        @Flag(help: "Count what would be sealed, and seal nothing.") var dryRun = false
        @OptionGroup var output: OutputOptions

        func run() async throws {
            try await Session.with { session in
                guard let keys = session.keys else {
                    throw CommandFailure.failed("there are no keys: set POSTRIDER_SECRET_KEYS or _FILE")
                }
                // As sealing does it, but writing no proof.
                guard try await !KeyStore.load(keys, on: session.raw).unopened.contains(keys.first) else {
                    throw SealingError.wrongKey(keys.first)
                }
                let before = try await SecretStore.census(on: session.raw).filter { $0.key != keys.first }
                let total = before.reduce(0) { $0 + $1.secrets + $1.expired + $1.headers + $1.settings }
                if dryRun { return tell(total, "would be sealed", keys) }
                var told = 0
                try await SecretStore.seal(.all, with: keys, on: session.raw) { progress in
                    guard progress.sealed > told else { return }
                    told = progress.sealed
                    Session.remark("sealed \(told) of \(total)")
                }
                tell(told, "sealed", keys)
                try await Self.checkRest(session, keys)
            }
        }

        private func tell(_ count: Int, _ what: String, _ keys: KeyRing) {
            print(
                output.json
                    ? Record(["count": count, "key": keys.first]).text : "\(count) \(what) with key '\(keys.first)'")
        }

        /// Tells what is left; expired secrets do not sign, so they need no key.
        private static func checkRest(_ session: Session, _ keys: KeyRing) async throws {
            let rest = try await SecretStore.census(on: session.raw).filter { $0.key != keys.first }
            let faults = rest.filter { $0.secrets + $0.headers + $0.settings > 0 }.map { use in
                let count = use.secrets + use.headers + use.settings
                return switch use.key {
                case nil: Plural.text(count, "stands", "stand") + " readable still: run it again"
                case let name? where keys.contains(name):
                    Plural.text(count, "does", "do") + " not open with key '\(name)': altered, copied, or another key"
                case let name?:
                    Plural.text(count, "is", "are")
                        + " sealed with key '\(name)', which is not in POSTRIDER_SECRET_KEYS"
                }
            }
            if !faults.isEmpty { throw CommandFailure.failed(faults.joined(separator: "; ")) }
        }
    }
}

/// A line of `postrider keys status`.
struct KeyLine {
    /// The key's name; `(readable)` for what is not sealed.
    let name: String
    /// `seals`, `opens`, `missing`, or `-` for what is not sealed.
    let state: String
    let secrets: Int
    let expired: Int
    let headers: Int
    let settings: Int
    /// Whether the key is the one that seals under its name: `opens`, `wrong`, `none` without a proof; `-` when the ring lacks it.
    let proof: String

    /// What stands readable, the keys of the ring in their order, and the keys that it lacks.
    static func all(_ uses: [SecretStore.KeyUse], ring: KeyRing?, _ proofs: KeyStore.Proofs) -> [KeyLine] {
        let known = ring?.names ?? []
        let lacking = uses.compactMap(\.key).filter { !known.contains($0) }
        let names: [String?] = [nil] + known + lacking
        return names.map { name in
            let use = uses.first { $0.key == name }
            return KeyLine(
                name: name ?? "(readable)", state: state(of: name, ring), secrets: use?.secrets ?? 0,
                expired: use?.expired ?? 0, headers: use?.headers ?? 0,
                settings: use?.settings ?? 0, proof: proof(of: name, ring, proofs))
        }
    }

    private static func state(of name: String?, _ ring: KeyRing?) -> String {
        guard let name else { return "-" }
        return ring?.first == name ? "seals" : ring?.contains(name) == true ? "opens" : "missing"
    }

    private static func proof(of name: String?, _ ring: KeyRing?, _ proofs: KeyStore.Proofs) -> String {
        guard let name, ring?.contains(name) == true else { return "-" }
        return proofs.opened.contains(name) ? "opens" : proofs.unopened.contains(name) ? "wrong" : "none"
    }

    /// One line for machines.
    var json: String {
        Record([
            "key": name, "state": state, "secrets": secrets, "expired": expired, "headers": headers,
            "settings": settings, "proof": proof,
        ]).text
    }
}
