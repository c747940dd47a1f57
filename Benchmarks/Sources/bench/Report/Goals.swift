// The goals of this product. What was not measured in a run has no verdict.

extension Goal {
    private static func place(_ scenario: String, _ variant: String, _ figure: String) -> Comparison.Place {
        Comparison.Place(scenario: scenario, variant: variant, figure: figure)
    }

    private static func figure(_ scenario: String, _ variant: String, _ figure: String) -> Source {
        .figure(place(scenario, variant, figure))
    }

    /// All of them, in the order of the table.
    static let all: [Goal] = delivering + waiting + producing + lasting + scaling + resting

    private static let delivering = [
        Goal("drain, two workers", figure("drain", Drain.variant, "deliveries"), .atLeast(20_000), "/s"),
        Goal("drain, 8 destinations, fan-out 3", figure("fan-out", "", "deliveries"), .atLeast(25_000), "/s"),
        Goal(
            "sustained, producers flat out",
            figure("producers", ProducerVariant.workers.rawValue, "delivered meanwhile"), .atLeast(10_000), "/s"),
        Goal(
            "worker CPU of a delivery", figure("drain", Drain.variant, "worker CPU per delivery"), .atMost(40), "µs"),
        Goal(
            "drain to receivers with TLS, of the same without",
            .share(
                place("tls", TLSVariant.tls.rawValue, "deliveries"),
                of: place("tls", TLSVariant.plain.rawValue, "deliveries")), .atLeast(50), "%"),
        Goal(
            "WAL of an event",
            .sum([
                place("backlog", BacklogVariant.bare.rawValue, "WAL of an insert"),
                place("backlog", BacklogVariant.bare.rawValue, "WAL of the rest"),
            ]), .atMost(1100), "B"),
    ]

    private static let waiting =
        [("200", 0.7, 2.0), ("1,000", 1, 3), ("5,000", 3, 15)].flatMap { rate, p50, p99 in
            [("p50", p50), ("p99", p99)].map { name, most in
                Goal(
                    "commit to request at \(rate)/s, \(name)",
                    figure("latency", "\(rate) events/s", "commit to request \(name)"), .atMost(most), "ms")
            }
        } + [
            Goal(
                "one event on an idle system, p99", figure("single", "one event", "commit to request p99"), .atMost(5),
                "ms"),
            Goal(
                "one event, notifications deaf, p99", figure("single", "deaf", "commit to request p99"), .atMost(40),
                "ms"),
            Goal(
                "live p99 during a replay",
                .share(
                    place("replay", "200 events/s, during", "commit to request p99"),
                    of: place("replay", "200 events/s, alone", "commit to request p99")), .atMost(150), "%"),
        ]

    private static let producing = [
        Goal(
            "producers with workers, of the same without doorbell",
            .share(
                place("producers", DoorbellPair.ringing, "commits"),
                of: place("producers", DoorbellPair.silent, "commits")),
            .atLeast(80), "%"),
        Goal(
            "producers with a role, of a superuser",
            .share(place("producers", RolePair.role, "commits"), of: place("producers", RolePair.superuser, "commits")),
            .atLeast(95), "%"),
        Goal("an emit of one row", figure("inserts", "one session", "emit"), .atMost(25), "µs"),
        Goal(
            "10,000 rows at once, attached", figure("inserts", "one session", "10,000 rows: attached / no trigger"),
            .atMost(2), "times"),
    ]

    private static let lasting = [
        Goal(
            "claim p99 after much history, of a new database",
            .share(
                place("claims", Claims.full, "claim of 500 p99"), of: place("claims", Claims.bare, "claim of 500 p99")),
            .atMost(150), "%"),
        Goal(
            "a look beside two years of weeks, of a new database",
            .share(place("claims", Looks.years, Looks.reading), of: place("claims", Looks.bare, Looks.reading)),
            .atMost(150), "%"),
        Goal(
            "drain after much history",
            .share(
                place("backlog", BacklogVariant.history.rawValue, "deliveries"),
                of: place("backlog", BacklogVariant.bare.rawValue, "deliveries")), .atLeast(90), "%"),
        Goal(
            "drain while a transaction is held", figure("held", HeldTransaction.summary, HeldTransaction.least),
            .atLeast(70), "%"),
        Goal(
            "recovered after its end", figure("held", HeldTransaction.summary, HeldTransaction.recovery), .atMost(10),
            "s"),
        Goal(
            "drain 10 s after its end", figure("held", HeldTransaction.summary, HeldTransaction.afterwards),
            .atLeast(90), "%"),
    ]

    private static let scaling =
        [
            Goal(
                "8 workers, of the rate of 2",
                .share(
                    place("scaling", Scaling.variant("drain", 8), "deliveries"),
                    of: place("scaling", Scaling.variant("drain", 2), "deliveries")), .atLeast(100), "%")
        ]
        + ["drain", "1,000 events/s", "flat out"].map { load in
            Goal(
                "off an equal share, 2 to 8 workers, \(load)",
                .greatest([2, 4, 8].map { place("scaling", Scaling.variant(load, $0), Scaling.deviation) }),
                .atMost(20), "%")
        }

    private static let resting = [
        Goal("memory of an idle worker", figure("cpu", "idle", "memory of a worker"), .atMost(30), "MB"),
        Goal(
            "memory beside 100,000 endpoints",
            figure("options", OptionVariant.crowd.rawValue, Drain.loadedMemory), .atMost(200), "MB"),
        Goal("wake-ups of an idle worker", figure("cpu", "idle", "wake-ups of a worker"), .atMost(50), "/s"),
        Goal(
            "Postgres CPU of an idle worker", figure("cpu", "idle", "Postgres CPU of a worker"), .atMost(1),
            "% of a core"),
    ]
}
