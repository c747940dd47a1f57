// Values that can be elements of a Postgres array in binary form. Used by ParameterBuffer for all array parameters.

/// Something with a binary form; the forms are those of the `*send` functions in Postgres' `utils/adt`.
protocol BinaryElement {
    /// The number of bytes written by ``write(to:)``; -1 for NULL, which writes nothing.
    var binarySize: Int { get }
    /// Writes the binary form.
    func write(to writer: inout ByteWriter)
}

extension FixedWidthInteger {
    /// The width of the integer in bytes.
    var binarySize: Int { MemoryLayout<Self>.size }
    /// Network byte order.
    @inline(__always)
    func write(to writer: inout ByteWriter) { writer.put(self) }
}

extension Int16: BinaryElement {}
extension Int32: BinaryElement {}
extension Int64: BinaryElement {}

extension Double: BinaryElement {
    /// Eight bytes.
    var binarySize: Int { 8 }
    /// The bit pattern in network byte order.
    @inline(__always)
    func write(to writer: inout ByteWriter) { writer.put(bitPattern) }
}

extension Bool: BinaryElement {
    /// One byte.
    var binarySize: Int { 1 }
    /// One byte, 0 or 1.
    @inline(__always)
    func write(to writer: inout ByteWriter) { writer.put(self ? UInt8(1) : UInt8(0)) }
}

extension UUIDBytes: BinaryElement {
    /// Sixteen bytes.
    var binarySize: Int { 16 }
    /// The sixteen bytes in order.
    @inline(__always)
    func write(to writer: inout ByteWriter) {
        writer.put(high)
        writer.put(low)
    }
}

extension String: BinaryElement {
    /// The length in UTF-8.
    var binarySize: Int { utf8.count }
    /// The UTF-8 bytes without a terminator.
    @inline(__always)
    func write(to writer: inout ByteWriter) { writer.put(self) }
}

extension [UInt8]: BinaryElement {
    /// The number of bytes.
    var binarySize: Int { count }
    /// The bytes.
    @inline(__always)
    func write(to writer: inout ByteWriter) { writer.put(self) }
}

extension Optional: BinaryElement where Wrapped: BinaryElement {
    /// The size of the value, -1 for nil.
    var binarySize: Int { self?.binarySize ?? -1 }
    /// The value, or nothing for nil.
    @inline(__always)
    func write(to writer: inout ByteWriter) { self?.write(to: &writer) }
}

extension Array where Element: BinaryElement {
    /// The size of the array's binary form (`array_send`): a header, then a length and the bytes of each element.
    var binaryArraySize: Int {
        // An empty array has no dimensions, so neither a length nor a lower bound.
        isEmpty ? 12 : reduce(20) { $0 + 4 + Swift.max(0, $1.binarySize) }
    }

    /// Writes the array's binary form: dimensions, whether NULLs occur, element type, length, lower bound, elements.
    func writeArray(of elementType: UInt32, to writer: inout ByteWriter) {
        writer.put(Int32(isEmpty ? 0 : 1))
        writer.put(Int32(contains { $0.binarySize < 0 } ? 1 : 0))
        writer.put(elementType)
        if isEmpty { return }
        writer.put(Int32(truncatingIfNeeded: count))
        writer.put(Int32(1))
        for element in self {
            writer.put(Int32(truncatingIfNeeded: element.binarySize))
            element.write(to: &writer)
        }
    }
}
