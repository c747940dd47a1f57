// Random numbers that spread retries. Used by the dispatcher for every exchange that ends.

/// Numbers that nobody need foresee or be kept from foreseeing. Swift's own generator asks the kernel for each of them, a
/// system call for every delivery; this is SplitMix64 (Steele, Lea, Flood 2014).
struct Jitter: Sendable {
    private var state: UInt64

    /// - Parameter seed: another one for each worker.
    init(seed: UInt64) { state = seed }

    /// The next number, 0 ..< 1.
    mutating func next() -> Double {
        state &+= 0x9e37_79b9_7f4a_7c15
        var bits = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        return Double((bits ^ (bits >> 31)) >> 11) * 0x1p-53
    }
}
