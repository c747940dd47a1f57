// The measurements by name. Bench runs them.

/// What every scenario is given.
struct Scenarios {
    /// Programs.
    let toolbox: Toolbox
    /// The server.
    let server: Server
    /// How much to measure.
    let options: Options

    /// Runs one scenario once and adds its figures.
    ///
    /// - Throws: ``BenchError`` when it cannot be measured.
    func run(_ name: String, into report: inout Report) throws {
        switch name {
        case "receiver": report.add(name, "itself, 64 connections", try receiverItself())
        case "drain": try drains(&report)
        case "fan-out": try fanOut(&report)
        case "pauses":
            for seconds in options.pauses {
                let pause = Pause(seconds: seconds, events: options.events, workers: options.workers)
                report.add(name, pause.variant, try Stage.with(toolbox, server, pause.measure))
            }
        case "latency": try latencies(&report)
        case "replay": try replays(&report)
        case "single": try singles(&report)
        case "producers": try producers(&report)
        case "claims": try claims(&report)
        case "scaling": try scaling(&report)
        case "held": try held(&report)
        case "instructions": try instructions(&report)
        case "copies": try copies(&report)
        case "cpu": try steady(&report)
        case "inserts": report.add(name, "one session", try Stage.with(toolbox, server, Inserts().measure))
        case "backlog":
            for variant in BacklogVariant.allCases {
                let drain = variant.drain(events: options.events, workers: options.workers, history: options.history)
                report.add(name, variant.rawValue, try Stage.with(toolbox, server, drain.measure))
            }
        case "options":
            for variant in OptionVariant.allCases {
                let drain = variant.drain(events: options.events, workers: options.workers)
                report.add(name, variant.rawValue, try Stage.with(toolbox, server, drain.measure))
            }
        case "tls":
            for variant in TLSVariant.allCases {
                let drain = variant.drain(events: options.events, workers: options.workers)
                report.add(name, variant.rawValue, try Stage.with(toolbox, server, drain.measure))
            }
        case "http2": try http2(&report)
        default: preconditionFailure("\(name) is among Options.scenarios and not here")
        }
    }

    private func drains(_ report: inout Report) throws {
        var drain = Drain(
            events: options.events, workers: options.workers, destinations: options.destinations,
            fanOut: options.fanOut)
        drain.closeAfter = options.closeAfter
        let events = "\(Table.number(Double(options.events))) events"
        var variant = "\(Drain.variant), \(options.workers) workers, \(events)"
        if options.destinations > 1 {
            variant += ", \(options.destinations) destinations, fan-out \(options.fanOut)"
        }
        if let closeAfter = options.closeAfter { variant += ", closed after \(closeAfter) requests" }
        report.add("drain", variant, try Stage.with(toolbox, server, drain.measure))
        if options.isSecure {
            drain.isSecure = true
            report.add("drain", "\(Drain.secure) \(variant)", try Stage.with(toolbox, server, drain.measure))
        }
        let ceiling = Ceiling(events: options.events, processes: options.workers)
        report.add(
            "drain", "\(Ceiling.variant), \(options.workers) processes, \(events)",
            try ceiling.measure(toolbox, server))
    }

    private func fanOut(_ report: inout Report) throws {
        let drain = Drain(events: options.events / 3, workers: options.workers, destinations: 8, fanOut: 3)
        report.add(
            "fan-out", "8 destinations, fan-out 3, \(options.workers) workers",
            try Stage.with(toolbox, server, drain.measure))
    }

    private func latencies(_ report: inout Report) throws {
        for rate in options.rates {
            let latency = Latency(rate: rate, seconds: options.seconds, workers: options.workers)
            let variant = "\(Table.number(Double(rate))) events/s, \(options.workers) workers"
            report.add("latency", variant, try Stage.with(toolbox, server, latency.measure))
        }
    }

    private func replays(_ report: inout Report) throws {
        for replayed in [0, options.events] {
            let latency = Latency(rate: 200, seconds: options.seconds, workers: options.workers, replayed: replayed)
            let variant = replayed == 0 ? "alone" : "during a replay of \(Table.number(Double(replayed))) events"
            report.add("replay", "200 events/s, \(variant)", try Stage.with(toolbox, server, latency.measure))
        }
    }

    private func singles(_ report: inout Report) throws {
        for isDeaf in [false, true] {
            let latency = Latency(
                rate: Latency.single, seconds: options.singleSeconds, workers: options.workers, isDeaf: isDeaf)
            let variant = isDeaf ? "deaf workers" : "one event"
            report.add(
                "single", "\(variant), \(Latency.single) a second, \(options.workers) workers",
                try Stage.with(toolbox, server, latency.measure))
        }
    }

    private func producers(_ report: inout Report) throws {
        for variant in ProducerVariant.allCases {
            let producers = Producers(
                variant: variant, clients: options.clients, seconds: options.seconds, workers: options.workers)
            let title = "\(variant.rawValue), \(options.clients) clients"
            report.add("producers", title, try Stage.with(toolbox, server, producers.measure))
        }
        let bells = DoorbellPair(clients: options.clients, seconds: options.seconds, workers: options.workers)
        let (ringing, silent) = try bells.measure(toolbox, server)
        report.add("producers", "\(DoorbellPair.ringing), \(options.clients) clients", ringing)
        report.add("producers", "\(DoorbellPair.silent), \(options.clients) clients", silent)
        let roles = RolePair(clients: options.clients, seconds: options.seconds)
        let (superuser, role) = try roles.measure(toolbox, server)
        report.add("producers", "\(RolePair.superuser), \(options.clients) clients", superuser)
        report.add("producers", "\(RolePair.role), \(options.clients) clients", role)
    }

    private func claims(_ report: inout Report) throws {
        for (variant, claims) in Claims.variants(history: options.history, waiting: options.waiting) {
            report.add("claims", variant, try Stage.with(toolbox, server, claims.measure))
        }
        for (variant, looks) in Looks.variants {
            report.add("claims", variant, try Stage.with(toolbox, server, looks.measure))
        }
    }

    private func held(_ report: inout Report) throws {
        let held = HeldTransaction(events: options.heldEvents, seconds: options.heldSeconds, workers: options.workers)
        for (variant, samples) in try held.measure(toolbox, server) { report.add("held", variant, samples) }
    }

    private func copies(_ report: inout Report) throws {
        let copies = Copies(events: min(500, max(20, options.events / 200)))
        for (variant, figures) in try Stage.with(toolbox, server, copies.measure) {
            report.add("copies", variant, figures)
        }
    }

    private func http2(_ report: inout Report) throws {
        guard Front.isPossible else {
            return Bench.say("skipped: the proxy nghttpx is missing (Debian package nghttp2-proxy)")
        }
        for variant in HTTP2Variant.allCases {
            let drain = variant.drain(events: options.events, workers: options.workers)
            report.add("http2", variant.rawValue, try Stage.with(toolbox, server, drain.measure))
        }
    }

    private func steady(_ report: inout Report) throws {
        let steady = Steady(seconds: options.seconds, workers: options.workers)
        let figures = try Stage.with(toolbox, server, steady.measure)
        report.add("cpu", "idle, \(options.workers) workers", figures.idle)
        report.add("cpu", "1,000 events/s, \(options.workers) workers", figures.busy)
    }

    private func scaling(_ report: inout Report) throws {
        for count in options.workerCounts {
            let scaling = Scaling(
                workers: count, events: options.events, clients: options.clients, seconds: options.seconds)
            let figures = try Stage.with(toolbox, server, scaling.measure)
            report.add("scaling", Scaling.variant("1,000 events/s", count), figures.paced)
            report.add("scaling", Scaling.variant("flat out", count), figures.flatOut)
            report.add("scaling", Scaling.variant("drain", count), figures.drain)
            let ceiling = Ceiling(events: options.events, processes: count)
            report.add("scaling", Scaling.bare + "\(count) processes", try ceiling.measure(toolbox, server))
        }
    }

    private func instructions(_ report: inout Report) throws {
        guard CallgrindWorker.isPossible else {
            return Bench.say("skipped: valgrind, which counts instructions, is missing (Debian package valgrind)")
        }
        for load in Instructions.Load.allCases {
            let events = min(load == .queue ? 2_000 : 200, max(10, options.events / 100))
            let instructions = Instructions(load: load, events: events, profiles: options.profiles)
            let figures = try Stage.with(toolbox, server, instructions.measure)
            let name = "\(load.rawValue), 1 worker, \(Table.number(Double(3 * events))) events"
            report.add("instructions", name, figures.whole)
            report.add("instructions", "\(load.rawValue): by group", figures.groups)
            report.add("instructions", "\(load.rawValue): functions", figures.own)
            report.add("instructions", "\(load.rawValue): own functions with all that they call", figures.withCalls)
        }
    }

    private func receiverItself() throws -> [Sample] {
        struct Loaded: Decodable {
            let requests: Double
            let elapsed_us: Double
        }
        let receiver = try Receiver(toolbox)
        defer { receiver.end() }
        let loader = try toolbox.start("bench-loader", ["--port", "\(receiver.ports[0])", "--seconds", "2"])
        defer { loader.end() }
        let loaded = try decode(Loaded.self, loader.finish(within: 30).last ?? "")
        let figures = try receiver.figures()
        let cost = Double(figures.cpu_us) / Double(max(1, figures.requests))
        return [
            Sample("requests", loaded.requests * 1_000_000 / loaded.elapsed_us, "POST/s"),
            Sample("receiver CPU per request", cost, "µs"),
            Sample("requests of one core", 1_000_000 / max(0.001, cost), "POST/s"),
        ]
    }
}
