// What is here: the addresses of this machine's own interfaces, read again when they have grown old.
// Called by: AddressGuard, from whatever thread judges.

import Glibc
import Synchronization

/// The machine's own addresses, at most `maximumAge` old.
final class OwnAddresses: Sendable {
    /// The one list of the process.
    static let shared = OwnAddresses()

    /// How long a reading stands, in nanoseconds: interfaces come and go, but a judgement per dial must stay cheap.
    static let maximumAge: Int64 = 5_000_000_000

    private struct Reading {
        var addresses: Set<IPAddress> = []
        var takenAt: Int64?
    }

    private let reading = Mutex(Reading())

    /// Whether the address belongs to an interface of this machine.
    func contain(_ address: IPAddress) -> Bool {
        reading.withLock { reading in
            let now = Ticks.now
            if reading.takenAt.map({ now - $0 > Self.maximumAge }) ?? true {
                // A failed reading keeps the previous one: the fixed ranges still protect.
                if let addresses = Self.read() { reading.addresses = addresses }
                reading.takenAt = now
            }
            return reading.addresses.contains(address)
        }
    }

    /// The addresses of all interfaces, nil when the kernel does not tell. Source: `getifaddrs(3)`.
    private static func read() -> Set<IPAddress>? {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return nil }
        defer { freeifaddrs(list) }
        var addresses: Set<IPAddress> = []
        var entry = list
        while let interface = entry?.pointee {
            if let address = interface.ifa_addr.flatMap({ IPAddress($0) }) { addresses.insert(address) }
            entry = interface.ifa_next
        }
        return addresses
    }
}
