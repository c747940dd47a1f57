// Writes numbers and bytes in network order into memory sized beforehand. Used by ParameterBuffer only.

/// A cursor into memory that was allocated large enough; it does not check bounds.
struct ByteWriter {
    /// Where the next byte goes.
    private(set) var cursor: UnsafeMutableRawPointer

    init(at start: UnsafeMutableRawPointer) { cursor = start }

    /// Writes an integer in network byte order.
    @inline(__always)
    mutating func put<Number: FixedWidthInteger>(_ number: Number) {
        cursor.storeBytes(of: number.bigEndian, as: Number.self)
        cursor += MemoryLayout<Number>.size
    }

    /// Copies bytes as they are.
    @inline(__always)
    mutating func put(_ bytes: UnsafeRawBufferPointer) {
        if let base = bytes.baseAddress {
            cursor.copyMemory(from: base, byteCount: bytes.count)
            cursor += bytes.count
        }
    }

    /// Copies a text's UTF-8 bytes, without a terminator.
    @inline(__always)
    mutating func put(_ text: String) {
        var text = text
        text.withUTF8 { put(UnsafeRawBufferPointer($0)) }
    }

    /// Copies an array's bytes.
    @inline(__always)
    mutating func put(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { put($0) }
    }
}
