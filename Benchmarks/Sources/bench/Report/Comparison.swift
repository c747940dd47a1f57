// Which ratios the report shows. Worked out by Report once everything is measured.

/// Two figures whose ratio means something: both are measured in the same run.
struct Comparison {
    /// A figure of the report.
    struct Place {
        /// Scenario.
        let scenario: String
        /// Beginning of the variant's name.
        let variant: String
        /// Name of the figure.
        let figure: String
    }

    let name: String
    let part: Place
    let whole: Place

    static let all =
        [
            Comparison(
                name: "drain: after much history / new database",
                part: Place(scenario: "backlog", variant: BacklogVariant.history.rawValue, figure: "deliveries"),
                whole: Place(scenario: "backlog", variant: BacklogVariant.bare.rawValue, figure: "deliveries")),
            Comparison(
                name: "drain: a transaction held open / none",
                part: Place(scenario: "backlog", variant: BacklogVariant.pinned.rawValue, figure: "deliveries"),
                whole: Place(scenario: "backlog", variant: BacklogVariant.bare.rawValue, figure: "deliveries")),
            Comparison(
                name: "drain: Postrider / bare C program, as many processes",
                part: Place(scenario: "drain", variant: Drain.variant, figure: "deliveries"),
                whole: Place(scenario: "drain", variant: Ceiling.variant, figure: "deliveries")),
            Comparison(
                name: "drain: over TLS / plain http",
                part: Place(scenario: "drain", variant: Drain.secure, figure: "deliveries"),
                whole: Place(scenario: "drain", variant: Drain.variant, figure: "deliveries")),
            Comparison(
                name: "drain: TLS / plain http, connections kept",
                part: Place(scenario: "tls", variant: TLSVariant.tls.rawValue, figure: "deliveries"),
                whole: Place(scenario: "tls", variant: TLSVariant.plain.rawValue, figure: "deliveries")),
            Comparison(
                name: "drain: TLS / plain http, closed after 100 requests",
                part: Place(scenario: "tls", variant: TLSVariant.tlsClosed.rawValue, figure: "deliveries"),
                whole: Place(scenario: "tls", variant: TLSVariant.plainClosed.rawValue, figure: "deliveries")),
            Comparison(
                name: "drain: HTTP/2 / HTTP/1.1, behind a proxy",
                part: Place(scenario: "http2", variant: HTTP2Variant.http2.rawValue, figure: "deliveries"),
                whole: Place(scenario: "http2", variant: HTTP2Variant.http1.rawValue, figure: "deliveries")),
            Comparison(
                name: "commit rate: workers running, with doorbell / without",
                part: Place(scenario: "producers", variant: DoorbellPair.ringing, figure: "commits"),
                whole: Place(scenario: "producers", variant: DoorbellPair.silent, figure: "commits")),
            Comparison(
                name: "commit rate: attached, workers running / attached, doorbell silent",
                part: Place(scenario: "producers", variant: ProducerVariant.workers.rawValue, figure: "commits"),
                whole: Place(scenario: "producers", variant: ProducerVariant.silent.rawValue, figure: "commits")),
            Comparison(
                name: "commit rate: attached, doorbell silent / no trigger",
                part: Place(scenario: "producers", variant: ProducerVariant.silent.rawValue, figure: "commits"),
                whole: Place(scenario: "producers", variant: ProducerVariant.plain.rawValue, figure: "commits")),
            Comparison(
                name: "commit rate: attached, workers running / no trigger",
                part: Place(scenario: "producers", variant: ProducerVariant.workers.rawValue, figure: "commits"),
                whole: Place(scenario: "producers", variant: ProducerVariant.plain.rawValue, figure: "commits")),
            Comparison(
                name: "commit rate: attached, every commit rings / no trigger",
                part: Place(scenario: "producers", variant: ProducerVariant.ringing.rawValue, figure: "commits"),
                whole: Place(scenario: "producers", variant: ProducerVariant.plain.rawValue, figure: "commits")),
            Comparison(
                name: "commit rate: with a producer's role / as a superuser",
                part: Place(scenario: "producers", variant: RolePair.role, figure: "commits"),
                whole: Place(scenario: "producers", variant: RolePair.superuser, figure: "commits")),
            Comparison(
                name: "p99: during a replay / alone",
                part: Place(scenario: "replay", variant: "200 events/s, during", figure: "commit to request p99"),
                whole: Place(scenario: "replay", variant: "200 events/s, alone", figure: "commit to request p99")),
        ]
        + Scaling.counts.flatMap { count in
            let workers = Place(scenario: "scaling", variant: Scaling.variant("drain", count), figure: "deliveries")
            let two = Place(scenario: "scaling", variant: Scaling.variant("drain", 2), figure: "deliveries")
            let bare = Place(scenario: "scaling", variant: Scaling.bare + "\(count) ", figure: "deliveries")
            let name = Scaling.variant("drain", count)
            return [
                Comparison(name: "\(name) / 2 workers", part: workers, whole: two),
                Comparison(name: "\(name) / bare C program, as many processes", part: workers, whole: bare),
            ]
        }
        + OptionVariant.allCases.dropFirst().map { variant in
            Comparison(
                name: "drain: \(variant.rawValue) / no options",
                part: Place(scenario: "options", variant: variant.rawValue, figure: "deliveries"),
                whole: Place(scenario: "options", variant: OptionVariant.none.rawValue, figure: "deliveries"))
        }
}
