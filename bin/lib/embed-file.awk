# One whole file as a Swift literal (with swift-literal.awk, which comes first). Called by bin/embed-sql.

{ text = text $0 "\n" }

END {
    if (failed) exit 1
    if (text == "") give_up("the file is empty")
    printf "%s", swift_literal(text)
}
