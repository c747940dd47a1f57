// Lengths of time as people write them: 500ms, 30s, 1.5s, 2m, 1h, 7d. Used by options and settings.

internal import ArgumentParser

/// A length of time on the command line.
struct TimeArgument: ExpressibleByArgument, Sendable {
    let duration: Duration

    init?(argument: String) {
        guard let duration = Self.parse(argument) else { return nil }
        self.duration = duration
    }

    /// Whole milliseconds.
    var milliseconds: Int64 {
        duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
    }

    /// Seconds with their fraction.
    var seconds: Double { Double(milliseconds) / 1000 }

    /// Reads a number and a unit; nil for anything else. Up to ten years.
    static func parse(_ text: String) -> Duration? {
        let units: [(suffix: String, seconds: Double)] = [
            ("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600), ("d", 86_400),
        ]
        for unit in units where text.hasSuffix(unit.suffix) {
            let digits = text.dropLast(unit.suffix.count)
            guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && ($0.isNumber || $0 == ".") }),
                let number = Double(digits), number * unit.seconds <= 315_360_000
            else { continue }
            return .milliseconds((number * unit.seconds * 1000).rounded())
        }
        return nil
    }
}

extension TimeArgument {
    private init(_ duration: Duration) { self.duration = duration }

    /// 24 hours.
    static let day = TimeArgument(.seconds(86_400))

    /// How help shows a default.
    var defaultValueDescription: String { "\(milliseconds / 3_600_000)h" }
}
