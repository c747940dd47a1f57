// A file of keys, and whether it is kept as one. Read by Settings.

internal import CProcess
internal import Glibc
internal import SystemPackage

/// Reads a file that only its owner may read.
enum KeyFile {
    /// The text of a key file.
    ///
    /// The file must belong to this process's user or to root and have no rights for anybody else (mode 600 or 400). One
    /// exception: a file of root's in memory (tmpfs, ramfs) that nobody else can write may be readable, because that is
    /// how Kubernetes and Swarm hand secrets to a container, whose users cannot change it.
    ///
    /// - Throws: ``KeyFileError``, which names the file and never its content.
    static func read(_ path: String) throws(KeyFileError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
        guard descriptor >= 0 else { throw KeyFileError(path, String(cString: strerror(errno))) }
        defer { close(descriptor) }
        // Of what was opened, not of the name, which may be another file a moment later.
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            throw KeyFileError(path, String(cString: strerror(errno)))
        }
        guard status.st_mode & S_IFMT == S_IFREG else { throw KeyFileError(path, "is no regular file") }
        if let fault = fault(
            mode: status.st_mode, owner: status.st_uid, user: geteuid(),
            isInMemory: postrider_is_in_memory(descriptor))
        {
            throw KeyFileError(path, fault)
        }
        guard status.st_size <= 1 << 20,
            let data = try? FileContents.bytes(of: FileDescriptor(rawValue: descriptor)),
            let text = String(validating: data, as: UTF8.self)
        else { throw KeyFileError(path, "is not a short text in UTF-8") }
        return text
    }

    /// What is wrong with the rights of a key file; nil when nothing is.
    static func fault(mode: mode_t, owner: uid_t, user: uid_t, isInMemory: Bool) -> String? {
        guard owner == user || owner == 0 else { return "belongs to another user" }
        let others = mode & 0o077
        if others == 0 || owner == 0 && isInMemory && others & 0o033 == 0 { return nil }
        return "can be read by others (mode \(String(mode & 0o777, radix: 8))): chmod 600"
    }
}

/// Why a key file was not read.
struct KeyFileError: Error, CustomStringConvertible {
    let description: String

    init(_ path: String, _ reason: String) { description = "\(path): \(reason)" }
}
