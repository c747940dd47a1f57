# Text as a raw multi-line Swift literal. Used by embed-file.awk and embed-queries.awk.
#
# The closing quotes stand in column 1, so that no indentation is taken from the lines, and the literal gets one
# # more than follows any quote or backslash in the text, so that nothing in it ends the literal or escapes.

function swift_literal(text,    rest, fence, run) {
    fence = "#"
    rest = text
    while (match(rest, /["\\]#+/)) {
        run = substr(rest, RSTART + 1, RLENGTH - 1)
        if (length(run) >= length(fence)) fence = run "#"
        rest = substr(rest, RSTART + RLENGTH)
    }
    return fence "\"\"\"\n" text "\n\"\"\"" fence
}

function give_up(message) {
    print FILENAME ":" FNR ": " message > "/dev/stderr"
    failed = 1
    exit 1
}

# Swift reads CR LF inside a literal as LF, which would not be what the file says.
/\r/ { give_up("a carriage return; lines must end in LF alone") }
