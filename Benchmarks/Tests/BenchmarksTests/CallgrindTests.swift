// Reading what callgrind writes, and naming what it names.

import Testing

@testable import bench

@Suite struct CallgrindTests {
    // As callgrind writes it: names in full once and by number later, line numbers as distances, calls with the
    // instructions of what they called.
    private static let text = """
        # callgrind format
        version: 1
        events: Ir
        summary: 1000

        ob=(1) /usr/bin/program
        fl=(1) ???
        fn=(1) main
        0 100
        cob=(2) /lib/libc.so.6
        cfi=(1)
        cfn=(2) memcpy
        calls=3 0
        * 600
        cfn=(3) work
        calls=1 0
        +5 300

        fn=(3)
        0 200
        cfn=(3)
        calls=1 0
        0 50
        +2 100

        ob=(2)
        fn=(2)
        0 600
        """

    private static let main = ProfiledFunction(object: "/usr/bin/program", symbol: "main")
    private static let work = ProfiledFunction(object: "/usr/bin/program", symbol: "work")
    private static let memcpy = ProfiledFunction(object: "/lib/libc.so.6", symbol: "memcpy")

    @Test func instructionsAreSharedOutAmongFunctions() throws {
        let file = try CallgrindFile(Self.text)
        #expect(file.total == 1000)
        #expect(file.functions[Self.main]?.own == 100)
        #expect(file.functions[Self.main]?.withCalls == 1000)
        #expect(file.functions[Self.work]?.own == 300)
        // A call of itself counts once.
        #expect(file.functions[Self.work]?.withCalls == 300)
        #expect(file.functions[Self.memcpy]?.own == 600)
    }

    @Test func whatDoesNotAddUpIsRefused() {
        #expect(throws: BenchError.self) {
            try CallgrindFile(Self.text.split(separator: "summary: 1000").joined(separator: "summary: 2000"))
        }
        #expect(throws: BenchError.self) { try CallgrindFile("") }
    }

    @Test func theDifferenceIsSharedOutAmongDeliveries() throws {
        let more = try CallgrindFile(Self.text)
        let less = try CallgrindFile(
            "events: Ir\nsummary: 60\nob=(1) /usr/bin/program\nfn=(1) main\n0 50\nfn=(2) once\n0 10\n")
        let each = more.cost(beyond: less, each: 10)
        #expect(each.total == 94)
        #expect(each.functions[Self.main]?.own == 5)
        #expect(each.functions[Self.memcpy]?.own == 60)
        #expect(each.functions[ProfiledFunction(object: "/usr/bin/program", symbol: "once")]?.own == -1)
    }

    @Test(arguments: [
        ("/lib/libc.so.6", "__memcpy_avx_unaligned_erms", "memcpy, memcmp, memset"),
        ("/lib/libc.so.6", "_int_free", "malloc and free"),
        ("/lib/libc.so.6", "pthread_mutex_lock", "other libc"),
        ("/lib/libcurl.so.4", "0x0000000000047d60", "libcurl"),
        ("/swift/libswiftCore.so", "swift_retain", "Swift retain and release"),
        ("/swift/libswiftCore.so", "swift_release'2", "Swift retain and release"),
        ("/swift/libswiftCore.so", "swift_allocObject", "Swift objects"),
        ("/swift/libswift_Concurrency.so", "swift_task_switch", "Swift concurrency"),
        ("/build/image/postrider", "swift_retain", "Swift retain and release"),
        ("/build/image/postrider", "_swift_release_dealloc", "Swift retain and release"),
        ("/build/image/postrider", "swift::AsyncTask::run", "Swift concurrency"),
        ("/build/image/postrider", "$sSS6appendyySSF", "Swift standard library"),
        ("/build/image/postrider", "$sScC6resume9returningyxn_tF", "Swift concurrency"),
        ("/build/postrider", "CCryptoBoringSSL_sha256_block_data_order_avx", "BoringSSL (swift-crypto)"),
        (
            "/build/postrider", "$s12OutboxWorker10DispatcherC9completedyySay12HTTPExchange8ExchangeVGF",
            "own code: OutboxWorker"
        ),
        (
            "/build/postrider", "$s6Outbox14RequestBuilderV4line33_0123456789ABCDEF0123456789ABCDEFLLSSyF",
            "own code: Outbox"
        ),
    ])
    func functionsBelongToGroups(object: String, symbol: String, group: String) {
        #expect(CostGroup.of(ProfiledFunction(object: object, symbol: symbol)) == group)
    }

    @Test(arguments: [
        ("Postgres.Reactor.(turn in _8E57)(at: Swift.Int64) -> ()", "Postgres.Reactor.turn"),
        ("Postgres.Reactor.() -> Postgres.Reactor(in _DF46).init() -> Postgres.Reactor", "Postgres.Reactor.init"),
        ("(2) await resume partial function for A.B.turn(C) async -> ()", "A.B.turn"),
        ("(extension in Outbox):Swift.Array.first() -> ()", "Swift.Array.first"),
        ("closure #1 (Swift.Int) -> () in HTTPExchange.Loop.run() -> ()", "closure in HTTPExchange.Loop.run"),
        (
            "generic specialization <Swift.UInt8> of Swift.Array.append(__owned A) -> ()",
            "Swift.Array.append"
        ),
        ("partial apply forwarder for implicit closure #2 () -> () in A.b(c: D) -> E", "closure in A.b"),
        ("Outbox.Lane.destination.getter : Outbox.Destination", "Outbox.Lane.destination.getter : Outbox.Destination"),
    ])
    func namesAreShort(long: String, short: String) {
        #expect(CostGroup.shortened(long) == short)
    }
}
