// What is wrong with a request, as its receiver says it. Thrown by RequestVerifier.

/// Why a request is not to be trusted.
public enum VerificationError: Error, Equatable, CustomStringConvertible {
    /// The profile does not sign.
    case unsignedProfile
    /// A header, or a value that a header should have carried, is not there.
    case missingHeader(String)
    /// A header does not have the form that the profile gives it.
    case header(String)
    /// The timestamp is more than five minutes away.
    case timestamp
    /// The timestamp is not a time in the form that the profile gives it.
    case timestampForm
    /// The canonical form is signed, and the body is not JSON.
    case body
    /// No signature was made by one of the secrets over these bytes.
    case signature

    /// The reason in one line.
    public var description: String {
        switch self {
        case .unsignedProfile: "the profile does not sign its requests"
        case .missingHeader(let name): "missing: \(name)"
        case .header(let name): "header \(name) has another form than the profile gives it"
        case .timestamp: "the timestamp is more than 5 minutes off"
        case .timestampForm: "the timestamp cannot be read"
        case .body: "the body is not JSON"
        case .signature: "no signature matches"
        }
    }
}
