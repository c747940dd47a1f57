// A header line of a profile. Compiled with the profile, written by the request builder, read back by the verifier.

/// One header line of a profile, split at its colon.
struct HeaderTemplate: Sendable, Hashable {
    let name: String
    let value: Template

    /// Reads `Name: value`.
    init(_ line: String) throws(ProfileError) {
        guard let colon = line.firstIndex(of: ":") else { throw .headerWithoutColon(line) }
        name = String(line[..<colon])
        let text = line[line.index(after: colon)...].drop { $0 == " " }
        do {
            try HeaderField.validateName(name)
            try HeaderField.validateOwner(name)
            try HeaderField.validateValue(String(text))
        } catch {
            throw .header(name, error)
        }
        value = try Template(String(text), role: .header)
    }
}
