// A text of an operator that names settings. Read from headers and options of a destination; filled in when it is loaded.

/// A text in which `${NAME}` stands for a setting, and `$${` for `${` itself.
public struct ReferenceText: Sendable, Equatable {
    private enum Part: Sendable, Equatable {
        case literal(String)
        case reference(String)
    }

    private let parts: [Part]

    /// Reads a text.
    ///
    /// - Throws: `OptionError` for a `${` that begins no reference; never quotes the text.
    public init(_ text: String) throws(OptionError) {
        var parts: [Part] = []
        var literal: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.first {
            if rest.starts(with: "$${".utf8) {
                literal += Array("${".utf8)
                rest = rest.dropFirst(3)
            } else if rest.starts(with: "${".utf8) {
                let name = rest.dropFirst(2).prefix { $0 != UInt8(ascii: "}") }
                guard Self.isName(name), name.endIndex < rest.endIndex else {
                    throw OptionError("holds ${ without a name behind it: write ${NAME}, or $${ for ${ itself")
                }
                if !literal.isEmpty { parts.append(.literal(String(decoding: literal, as: UTF8.self))) }
                literal = []
                parts.append(.reference(String(decoding: name, as: UTF8.self)))
                rest = rest[(name.endIndex + 1)...]
            } else {
                literal.append(byte)
                rest = rest.dropFirst()
            }
        }
        if !literal.isEmpty { parts.append(.literal(String(decoding: literal, as: UTF8.self))) }
        self.parts = parts
    }

    /// The name, when the text is one reference and nothing else.
    public var onlyName: String? {
        guard parts.count == 1, case .reference(let name) = parts[0] else { return nil }
        return name
    }

    /// The text with its references filled in.
    ///
    /// - Parameter value: the value of a name.
    /// - Throws: ``SettingFault``, what `value` throws.
    public func expanded(_ value: (String) throws(SettingFault) -> String) throws(SettingFault) -> String {
        var text = ""
        for part in parts {
            switch part {
            case .literal(let literal): text += literal
            case .reference(let name): text += try value(name)
            }
        }
        return text
    }

    /// Whether a text can name a setting: a letter or underscore, then letters, digits and underscores, at most 128, all ASCII.
    public static func isName(_ text: some StringProtocol) -> Bool { isName(Array(text.utf8)[...]) }

    private static func isName(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let first = bytes.first, bytes.count <= 128, !(0x30...0x39).contains(first) else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"): true
            default: false
            }
        }
    }
}

/// Why what a destination names cannot be used by this process, now: something is missing, not allowed, or not of the
/// right form. Another process may have it, and it may come later. Never contains a value.
public struct SettingFault: Error, Equatable, CustomStringConvertible {
    /// What is missing and who can help, in one line.
    public let description: String

    /// Makes a fault.
    public init(_ description: String) { self.description = description }
}
