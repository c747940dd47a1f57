// All profiles that destinations can name. Filled by the store with what operators added, asked for each destination.

/// Profiles by name: the built-in ones, and those that operators added.
public struct ProfileCatalog: Sendable {
    private var added: [String: Result<Profile, ProfileError>] = [:]

    /// The built-in profiles alone.
    public init() {}

    /// Adds a profile in its JSON form. One that does not compile is kept with its fault, which whoever asks for it is
    /// told. Built-in profiles cannot be replaced.
    public mutating func add(_ name: String, json text: [UInt8]) {
        do throws(ProfileError) {
            added[name] = .success(try Profile(parsing: text))
        } catch {
            added[name] = .failure(error)
        }
    }

    /// The names of all profiles, ascending, those that do not compile too.
    public var names: [String] { Set(Profile.builtIn.keys).union(added.keys).sorted() }

    /// The profiles that operators added and that compile, ascending by name.
    public var addedProfiles: [Profile] {
        added.sorted { $0.key < $1.key }.compactMap { try? $0.value.get() }
    }

    /// The profile of a name.
    ///
    /// - Throws: `ProfileCatalogError`.
    public func profile(_ name: String) throws(ProfileCatalogError) -> Profile {
        if let profile = Profile.builtIn[name] { return profile }
        switch added[name] {
        case .success(let profile): return profile
        case .failure(let error): throw .broken(name, error)
        case nil: throw .unknown(name, known: names)
        }
    }
}

/// Why there is no profile of a name.
public enum ProfileCatalogError: Error, Equatable, CustomStringConvertible {
    /// Nobody added it.
    case unknown(String, known: [String])
    /// It stands in its row and does not compile.
    case broken(String, ProfileError)

    /// The reason in one line.
    public var description: String {
        switch self {
        case .unknown(let name, let known):
            "there is no profile \(name.debugDescription); there are \(known.joined(separator: ", "))"
        case .broken(let name, let error): "profile \(name.debugDescription) cannot be used: \(error)"
        }
    }
}
