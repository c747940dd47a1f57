// A file system of 24 MB with the attempts of this week on it, filled to the last page.

import Foundation
import Glibc
import Postgres
import TestSupport

/// Mounted for one test. Root only.
struct FullDisk {
    static var isPossible: Bool { getuid() == 0 }

    private let outpost: Outpost
    private let folder: String
    private let name: String

    init(_ outpost: Outpost) async throws {
        self.outpost = outpost
        let mark = UUID().uuidString.prefix(8).lowercased()
        folder = "/tmp/postrider-disk-\(mark)"
        name = "disk_\(mark)"
        try Command.run("mkdir \(folder) && mount -t tmpfs -o size=24m,mode=0777 postrider \(folder) && mkdir -m 0777 \(folder)/space")
        let directory = try await outpost.text("SHOW data_directory")
        try Command.run("chown --reference=\(directory) \(folder)/space && chmod 0700 \(folder)/space")
        try await outpost.sql("CREATE TABLESPACE \(name) LOCATION '\(folder)/space'")
        let partition = try await outpost.text(
            """
            SELECT 'postrider.' || quote_ident('webhook_attempts_' || to_char(date_trunc('week', now() AT TIME ZONE 'UTC'), 'IYYY_IW'))
            """)
        try await outpost.sql("ALTER TABLE \(partition) SET TABLESPACE \(name)")
    }

    /// Takes all the room there is.
    func fill() async throws {
        try await outpost.sql("CREATE TABLE filler (content text) TABLESPACE \(name)")
        for _ in 0..<10_000 {
            do {
                try await outpost.sql(
                    "INSERT INTO filler SELECT string_agg(md5(random()::text || i), '') FROM generate_series(1, 200) AS i, generate_series(1, 20) AS n GROUP BY n"
                )
            } catch let error as PostgresError where error.sqlState == "53100" {
                return
            }
        }
        throw Timeout(what: "the disk to be full")
    }

    /// Gives room again.
    func makeRoom() async throws { try await outpost.sql("DROP TABLE filler") }

    /// Takes the database off the disk, so that it can be unmounted.
    func detach() async throws {
        try await outpost.sql("ALTER TABLE ALL IN TABLESPACE \(name) SET TABLESPACE pg_default")
        try await outpost.sql("CHECKPOINT")
        try await outpost.sql("DROP TABLESPACE \(name)")
    }

    func remove() {
        // What a failed test left is gone with the cluster; a lazy unmount waits for nobody.
        do { try Command.run("umount -l \(folder); rmdir \(folder)") } catch { print("not removed: \(folder): \(error)") }
    }
}

/// Shell commands of tests, away from Foundation's `Process`, whose children inherit sockets.
enum Command {
    /// Runs a command of which nothing comes from outside, and waits for its end.
    ///
    /// - Throws: ``Timeout`` when it fails.
    static func run(_ command: String) throws {
        let words = ["/bin/sh", "-c", "\(command) >/dev/null 2>&1 </dev/null"]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var child: pid_t = 0
        var status: Int32 = 0
        guard posix_spawn(&child, "/bin/sh", nil, nil, &arguments, environ) == 0 else { throw Timeout(what: command) }
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        guard status == 0 else { throw Timeout(what: "\(command), status \(status)") }
    }
}
