// What a settlement does with a delivery that is not delivered. Made by the dispatcher of the verdict on an attempt.

/// What happens to a delivery after an attempt that failed, or instead of an attempt.
public enum NextStep: Sendable, Hashable {
    /// It is tried again after so many milliseconds.
    case retry(afterMilliseconds: Int64)
    /// It waits until its destination is active again.
    case park
    /// It is a dead letter.
    case dead
    /// It is a dead letter, unless fewer than `budget` of its attempts counted: then it is tried again after so many
    /// milliseconds.
    case exhausted(budget: Int16, graceMilliseconds: Int64)
    /// Nothing is sent, and it blames nobody: the destination's transform dropped it, its payload was erased, or it is of
    /// another organization or user.
    case drop

    /// The wait as `AttemptRecordFailed` and `DeliverySnooze` take it: milliseconds, -1 to park, -2 for nothing more, nil for a
    /// dead letter.
    var milliseconds: Int64? {
        switch self {
        case .retry(let milliseconds): max(0, milliseconds)
        case .park: -1
        case .dead, .exhausted: nil
        case .drop: -2
        }
    }
}
