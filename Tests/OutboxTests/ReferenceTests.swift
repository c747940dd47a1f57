// `${NAME}` in headers and options: how it is written, what it stands for, and for whom.

import Outbox
import Testing

@Suite struct ReferenceTests {
    private let values = ["A": "1", "_b2": "two"]

    private func expanded(_ text: String) throws -> String {
        try ReferenceText(text).expanded { name throws(SettingFault) in values[name] ?? "?" }
    }

    @Test(arguments: [
        ("", ""), ("plain", "plain"), ("${A}", "1"), ("Bearer ${A}", "Bearer 1"), ("${A}${_b2}", "1two"),
        ("$${A}", "${A}"), ("$$${A}", "$${A}"), ("$$$${A}", "$$${A}"), ("$A {A} $ $}", "$A {A} $ $}"), ("é${A}", "é1"),
        ("${A}}", "1}"), ("$", "$"), ("$$", "$$"), ("$${", "${"),
    ])
    func referencesAreFilledIn(text: String, result: String) throws {
        #expect(try expanded(text) == result)
    }

    @Test(arguments: ["${", "${}", "${A", "${1A}", "${A B}", "${A.b}", "${é}", "x${-}y", "${${A}}"])
    func othersAreRefusedWithoutQuotingThem(text: String) {
        do {
            _ = try ReferenceText("secret" + text)
            Issue.record("accepted")
        } catch {
            #expect(error.reason.contains("write ${NAME}") && !error.reason.contains("secret"))
        }
    }

    @Test func valuesAreNotReadAgain() throws {
        let text = try ReferenceText("${A}").expanded { _ throws(SettingFault) in "${A} $${A}" }
        #expect(text == "${A} $${A}")
    }

    private func book() -> SettingBook {
        var book = SettingBook(
            grants: ProcessGrants(variables: ["ENV": .init("env"), "OPEN": .init("open", isShared: true)]))
        book.add("MINE", organization: "acme", isShared: false, .success("acme's"))
        book.add("MINE", organization: "beta", isShared: false, .success("beta's"))
        book.add("BETA", organization: "beta", isShared: false, .success("only beta's"))
        book.add("ALL", organization: nil, isShared: true, .success("everybody's"))
        book.add("TOP", organization: nil, isShared: false, .success("operator's"))
        book.add("OPEN", organization: "acme", isShared: false, .success("acme's own"))
        book.add("BAD", organization: nil, isShared: true, .failure(SettingFault("${BAD} cannot be read")))
        return book
    }

    private func value(_ name: String, _ organization: String?, user: String? = nil) -> String? {
        try? book().value(of: name, for: SettingScope(organization: organization, user: user))
    }

    @Test func settingsAreThoseOfTheDestinationsOwner() {
        #expect(value("MINE", "acme") == "acme's" && value("MINE", "beta") == "beta's")
        #expect(value("MINE", nil) == nil && value("BETA", "acme") == nil && value("BETA", nil) == nil)
        #expect(value("TOP", nil) == "operator's" && value("TOP", "acme") == nil && value("TOP", nil, user: "u") == nil)
        #expect(value("ALL", nil) == "everybody's" && value("ALL", "acme") == "everybody's")
        #expect(value("ALL", nil, user: "u") == "everybody's")
        #expect(value("ENV", nil) == "env" && value("ENV", "acme") == nil && value("ENV", nil, user: "u") == nil)
        #expect(value("OPEN", "acme") == "acme's own" && value("OPEN", "beta") == "open" && value("OPEN", nil) == "open")
        #expect(value("NONE", nil) == nil && value("BAD", "acme") == nil)
    }

    @Test func settingsOfNamesThatAreOnlyWrittenAlikeAreNotMixed() throws {
        var book = SettingBook()
        let names = ["caf\u{E9}", "cafe\u{301}"]
        for (index, name) in names.enumerated() { book.add("A", organization: name, isShared: false, .success("\(index)")) }
        for (index, name) in names.enumerated() {
            #expect(try book.value(of: "A", for: SettingScope(organization: name, user: nil)) == "\(index)")
        }
    }

    /// Whoever may write destinations must not find out which settings others have.
    @Test func whatBelongsToOthersIsToldLikeWhatIsNotThere() {
        func reason(_ name: String) -> String {
            do {
                return try book().value(of: name, for: SettingScope(organization: "acme", user: nil))
            } catch {
                return "\(error)".replacing(name, with: "X")
            }
        }
        #expect(reason("BETA") == reason("NONE") && reason("TOP") == reason("NONE") && reason("ENV") == reason("NONE"))
    }

    /// A setting of the operator's own helps no destination of an organization or a user.
    @Test(
        arguments: [
            (nil, nil, "${X} has no value: postrider settings set X, or POSTRIDER_EXPOSE of the worker"),
            (
                "acme", nil,
                #"${X} has no value for organization "acme": postrider settings set X with --organization "acme" or --shared, or X:shared in POSTRIDER_EXPOSE of the worker"#
            ),
            (nil, "u", "${X} has no value: postrider settings set X with --shared, or X:shared in POSTRIDER_EXPOSE of the worker"),
        ] as [(String?, String?, String)])
    func whatIsMissingIsToldWithACureForTheDestination(organization: String?, user: String?, told: String) {
        let fault = #expect(throws: SettingFault.self) {
            try book().value(of: "X", for: SettingScope(organization: organization, user: user))
        }
        #expect(fault?.description == told)
    }

    @Test func nothingShowsValues() {
        let text = "\(book()) \(String(reflecting: book())) \(String(describing: book().grants))"
        for value in ["acme's", "operator's", "env\""] { #expect(!text.contains(value)) }
    }
}
