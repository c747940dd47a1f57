// Opening connections: good settings, bad settings, and servers that refuse or never answer.

import Postgres
import TestSupport
import Testing

@Suite(.fewAtOnce) struct ConnectingTests {
    @Test func openConnectionKnowsItsServer() async throws {
        let connection = try await connect { $0.parameters["application_name"] = "known" }
        #expect(connection.isOpen)
        #expect(connection.isIdle)
        #expect(connection.serverVersion >= 140_000)
        #expect(try await connection.row("SELECT current_setting('application_name')").string(0) == "known")
        #expect(try await connection.row("SELECT pg_backend_pid()").int(0) == Int(connection.processID))
        await connection.close()
        await connection.close()
        #expect(!connection.isOpen)
        #expect(!connection.isIdle)
        let error = await failure { try await connection.run("SELECT 1") }
        #expect(error?.code == .closed)
    }

    @Test func unixSocketAndKeywordsWorkToo() async throws {
        let row = try await connect().row(
            "SELECT current_setting('unix_socket_directories'), current_setting('port'), current_user::text")
        let folder = try #require(try row.string(0).split(separator: ",").first)
        let settings = ConnectionSettings(
            url: "host='\(folder)' port=\(try row.string(1)) user='\(try row.string(2))' dbname=postgres")
        let found = try await Connection.open(settings).row(
            "SELECT client_addr IS NULL, application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()")
        #expect(try found.bool(0))
        #expect(try found.string(1) == "postrider")
    }

    @Test func textIsUTF8WhateverTheSettingsSay() async throws {
        let connection = try await connect { $0.parameters["client_encoding"] = "LATIN1" }
        #expect(try await connection.row("SELECT $1::text", [.text("ü€")]).string(0) == "ü€")
    }

    @Test func sessionBeginsWithItsSettingsWhateverIsSetElsewhere() async throws {
        let connection = try await connect {
            $0.parameters["options"] = "-c statement_timeout=59s -c lock_timeout=58s"
            $0.sessionSettings = ["statement_timeout": "0", "default_transaction_isolation": "read committed"]
        }
        let found = try await connection.row("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')")
        #expect(try [found.string(0), found.string(1)] == ["0", "58s"])
        let error = await failure { try await connect { $0.sessionSettings = ["no_such_setting": "1"] } }
        #expect(error?.sqlState == "42704")
    }

    @Test func refusedConnectionFails() async throws {
        let socket = try LoopbackSocket(isListening: false)
        let settings = ConnectionSettings(url: "postgres://u:hunter22@127.0.0.1:\(socket.port)/d")
        let error = await failure { try await within(.seconds(20)) { try await Connection.open(settings) } }
        #expect(error?.code == .connectionFailed)
        #expect(error?.isConnectionFailure == true)
        #expect(error?.isRetryable == true)
        #expect(error?.message.contains("refused") == true)
        #expect(error?.description.contains("hunter22") == false)
    }

    @Test func silentServerIsGivenUpAtTheDeadline() async throws {
        let socket = try LoopbackSocket(isListening: true)
        var settings = ConnectionSettings(url: "postgres://u@127.0.0.1:\(socket.port)/d?sslmode=disable")
        settings.connectTimeout = .milliseconds(300)
        let impatient = settings
        let started = ContinuousClock.now
        let error = await failure { try await within(.seconds(20)) { try await Connection.open(impatient) } }
        #expect(error?.code == .timedOut)
        #expect(started.duration(to: .now) >= .milliseconds(300))
    }

    /// Looking a text search configuration up waits here; an attempt to connect that ends so is told like any other.
    @Test func settingsThatTakeTooLongAreAnAttemptThatTookTooLong() async throws {
        let url = try await TestCluster.freshDatabase()
        let holder = try await Connection.open(ConnectionSettings(url: url))
        _ = try await holder.script("BEGIN; LOCK TABLE pg_catalog.pg_ts_config", name: "hold")
        var settings = ConnectionSettings(url: url)
        settings.connectTimeout = .seconds(1)
        settings.sessionSettings = ["default_text_search_config": "pg_catalog.simple"]
        let impatient = settings
        let error = await failure { try await within(.seconds(20)) { try await Connection.open(impatient) } }
        #expect(error?.code == .timedOut && error?.queryName == nil, "\(String(describing: error))")
        await holder.close()
    }

    @Test func connectingCanBeCancelled() async throws {
        let socket = try LoopbackSocket(isListening: true)
        let settings = ConnectionSettings(url: "postgres://u@127.0.0.1:\(socket.port)/d")
        let task = Task { try await Connection.open(settings) }
        task.cancel()
        let error = await failure { try await within(.seconds(20)) { try await task.value } }
        #expect(error?.code == .cancelled)
    }

    @Test func rejectedLoginFails() async throws {
        let error = await failure { try await connect { $0.parameters["dbname"] = "no such database" } }
        #expect(error?.code == .connectionFailed)
        #expect(error?.message.contains("no such database") == true)
    }

    @Test(arguments: [
        "postgres://user:hunter22@host:port/db", "postgres://user:hunter22@[::1/db", "postgres://u:hunter22%zz@h/db",
        "host=localhost password=hunter22 'oops", "hunter22", "password=hunter 22", "postgres://h/d?hunter22=1",
        "postgres://u:hunter22@h/d?sslmode=nonsense", "host=h\0 password=hunter22",
        "postgres://u:a@hunter22@h/d", "postgres://u:a@hunter22:1@h:5432/d", "postgres://u:hunter22/a@h/d",
        "postgres://u:a/hunter22@h/d", "postgres://u:a@@hunter22@h/d",
        "postgres://u:a@b/hunter22@h/d", "postgres://u:12/hunter22@h/d", "postgres://u:a@/hunter22@h/d",
    ])
    func badSettingsAreRefusedWithoutQuotingThem(url: String) async throws {
        let settings = ConnectionSettings(url: url)
        let error = await failure { try await Connection.open(settings) }
        #expect(error?.code == .invalidSettings || error?.code == .connectionFailed)
        let text = "\(error.map(\.description) ?? "") \(settings) \(String(reflecting: settings))"
        #expect(!text.contains("hunter"), "\(text)")
    }

    @Test(arguments: [
        "postgres://u:p%40ss%2Fw@h:5432/d", "postgres://u:p@h1:5432,h2:6432/d", "postgres:///d?host=/tmp/a@b", "host=@abstract",
        "postgres://u:a:b@[::1]:5432/d", "host=h port=5432", "postgres://h/d%40b",
        "host=h application_name=a://b/c/d@e", "postgres:///d@b",
    ])
    func settingsThatLookOddAreTaken(url: String) throws {
        try ConnectionSettings(url: url).validate()
    }

    @Test func unknownOptionIsRefused() async throws {
        let settings = ConnectionSettings(parameters: ["aplication_name": "x"])
        #expect(throws: PostgresError.self) { try settings.validate() }
        try ConnectionSettings(parameters: ["application_name": "x"]).validate()
    }

    @Test func descriptionAndDumpHideThePassword() {
        var settings = ConnectionSettings(url: "postgres://ada:hunter22@db.example:6432/shop?sslmode=require")
        settings.parameters["sslpassword"] = "hunter33"
        var dumped = ""
        dump(settings, to: &dumped)
        #expect(settings.description == "host=db.example port=6432 dbname=shop user=ada sslmode=require")
        #expect(!"\(dumped)\(String(reflecting: settings))\(settings)".contains("hunter"))
    }

    @Test func connectTimeoutOfTheURLCounts() {
        #expect(ConnectionSettings(url: "postgres://h/d?connect_timeout=7").connectTimeout == .seconds(7))
        #expect(ConnectionSettings(url: "postgres://h/d").connectTimeout == .seconds(5))
    }

    @Test func droppedConnectionClosesItself() async throws {
        let watcher = try await connect()
        var connection: Connection? = try await connect()
        let id = try #require(connection?.processID)
        connection = nil
        try await watcher.waitUntilGone(id)
        #expect(connection == nil)
    }
}
