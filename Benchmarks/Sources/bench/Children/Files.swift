// Reading and writing whole files, those of /proc among them, whose size is not known before.

import Glibc

/// The bytes of a file.
///
/// - Throws: ``BenchError`` when it cannot be read.
func readFile(_ path: String) throws -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw BenchError("\(path) cannot be read: \(String(cString: strerror(errno)))") }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = read(file, &buffer, buffer.count)
        guard count > 0 else { return bytes }
        bytes += buffer[..<count]
    }
}

/// Writes a file, or to standard output when the path is "-".
///
/// - Throws: ``BenchError`` when it cannot be written.
func writeFile(_ path: String, _ bytes: [UInt8]) throws {
    let file = path == "-" ? dup(STDOUT_FILENO) : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw BenchError("\(path) cannot be written: \(String(cString: strerror(errno)))") }
    defer { close(file) }
    var done = 0
    while done < bytes.count {
        let count = bytes[done...].withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        guard count > 0 else { throw BenchError("\(path) cannot be written.") }
        done += count
    }
}

/// A file of text, or nothing when it cannot be read.
func readText(_ path: String) -> String? {
    (try? readFile(path)).map { String(decoding: $0, as: UTF8.self) }
}

/// The records of a file that a C program wrote.
///
/// - Throws: ``BenchError`` when it cannot be read.
func readRecords<Record>(_ path: String, as type: Record.Type) throws -> [Record] {
    let bytes = try readFile(path)
    return bytes.withUnsafeBytes { bytes in
        (0..<bytes.count / MemoryLayout<Record>.stride).map {
            bytes.loadUnaligned(fromByteOffset: $0 * MemoryLayout<Record>.stride, as: Record.self)
        }
    }
}
