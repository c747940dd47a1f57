# The named statements of sql/queries/*.sql as Swift constants (with swift-literal.awk, which comes first). Called by
# bin/embed-sql. A file holds any number of these:
#
#   -- name: EventClaim   rows: 0..$2, oldest first
#   -- params: $1 worker uuid, $2 limit int
#   -- index: webhook_queue_pkey; the plan is checked in ClaimPlanTests
#   WITH …
#   SELECT …;
#
# The comment lines from "-- name:" down to the first other line are the heading and become the doc comment. Comments
# further down belong to the statement and stay in it; comments after its semicolon are dropped.

FNR == 1 { finish() }

/^-- name:/ {
    finish()
    name = $3
    if (name !~ /^[A-Z][A-Za-z0-9]*$/) give_up("a name like EventClaim is wanted after \"-- name:\"")
    if (name in seen) give_up(name " stands in " seen[name] " too")
    seen[name] = FILENAME
    file = FILENAME
    line = FNR
    heading = 1
    sub(/^-- name: *[^ ]+ */, "")
    doc = "    /// `" name "`" ($0 == "" ? "" : "; " $0) "\n"
    next
}

heading && /^--/ {
    sub(/^-- ?/, "")
    # What goes on from the line above is indented in the heading; other lines are points of their own.
    doc = doc (sub(/^ +/, "") ? "    ///   " : "    /// - ") $0 "\n"
    next
}

name == "" && !/^(--.*)?[ \t]*$/ { give_up("a statement without \"-- name:\" above it") }

name != "" {
    heading = 0
    sql = sql $0 "\n"
    if ($0 !~ /^[ \t]*(--.*)?$/) end = length(sql)
}

END {
    if (failed) exit 1
    finish()
}

function finish(    constant) {
    if (name == "") return
    sql = substr(sql, 1, end - 1)
    sub(/^[ \t\n]+/, "", sql)
    if (!sub(/[ \t]*;[ \t]*$/, "", sql)) {
        print file ":" line ": " name " does not end in a semicolon (of its own, with no comment behind it)" > "/dev/stderr"
        failed = 1
        exit 1
    }
    constant = tolower(substr(name, 1, 1)) substr(name, 2)
    printf "%s%s    static let %s = Statement(\n        name: \"%s\",\n        sql: %s)\n", \
        (count++ ? "\n" : ""), doc, constant, name, swift_literal(sql)
    name = sql = doc = ""
    end = 0
}
