// The parameters of one step as libpq wants them. Built in the caller's task, read by the session that sends them.

internal import Glibc

/// All parameters of one step in one allocation, with the offsets, lengths, formats and types libpq is given.
struct ParameterBuffer: Sendable {
    /// The OIDs of the parameter types, 0 where the server infers it.
    let types: [UInt32]
    /// The values one after the other; text is followed by a NUL because libpq reads it as a C string.
    private let bytes: [UInt8]
    /// Where each value starts in `bytes`, -1 for NULL.
    private let offsets: [Int]
    /// The length of each value in bytes.
    private let lengths: [Int32]
    /// 1 for binary, 0 for text.
    private let formats: [Int32]

    /// The largest message the server takes is 1 GiB (`PQ_LARGE_MESSAGE_LIMIT`); the margin is for the other fields.
    static let largestTotal = 0x3fff_0000

    /// Encodes parameters.
    ///
    /// - Parameters:
    ///   - values: the values in order.
    ///   - name: the statement's name, for errors.
    /// - Throws: ``PostgresError`` of code `invalidParameter` for text with a NUL byte, more than 65,535 parameters, or
    ///   more than 1 GiB in all.
    init(_ values: [Value], name: String) throws {
        guard !values.isEmpty else {
            // An array made through its storage, and left empty, has its count written: of all empty arrays the one.
            (bytes, offsets, types, formats, lengths) = ([], [], [], [], [])
            return
        }
        let sizes = values.map(\.content.size)
        let total = sizes.reduce(0) { $0 + $1 + 1 }
        guard values.count <= 65_535, total <= Self.largestTotal else {
            throw PostgresError(
                code: .invalidParameter, message: "\(values.count) parameters of \(total) bytes are too many",
                queryName: name)
        }
        var offsets: [Int] = []
        offsets.reserveCapacity(values.count)
        bytes = [UInt8](unsafeUninitializedCapacity: total) { buffer, count in
            count = 0
            guard let base = buffer.baseAddress else { return }
            let start = UnsafeMutableRawPointer(base)
            var writer = ByteWriter(at: start)
            for value in values {
                if case .null = value.content {
                    offsets.append(-1)
                    continue
                }
                offsets.append(writer.cursor - start)
                value.content.write(to: &writer)
                if !value.content.isBinary { writer.put(UInt8(0)) }
            }
            count = writer.cursor - start
        }
        self.offsets = offsets
        types = values.map(\.content.type)
        formats = values.map { $0.content.isBinary ? 1 : 0 }
        lengths = sizes.map { Int32(truncatingIfNeeded: $0) }
        if let index = firstCutText() {
            throw PostgresError(
                code: .invalidParameter, message: "parameter $\(index + 1) holds a NUL byte, which text cannot",
                queryName: name)
        }
    }

    /// The index of a text that libpq would cut short at a NUL byte inside it, nil when there is none.
    private func firstCutText() -> Int? {
        bytes.withUnsafeBytes { buffer -> Int? in
            guard let base = buffer.baseAddress else { return nil }
            for index in offsets.indices where formats[index] == 0 && offsets[index] >= 0 {
                if memchr(base + offsets[index], 0, Int(lengths[index])) != nil { return index }
            }
            return nil
        }
    }

    /// Lends the arrays in the form of `PQsendQueryParams`: values (nil for NULL), lengths, formats.
    func withPointers<Result>(
        _ body: (UnsafePointer<UnsafePointer<CChar>?>?, UnsafePointer<Int32>?, UnsafePointer<Int32>?) -> Result
    ) -> Result {
        if offsets.isEmpty { return body(nil, nil, nil) }
        return bytes.withUnsafeBytes { buffer in
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: offsets.count) { pointers in
                for index in offsets.indices {
                    let offset = offsets[index]
                    let address = offset < 0 ? nil : buffer.baseAddress.map { $0 + offset }
                    pointers.initializeElement(at: index, to: address?.assumingMemoryBound(to: CChar.self))
                }
                return lengths.withUnsafeBufferPointer { lengths in
                    formats.withUnsafeBufferPointer { formats in
                        body(UnsafePointer(pointers.baseAddress), lengths.baseAddress, formats.baseAddress)
                    }
                }
            }
        }
    }
}
