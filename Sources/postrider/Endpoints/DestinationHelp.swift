// The words in which help texts speak of the two kinds of destination.

/// What help says of one kind of destination.
struct DestinationHelp: Sendable {
    /// One of them, as an argument is called.
    let one: String
    /// The same with its article.
    let anyOne: String
    /// All of them.
    let all: String
    /// What a URL of it is.
    let url: String
    /// What `test` does.
    let test: String
    /// What `rotate-secret` does.
    let rotateSecret: String

    static let endpoint = DestinationHelp(
        one: "endpoint", anyOne: "an endpoint", all: "endpoints", url: "Where to send.",
        test: "Send one signed test request from here, under the rules of workers.",
        rotateSecret: """
            Add a new secret. Where the profile has room for several signatures (standard, stripe, supabase, hasura) both \
            sign until the overlap ends; elsewhere the new one alone signs at once.
            """)
    static let workflow = DestinationHelp(
        one: "workflow", anyOne: "a workflow", all: "workflows", url: "Production URL of the webhook node.",
        test: "Send one test request from here, under the rules of workers. It starts the workflow.",
        rotateSecret: "Give a workflow a new secret, or its first one.")
}
