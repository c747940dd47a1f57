// What is here: the judgement of one address, permitted or refused.
// Called by: the name lookups (all answers at once) and the dial itself (the very address), and by checks at creation.

public import Glibc

/// Decides which addresses may be dialed: public ones, and those in networks that were allowed by setting.
///
/// Refused are every range that is not public in either family, forms that carry such an address inside another, and
/// the addresses of this machine. IPv4-mapped, IPv4-compatible, 6to4 and Teredo addresses are refused as such; a NAT64
/// address is judged by the IPv4 address inside it.
public struct AddressGuard: Sendable {
    /// The networks that are permitted although they lie in a refused range. Empty by default.
    public let allowed: [Network]

    /// A guard that permits public addresses and the given networks.
    public init(allowing networks: [Network] = []) {
        allowed = networks
    }

    /// Whether the address may be dialed. Any thread may ask; this machine's own addresses may be 5 s old.
    public func permits(_ address: IPAddress) -> Bool {
        let inner = address.translated ?? address.mapped
        for network in allowed where network.contains(address) || inner.map(network.contains) == true { return true }
        if RefusedRanges.contain(address) || OwnAddresses.shared.contain(address) { return false }
        guard let inner else { return true }
        return !OwnAddresses.shared.contain(inner)
    }

    /// Whether the socket address may be dialed; false when it is neither IPv4 nor IPv6.
    ///
    /// The pointer must lead to as many bytes as its family asks for.
    public func permits(_ address: UnsafePointer<sockaddr>) -> Bool {
        IPAddress(address).map { permits($0) } ?? false
    }
}
