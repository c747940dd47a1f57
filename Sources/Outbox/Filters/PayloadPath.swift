// Where in a payload a filter or a template looks. Read from options.

/// A way from the root of a payload: one member name after the other.
///
/// Written with dots, `customer.address.city`. Names that hold a dot or are reserved are written as a JSON Pointer
/// (RFC 6901), which begins with a slash: `/a.b/any`, with `~1` for a slash and `~0` for a tilde in a name.
struct PayloadPath: Hashable, Sendable {
    /// The most names of a path; 32.
    static let mostNames = 32

    /// The names as UTF-8; at least one.
    let names: [[UInt8]]

    /// Reads a path.
    ///
    /// - Throws: `OptionError`.
    init(_ text: String) throws(OptionError) {
        names = text.utf8.first == UInt8(ascii: "/") ? try Self.pointed(text) : try Self.dotted(text)
        guard names.count <= Self.mostNames else {
            throw OptionError("the path \(text.debugDescription) has more than \(Self.mostNames) names")
        }
    }

    /// Whether the other path leads to this value or to one inside of it.
    func covers(_ other: PayloadPath) -> Bool { other.names.starts(with: names) }

    private static func dotted(_ text: String) throws(OptionError) -> [[UInt8]] {
        let names = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map { Array($0) }
        if names.contains(where: \.isEmpty) {
            throw OptionError(
                "the path \(text.debugDescription) has an empty name; a name that holds a dot is written /a.b")
        }
        return names
    }

    private static func pointed(_ text: String) throws(OptionError) -> [[UInt8]] {
        var names: [[UInt8]] = []
        for part in text.utf8.dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            var name: [UInt8] = []
            var isEscaped = false
            for byte in part {
                switch (isEscaped, byte) {
                case (true, UInt8(ascii: "0")): name.append(UInt8(ascii: "~"))
                case (true, UInt8(ascii: "1")): name.append(UInt8(ascii: "/"))
                case (true, _): throw OptionError("in the path \(text.debugDescription) ~ must be written as ~0")
                case (false, UInt8(ascii: "~")): break
                case (false, _): name.append(byte)
                }
                isEscaped = !isEscaped && byte == UInt8(ascii: "~")
            }
            if isEscaped { throw OptionError("in the path \(text.debugDescription) ~ must be written as ~0") }
            names.append(name)
        }
        return names
    }
}
