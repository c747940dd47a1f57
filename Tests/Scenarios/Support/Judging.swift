// Requests that arrived, on their way to the receivers in Python.

import Foundation
import TestSupport

extension Received {
    /// What a receiver in Python needs to judge this request.
    func judged(as profile: String, secret: String, event: PythonVerifier.Case.Known) -> PythonVerifier.Case {
        PythonVerifier.Case(
            profile: profile, secret: secret, headers: headers.map { "\($0.key): \($0.value)" }, body: body,
            unixSeconds: Int64(Date().timeIntervalSince1970), event: event)
    }
}
