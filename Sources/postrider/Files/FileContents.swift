// What stands in files and on standard input. Used by everything that reads one.

internal import SystemPackage

/// Reads whole files.
enum FileContents {
    /// The bytes of a file; a pipe or device is read to its end.
    ///
    /// - Parameter longest: the most that is read; what is longer ends there, one byte after it. Any length unless given.
    /// - Throws: `Errno`.
    static func bytes(_ path: String, longest: Int = .max - 1) throws -> [UInt8] {
        let file = try FileDescriptor.open(FilePath(path), .readOnly, options: .closeOnExec)
        return try file.closeAfter { try bytes(of: file, longest: longest) }
    }

    /// The bytes that an open file has yet.
    ///
    /// - Parameter longest: as for a path.
    /// - Throws: `Errno`.
    static func bytes(of file: FileDescriptor, longest: Int = .max - 1) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count <= longest {
            let size = min(1 << 16, longest + 1 - bytes.count)
            let part = try [UInt8](unsafeUninitializedCapacity: size) { space, count in
                count = try file.read(into: UnsafeMutableRawBufferPointer(space))
            }
            if part.isEmpty { break }
            bytes += part
        }
        return bytes
    }

    /// A file as text; nil when it cannot be read or is not UTF-8.
    static func text(_ path: String) -> String? {
        (try? bytes(path)).flatMap { String(validating: $0, as: UTF8.self) }
    }

    /// The bytes of a file, or of standard input for `-`.
    ///
    /// - Throws: ``CommandFailure`` when it cannot be read.
    static func given(_ path: String) throws -> [UInt8] {
        if path == "-", Session.readsTerminal {
            Session.remark("reading from the terminal, which shows it; Ctrl-D on a line of its own ends it")
        }
        do {
            return path == "-" ? try bytes(of: .standardInput) : try bytes(path)
        } catch {
            throw CommandFailure.failed("cannot read \(path == "-" ? "standard input" : path)")
        }
    }
}
