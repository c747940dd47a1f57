// Walks the elements of an array value. Used by the getters in Row+Arrays.

extension Row {
    /// The elements of an array without NULLs.
    ///
    /// - Parameters:
    ///   - column: the column's position.
    ///   - type: the wanted element type; nil leaves the check to `decode`.
    ///   - decode: turns one element into a Swift value.
    @inline(__always)
    func elements<Element>(
        _ column: Int, of type: UInt32?, _ decode: (Field) throws -> Element
    ) throws -> [Element] {
        try withField(column) { field in
            var elements: [Element] = []
            try field.forEachElement(column, of: type, reserve: { elements.reserveCapacity($0) }) { element in
                guard let element else { throw failure(column, "holds a NULL element") }
                elements.append(try decode(element))
            }
            return elements
        }
    }

    /// The elements of an array, nil for NULL.
    ///
    /// - Parameters:
    ///   - column: the column's position.
    ///   - type: the wanted element type; nil leaves the check to `decode`.
    ///   - decode: turns one element into a Swift value.
    @inline(__always)
    func elementsOrNil<Element>(
        _ column: Int, of type: UInt32?, _ decode: (Field) throws -> Element
    ) throws -> [Element?] {
        try withField(column) { field in
            var elements: [Element?] = []
            try field.forEachElement(column, of: type, reserve: { elements.reserveCapacity($0) }) { element in
                elements.append(try element.map(decode))
            }
            return elements
        }
    }
}

extension Field {
    /// Calls the closure for every element of a one-dimensional array, nil for NULL.
    ///
    /// The form is that of `array_send`: dimensions, a flag for NULLs, element type, then per dimension length and
    /// lower bound, then each element's length (-1 for NULL) and bytes. Lengths are checked against the bytes at hand.
    @inline(__always)
    func forEachElement(
        _ column: Int, of wanted: UInt32?, reserve: (Int) -> Void, _ body: (Field?) throws -> Void
    ) throws {
        guard isBinary, bytes.count >= 12, load(as: Int32.self) <= 1, load(as: Int32.self) >= 0 else {
            throw mismatch(column, "a one-dimensional array")
        }
        let elementType = load(8, as: UInt32.self)
        if let wanted, wanted != elementType { throw mismatch(column, "an array of type \(wanted)") }
        if load(as: Int32.self) == 0 { return }
        guard bytes.count >= 20 else { throw row.failure(column, "is an array cut short") }
        let count = Int(load(12, as: Int32.self))
        guard count >= 0, count <= bytes.count / 4 else { throw row.failure(column, "is an array cut short") }
        reserve(count)
        var offset = 20
        for _ in 0..<count {
            guard offset + 4 <= bytes.count else { throw row.failure(column, "is an array cut short") }
            let length = Int(load(offset, as: Int32.self))
            offset += 4
            if length < 0 {
                try body(nil)
                continue
            }
            guard offset + length <= bytes.count else { throw row.failure(column, "is an array cut short") }
            let slice = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + length])
            try body(Field(bytes: slice, type: elementType, isBinary: true, row: row))
            offset += length
        }
    }
}
