// The two forms of every chaos scenario: short in bin/test, long in bin/chaos. The same code, other numbers.

import Foundation

/// Which form runs.
enum Form {
    case short, long

    static let current: Form = ProcessInfo.processInfo.environment["POSTRIDER_CHAOS"] == "long" ? .long : .short

    /// A number of the form that runs.
    static func pick<Value>(short: Value, long: Value) -> Value { current == .long ? long : short }
}
