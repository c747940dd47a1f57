// Names as keys. Used where destinations and settings are found by whose they are, and functions by what they are called.

import Glibc

/// A text that equals another one only byte for byte, as in Postgres.
///
/// A `String` equals every text that writes the same letters, é in one code point or in two: as a key it would give one
/// organization what belongs to another.
public struct ExactText: Hashable, Sendable {
    /// The text.
    public let text: String

    /// Wraps a text.
    public init(_ text: String) { self.text = text }

    /// Whether both have the same bytes.
    public static func == (left: ExactText, right: ExactText) -> Bool {
        let isSame = left.text.utf8.withContiguousStorageIfAvailable { bytes in
            right.text.utf8.withContiguousStorageIfAvailable { others in
                guard bytes.count == others.count, let start = bytes.baseAddress, let other = others.baseAddress else {
                    return bytes.isEmpty && others.isEmpty
                }
                return memcmp(start, other, bytes.count) == 0
            }
        }
        return isSame.flatMap(\.self) ?? left.text.utf8.elementsEqual(right.text.utf8)
    }

    /// Hashes the text; equal bytes are equal text.
    public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}
