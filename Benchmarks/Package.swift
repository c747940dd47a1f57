// swift-tools-version: 6.1
// The benchmark programs of Postrider: a package of its own, so that building the product never builds them.
// bin/bench builds and runs it.

import PackageDescription

let swift: [SwiftSetting] = [
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
    .unsafeFlags(["-warnings-as-errors"]),
]

// What runs while something is measured shares the cores with it, so it is C: no allocation per request, and a cost
// that does not change with the compiler of the product.
let c: [CSetting] = [
    .define("_GNU_SOURCE"),
    .unsafeFlags(["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"]),
]

let package = Package(
    name: "Benchmarks",
    products: [
        .executable(name: "bench", targets: ["bench"]),
        .executable(name: "bench-receiver", targets: ["bench-receiver"]),
        .executable(name: "bench-producer", targets: ["bench-producer"]),
        .executable(name: "bench-bare", targets: ["bench-bare"]),
        .executable(name: "bench-loader", targets: ["bench-loader"]),
        // Loaded into workers before all other libraries (LD_PRELOAD).
        .library(name: "bench-valgrind", type: .dynamic, targets: ["ValgrindShim"]),
        .library(name: "bench-copies", type: .dynamic, targets: ["Copies"]),
    ],
    targets: [
        .systemLibrary(name: "CLibPQ", path: "Sources/CLibPQ", providers: [.apt(["libpq-dev"])]),
        .target(name: "Support", path: "Sources/Support", cSettings: c),
        .executableTarget(
            name: "bench-receiver", dependencies: ["Support"], path: "Sources/Receiver", cSettings: c,
            linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        .executableTarget(name: "bench-loader", dependencies: ["Support"], path: "Sources/Loader", cSettings: c),
        .executableTarget(
            name: "bench-producer", dependencies: ["Support"], path: "Sources/Producer", cSettings: c,
            linkerSettings: [.linkedLibrary("pq")]),
        .executableTarget(
            name: "bench-bare", dependencies: ["Support"], path: "Sources/Bare", cSettings: c,
            linkerSettings: [.linkedLibrary("pq"), .linkedLibrary("curl"), .linkedLibrary("crypto")]),
        // Neither may the compiler leave a copy out nor make a loop a call of the function that it stands for.
        .target(name: "Copies", path: "Sources/Copies", cSettings: c + [.unsafeFlags(["-fno-builtin"])]),
        .executableTarget(
            name: "bench-known-copies", path: "Sources/KnownCopies", cSettings: c + [.unsafeFlags(["-fno-builtin"])]),
        .systemLibrary(name: "CopyCounters", path: "Sources/Copies/include"),
        .target(name: "ValgrindShim", path: "Sources/ValgrindShim", cSettings: c),
        .executableTarget(
            name: "bench", dependencies: ["CLibPQ", "CopyCounters", "Support"], path: "Sources/bench",
            swiftSettings: swift),
        .testTarget(
            name: "BenchmarksTests",
            dependencies: [
                "bench", "bench-receiver", "bench-producer", "bench-loader", "bench-known-copies", "Support",
            ],
            path: "Tests/BenchmarksTests", swiftSettings: swift),
    ],
    swiftLanguageModes: [.v6]
)
