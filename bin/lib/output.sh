# shellcheck shell=bash
# What a person sees while a command runs, on a terminal and in the log of a build server.

# One line for each thing a command does.
step() { printf '==> %s\n' "$*"; }

# A detail below a step.
note() { printf '    %s\n' "$*"; }

# Says on standard error what is wrong and how to cure it, one argument per line, and ends the command.
die() {
    printf '%s\n' "$@" >&2
    exit 1
}

on_terminal() { [[ -t 1 && ${TERM:-dumb} != dumb ]]; }

# Rewrites the last line of a terminal. A log cannot be rewritten and gets nothing.
progress() {
    on_terminal || return 0
    local width
    width=$(tput cols 2>/dev/null || echo 80)
    printf '\r\033[K%.*s' "$((width - 1))" "    $*"
}

progress_end() { ! on_terminal || printf '\r\033[K'; }

# Prints the comment at the top of a command: the usage text stands there, once.
usage() { awk 'NR > 1 && !/^#/ { exit } NR > 1 { sub(/^# ?/, ""); print }' "$1"; }
