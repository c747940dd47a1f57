// swift-tools-version: 6.1
// The house: modules point down only, and the compiler checks the arrows.
//   postrider → OutboxWorker → OutboxStore → Postgres → CLibPQ
//                            → HTTPExchange → CLibCurl
//                            → Outbox (pure values)

import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
    .unsafeFlags(["-warnings-as-errors"]),
]

/// Linked statically, a program exports every symbol unless told otherwise, so that nothing of it can be left out: 2 MB of a
/// worker's memory. The linker that the toolchain brings saves as much again: docs/decisions.md, "A lean worker".
let lean: [LinkerSetting] = [
    .unsafeFlags(["-use-ld=lld", "-Xlinker", "--no-export-dynamic"], .when(configuration: .release))
]

let package = Package(
    name: "postrider",
    products: [
        .executable(name: "postrider", targets: ["postrider"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        // Without its trait JSON, which needs all of Foundation: docs/decisions.md, "A lean worker".
        .package(url: "https://github.com/apple/swift-configuration", from: "1.4.0", traits: []),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "CProcess"),
        .systemLibrary(name: "CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CLibCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(name: "Postgres", dependencies: ["CLibPQ"], swiftSettings: settings),
        .target(name: "HTTPExchange", dependencies: ["CLibCurl"], swiftSettings: settings),
        .target(
            name: "Outbox", dependencies: [.product(name: "Crypto", package: "swift-crypto")], swiftSettings: settings),
        .target(name: "OutboxStore", dependencies: ["Outbox", "Postgres"], swiftSettings: settings),
        .target(
            name: "OutboxWorker",
            dependencies: [
                "Outbox", "OutboxStore", "HTTPExchange", "Postgres",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], swiftSettings: settings),
        .executableTarget(
            name: "postrider",
            dependencies: [
                "CProcess", "Outbox", "OutboxStore", "OutboxWorker", "HTTPExchange", "Postgres",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Configuration", package: "swift-configuration"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ], swiftSettings: settings, linkerSettings: lean),
        .systemLibrary(name: "CLinux", path: "Tests/CLinux"),
        .target(
            name: "TestSupport", dependencies: ["Postgres"], path: "Tests/TestSupport",
            exclude: ["tls-host.py", "verify.py"],
            swiftSettings: settings),
        .testTarget(
            name: "PostgresTests", dependencies: ["Postgres", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "HTTPExchangeTests", dependencies: ["HTTPExchange", "CLibCurl", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "OutboxTests", dependencies: ["Outbox", "TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "SQLTests", dependencies: ["Outbox", "OutboxStore", "Postgres", "TestSupport"],
            swiftSettings: settings),
        .testTarget(
            name: "OutboxWorkerTests",
            dependencies: [
                "Outbox", "OutboxStore", "OutboxWorker", "HTTPExchange", "Postgres",
                .product(name: "Logging", package: "swift-log"),
            ], swiftSettings: settings),
        .testTarget(
            name: "Scenarios",
            dependencies: [
                "postrider", "Outbox", "OutboxStore", "OutboxWorker", "HTTPExchange", "Postgres", "TestSupport",
                "CLibPQ",
                "CLinux",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ], path: "Tests/Scenarios", swiftSettings: settings),
        .testTarget(
            name: "postriderTests",
            dependencies: ["postrider", "Outbox", "OutboxStore", "OutboxWorker", "Postgres", "TestSupport"],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
