// LISTEN and NOTIFY.

import Postgres
import Testing

@Suite(.fewAtOnce) struct NotificationTests {
    @Test func notificationsArriveWhileIdle() async throws {
        let listener = try await connect()
        let speaker = try await connect()
        let stream = listener.notifications()
        try await listener.listen("idle")
        try await speaker.run("SELECT pg_notify('idle', $1)", [.text("héllo")])
        let first = try await within(.seconds(20)) { await stream.first { _ in true } }
        #expect(first == Notification(channel: "idle", payload: "héllo", processID: speaker.processID))
    }

    @Test func notificationsArriveWithinMilliseconds() async throws {
        let listener = try await connect()
        let speaker = try await connect()
        let stream = listener.notifications()
        try await listener.listen("fast")
        let best = try await within(.seconds(20)) {
            var iterator = stream.makeAsyncIterator()
            var best = Duration.seconds(60)
            for number in 0..<20 {
                let started = ContinuousClock.now
                try await speaker.run("SELECT pg_notify('fast', $1)", [.text("\(number)")])
                #expect(await iterator.next()?.payload == "\(number)")
                best = min(best, started.duration(to: .now))
            }
            return best
        }
        #expect(best < .milliseconds(100))
    }

    @Test func notificationsArriveBetweenAndDuringQueries() async throws {
        let connection = try await connect()
        let stream = connection.notifications()
        try await connection.listen("self")
        let notify = Statement(name: "Notify", sql: "SELECT pg_notify('self', $1)")
        let steps = (0..<50).map { Step(notify, [.text("\($0)")]) }
        try await connection.pipeline(steps)
        try await connection.script("NOTIFY self, 'script'", name: "notify")
        let payloads = try await within(.seconds(20)) {
            var payloads: [String] = []
            for await notification in stream {
                payloads.append(notification.payload)
                if notification.payload == "script" { break }
            }
            return payloads
        }
        #expect(payloads == (0..<50).map(String.init) + ["script"])
    }

    @Test func changedServerSettingsDoNotHoldNotificationsBack() async throws {
        let connection = try await connect()
        let speaker = try await connect()
        let role = "reloaded_\(connection.processID)"
        let stream = connection.notifications()
        try await connection.listen(role)
        // A reported setting changes within a query, then the channel rings while the connection is idle.
        try await connection.run("SET application_name = 'renamed'")
        try await speaker.run("SELECT pg_notify($1, '')", [.text(role)])
        #expect(try await within(.seconds(20)) { await stream.first { _ in true } }?.payload == "")
    }

    @Test(arguments: ["Mixed Case", "semi;colon", "quote\"d", "'; DROP TABLE x; --", "ünïcode", "\\", "$1", "select"])
    func channelNamesAreTakenLiterally(channel: String) async throws {
        let connection = try await connect()
        let stream = connection.notifications()
        try await connection.listen(channel)
        try await connection.run("SELECT pg_notify($1, 'x')", [.text(channel)])
        #expect(try await within(.seconds(20)) { await stream.first { _ in true } }?.channel == channel)
        #expect(try await connection.row("SELECT pg_listening_channels()").string(0) == channel)
    }

    @Test(arguments: ["", "a\0b", String(repeating: "x", count: 64)])
    func impossibleChannelNamesAreRefused(channel: String) async throws {
        let connection = try await connect()
        let error = await failure { try await connection.listen(channel) }
        #expect(error?.code == .invalidParameter)
    }

    @Test func everyStreamGetsEveryNotification() async throws {
        let connection = try await connect()
        let streams = [connection.notifications(), connection.notifications()]
        try await connection.listen("everyone")
        try await connection.script("NOTIFY everyone, 'one'; NOTIFY everyone, 'two'", name: "notify")
        for stream in streams {
            let payloads = try await within(.seconds(20)) {
                var payloads: [String] = []
                for await notification in stream where payloads.count < 2 {
                    payloads.append(notification.payload)
                    if payloads.count == 2 { break }
                }
                return payloads
            }
            #expect(payloads == ["one", "two"])
        }
    }

    @Test func closingEndsTheStreams() async throws {
        let connection = try await connect()
        let stream = connection.notifications()
        await connection.close()
        let first = try await within(.seconds(20)) { await stream.first { _ in true } }
        #expect(first == nil)
    }
}
