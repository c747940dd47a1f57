// A retry policy as the columns of a destination. Used by --retry-policy.

internal import Outbox

extension RetryPolicy {
    /// The columns of `webhook_destinations` that make this policy; all of them, so that it replaces the one before.
    ///
    /// Waits that grow by the same amount have no column and are listed one by one.
    var columns: Document {
        var columns: Document = [
            "max_attempts": maxAttempts, "base_delay_ms": baseDelay.milliseconds, "delay_factor": 1.0,
            "max_delay_ms": maxDelay.milliseconds, "jitter": jitter, "delays_ms": nil,
        ]
        switch growth {
        case .exponential(let factor): columns["delay_factor"] = factor
        case .constant: break
        case .linear:
            columns["delays_ms"] = (1..<max(1, maxAttempts)).map {
                min(baseDelay * $0, maxDelay).milliseconds
            }
        case .explicit(let delays): columns["delays_ms"] = delays.map(\.milliseconds)
        }
        return columns
    }
}

extension Duration {
    fileprivate var milliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}
