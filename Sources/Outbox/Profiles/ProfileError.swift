// What can be wrong with a profile. Shown to the operator who adds one.

/// Why a profile was refused.
public enum ProfileError: Error, Equatable, CustomStringConvertible {
    /// A name between braces that means nothing.
    case unknownVariable(String)
    /// A variable that exists, but not in this kind of template.
    case variableNotAllowed(String, in: String)
    /// A header line without a colon.
    case headerWithoutColon(String)
    /// A header name or value that cannot be sent.
    case header(String, HeaderFieldError)
    /// The same header name twice.
    case repeatedHeader(String)
    /// A header wants a signature, and the profile has no recipe for one.
    case signatureWithoutRecipe(header: String)
    /// The signed string does not contain the body, or contains it twice.
    case bodyNotSignedOnce
    /// The envelope, rendered, is not JSON.
    case envelopeIsNotJSON(reason: String)
    /// The profile signs, and no header carries the signature.
    case signatureNotSent
    /// An Ed25519 prefix, and secrets of a form that has no Ed25519 keys.
    case ed25519WithoutStandardSecrets
    /// A separator of nothing, which would glue signatures together.
    case emptySeparator
    /// A name that is not 1 to 64 of `a-z 0-9 _ -`, the first a letter.
    case name(String)
    /// A member of a profile's JSON form that is missing, unknown or of the wrong type.
    case member(String, reason: String)

    /// The reason in one line.
    public var description: String {
        switch self {
        case .unknownVariable(let name):
            "unknown variable {\(name)}; known are "
                + Template.Variable.allCases.map { "{\($0.rawValue)}" }.joined(separator: ", ")
        case .variableNotAllowed(let name, let role): "variable {\(name)} cannot be used in a template of kind \(role)"
        case .headerWithoutColon(let line): "header line \(line.debugDescription) is not of the form 'Name: value'"
        case .header(let name, let error): "header \(name.debugDescription): \(error)"
        case .repeatedHeader(let name): "header \(name.debugDescription) is there twice"
        case .signatureWithoutRecipe(let name):
            "header \(name.debugDescription) uses {signature}, but the profile does not sign"
        case .bodyNotSignedOnce: "the signed string must contain {body} or {body.canonical} exactly once"
        case .envelopeIsNotJSON(let reason): "the envelope does not become JSON: \(reason)"
        case .signatureNotSent: "no header has {signature}, so receivers would not get what is signed"
        case .ed25519WithoutStandardSecrets: "an Ed25519 prefix needs secrets of the form standard"
        case .emptySeparator: "the separator must not be empty; without one the newest secret alone signs"
        case .name(let name):
            "\(name.debugDescription) is no name of a profile: 1 to 64 of a-z 0-9 _ -, the first a letter"
        case .member(let member, let reason): "\(member): \(reason)"
        }
    }
}
