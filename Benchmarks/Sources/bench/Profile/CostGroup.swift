// Whose instructions they are: the library or the kind of work that a function belongs to. Profile reports use it.

import Glibc

/// Names functions and sorts them into groups.
enum CostGroup {
    private static let allocation: Set<String> = [
        "malloc", "calloc", "realloc", "free", "posix_memalign", "aligned_alloc", "_int_malloc", "_int_free",
        "_int_realloc", "_int_memalign", "malloc_consolidate", "unlink_chunk", "cfree", "memalign", "tcache_get",
        "tcache_put", "arena_get2", "sysmalloc", "systrim", "malloc_usable_size", "swift_slowAlloc",
        "swift_slowDealloc",
    ]
    private static let moves = ["memcpy", "memmove", "memset", "memcmp", "mempcpy", "strlen", "memchr", "bcmp"]
    private static let counting = ["retain", "release", "Retain", "Release", "RefCount", "isUniquelyReferenced"]
    private static let concurrency = [
        "swift_task", "swift_job", "swift_continuation", "swift_async", "swift::AsyncTask", "swift::TaskGroup",
        "dispatch_",
    ]
    private static let objects = [
        "alloc", "Alloc", "eallocPartial", "swift_initStackObject", "swift_deallocClassInstance",
    ]

    /// The group of a function.
    static func of(_ function: ProfiledFunction) -> String {
        let object = function.object.split(separator: "/").last.map(String.init) ?? ""
        let symbol = base(function.symbol)
        if let kind = kindOfMemory(symbol) { return kind }
        for (prefix, name) in libraries where object.hasPrefix(prefix) { return name }
        if object.hasPrefix("libswiftCore") { return runtime(symbol) }
        if object.hasPrefix("libswift") || object.hasPrefix("libdispatch") { return "Swift concurrency" }
        if symbol.contains("BoringSSL") { return "BoringSSL (swift-crypto)" }
        if object.hasPrefix("lib") || object.hasPrefix("ld-") || object.isEmpty { return "other libraries" }
        return own(symbol)
    }

    /// A name for people: demangled, without arguments.
    static func name(of function: ProfiledFunction) -> String {
        let symbol = base(function.symbol)
        guard let long = demangled(symbol) else {
            // C++ without its types.
            if symbol.contains("<"), let type = symbol.split(separator: "<").first, type.contains("::") {
                let method = symbol.split(separator: "::").last { $0.contains("(") }?.prefix { $0 != "<" && $0 != "(" }
                return (type.split(separator: " ").last ?? type) + "::" + (method ?? "…")
            }
            let object = function.object.split(separator: "/").last ?? "?"
            return symbol.isEmpty || symbol.hasPrefix("0x")
                ? "\(symbol.isEmpty ? "nameless" : symbol) in \(object)" : symbol
        }
        return shortened(long)
    }

    private static let libraries = [
        ("libcurl", "libcurl"), ("libssl", "OpenSSL"), ("libcrypto", "OpenSSL"), ("libpq", "libpq"),
        ("libc.", "other libc"), ("libc-", "other libc"), ("libm.", "other libc"), ("libpthread", "other libc"),
        ("libz", "other libraries"), ("libFoundation", "Foundation"),
    ]

    /// Callgrind marks recursion: name'2.
    private static func base(_ symbol: String) -> String {
        guard let mark = symbol.lastIndex(of: "'") else { return symbol }
        return String(symbol[..<mark])
    }

    private static func kindOfMemory(_ symbol: String) -> String? {
        if allocation.contains(symbol) || symbol.hasPrefix("malloc") { return "malloc and free" }
        // __memcpy_avx_unaligned_erms and the like.
        let plain = symbol.drop { $0 == "_" }
        return moves.contains { plain.hasPrefix($0) } ? "memcpy, memcmp, memset" : nil
    }

    private static func runtime(_ symbol: String) -> String {
        if counting.contains(where: symbol.contains) { return "Swift retain and release" }
        if symbol.hasPrefix("swift_"), objects.contains(where: symbol.contains) { return "Swift objects" }
        return symbol.hasPrefix("$s") ? "Swift standard library" : "Swift runtime, other"
    }

    /// A Swift function by the module that it was compiled from. What is generic and of another module stands in the
    /// program as a copy, under the name of that module.
    private static func own(_ symbol: String) -> String {
        guard let long = demangled(symbol) else { return linkedIn(symbol) }
        let words = shortened(long).split(separator: " ")
        let module = (words.first { $0.contains(".") } ?? "").prefix { $0 != "." }
        switch module {
        case "OutboxWorker", "OutboxStore", "Outbox", "HTTPExchange", "Postgres", "postrider":
            return "own code: \(module)"
        case "Crypto": return "swift-crypto"
        // Of a program that holds Swift's libraries itself.
        // Names of _Concurrency are shortened to Sc, and its own is not told.
        case "Swift" where symbol.hasPrefix("$sSc"): return "Swift concurrency"
        case "Swift" where !long.contains("specialization <"): return "Swift standard library"
        case "_Concurrency": return "Swift concurrency"
        case "FoundationEssentials": return "Foundation"
        default: return "own code: copies of generic code"
        }
    }

    /// C and C++ in the program itself: the runtime, when it is linked statically, and what is left.
    private static func linkedIn(_ symbol: String) -> String {
        let plain = symbol.drop { $0 == "_" }
        if concurrency.contains(where: plain.hasPrefix) { return "Swift concurrency" }
        if plain.hasPrefix("swift_") || plain.contains("swift::") { return runtime(symbol) }
        return "own code: C and stubs"
    }

    /// Without what the optimiser says of it, without arguments.
    static func shortened(_ long: String) -> String {
        var text = Substring(long)
        // A piece of an asynchronous function: "(2) await resume partial function for Module.Type.function() async -> ()".
        if text.hasPrefix("("), let piece = text.split(separator: "resume partial function for ", maxSplits: 1).last {
            text = piece
        }
        if text.contains("specialization <"), let end = text.split(separator: "> of ").last { text = end }
        for lead in ["@objc ", "merged ", "partial apply forwarder for ", "implicit "] where text.hasPrefix(lead) {
            text = text.dropFirst(lead.count)
        }
        if text.hasPrefix("closure #"), let function = text.split(separator: " in ", maxSplits: 1).last,
            function != text
        {
            return "closure in " + shortened(String(function))
        }
        var name = ""
        while let round = text.firstIndex(of: "(") {
            name += text[..<round]
            text = text[round...].dropFirst()
            // What is private to a file: "Module.Type.(name in _8E5…)(argument: Type)".
            guard name.isEmpty || name.hasSuffix("."), let end = text.firstIndex(of: ")") else { return name }
            // An initialiser: "Module.Type.() -> Module.Type(in _8E5…).init()".
            if text.hasPrefix(")"), name.hasSuffix(".") { return name + "init" }
            if name.hasSuffix(".") { name += text[..<end].split(separator: " in _").first ?? "" }
            // What is in an extension: "(extension in Module):Swift.Array.first".
            text = text[end...].drop { $0 == ")" || $0 == ":" }
        }
        return name + text
    }

    /// The readable form of a Swift symbol; nil for others. The function is the runtime's own and part of its interface.
    private static func demangled(_ symbol: String) -> String? {
        guard symbol.hasPrefix("$s"),
            let text = demangle(symbol, UInt(symbol.utf8.count), nil, nil, 0)
        else { return nil }
        defer { free(text) }
        return String(cString: text)
    }
}

@_silgen_name("swift_demangle")
private func demangle(
    _ symbol: UnsafePointer<CChar>, _ length: UInt, _ output: UnsafeMutablePointer<CChar>?,
    _ outputLength: UnsafeMutablePointer<UInt>?, _ flags: UInt32
) -> UnsafeMutablePointer<CChar>?
