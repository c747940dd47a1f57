# Counts what `swift test` printed. Called by bin/test; prints three numbers: passed, failed, 1 if the run
# came to its end.
#
#   ✔ Test claimSkipsLockedRows() passed after 0.012 seconds.
#   ✘ Test backoffDoubles(attempt:) with 3 test cases failed after 0.001 seconds with 1 issue.
#   ✔ Test run with 123 tests in 12 suites passed after 1.2 seconds.
#
# Lines are told by their words: the symbol before them is another one for a known issue or on another terminal.

/ Test run with [0-9]+ tests? .*(passed|failed) after [0-9.]+ seconds/ {
    ended = 1
    if ($0 ~ / failed after /) broken = 1
    next
}
# A value with a line feed in it cuts the line of its case, and the line of another test may follow in the same one.
/ Test case passing .*[✔✘] Test / { sub(/.*[✔✘] Test /, "  Test ") }
/ Test case passing / { next }
/ Test .* passed after [0-9.]+ seconds( with [0-9a-z ,()]+)?\.$/ { passed++ }
/ Test .* failed after [0-9.]+ seconds( with [0-9a-z ,()]+)?\.$/ { failed++ }

END {
    # An issue recorded outside any test fails the run and no test of it.
    if (broken && !failed) failed = 1
    print passed + 0, failed + 0, ended + 0
}
