# The headings (want=headings: file, anchor) or relative links (want=links: file, line, target) of Markdown files, one a
# line, fields parted by tabs. Code is passed over. Called by bin/check-docs.

FNR == 1 { fenced = 0 }
/^ *(```|~~~)/ { fenced = !fenced }
fenced { next }

{ gsub(/`[^`]*`/, want == "links" ? "" : "&") }

want == "headings" && /^#+ / {
    anchor = anchor_of($0)
    if (times[FILENAME, anchor]++) anchor = anchor "-" (times[FILENAME, anchor] - 1)
    print FILENAME "\t" anchor
}

want == "links" {
    rest = $0
    while (match(rest, /\]\([^() ]+( "[^"]*")?\)/)) {
        target = substr(rest, RSTART + 2, RLENGTH - 3)
        rest = substr(rest, RSTART + RLENGTH)
        sub(/ ".*/, "", target)
        if (target !~ /^[a-z]+:/) print FILENAME "\t" FNR "\t" target
    }
}

# As GitHub makes them: lower case, spaces to hyphens, other punctuation dropped. Bytes beyond ASCII are letters.
function anchor_of(heading) {
    sub(/^#+ +/, "", heading)
    sub(/ +$/, "", heading)
    heading = tolower(heading)
    gsub(/[]!"#$%&'()*+,.\/:;<=>?@[\\^`{|}~]/, "", heading)
    gsub(/ /, "-", heading)
    return heading
}
