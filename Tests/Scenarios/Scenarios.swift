// The whole worker against a real Postgres and real receivers.

import Testing

/// All scenarios, one after the other: they wait for processes and measure what two cores do, and would disturb each other.
@Suite(.serialized) enum Scenarios {}
