# shellcheck shell=bash
# Long-running children, and the promise that nothing outlives the command: neither after Ctrl-C nor after kill.

job=        # session of the running child, empty between children
cleanups=() # functions to call at the end, last registered first

# Calls a function when the command ends, however it ends (kill -9 excepted: see cluster_watch).
at_exit() { cleanups+=("$1"); }

clean_up() {
    local status=$? index
    # A second Ctrl-C must not cut the clean-up short: that is how processes and folders get left behind.
    trap '' INT TERM HUP
    trap - EXIT
    stop_job
    for ((index = ${#cleanups[@]} - 1; index >= 0; index--)); do
        "${cleanups[index]}" || true
    done
    exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# Starts a program in a session of its own, in the background. In the foreground it would hold up Ctrl-C and kill:
# bash runs a trap only after its foreground child has ended, and a build takes minutes. A session, because SwiftPM
# puts what it starts into process groups of their own, which outlive it. env undoes what bash does to background
# children, which is to make them deaf to Ctrl-C.
start_job() {
    (
        close_inherited_files
        exec setsid env --default-signal=INT,QUIT -- "$@" </dev/null
    ) &
    job=$!
    [[ -z ${cluster_folder:-} ]] || echo "$job" >"$cluster_folder/job"
}

# Waits for the child and returns its exit status.
finish_job() {
    local status=0
    # Bash reports a child killed by a signal in words of its own on standard error; the status says it all.
    wait "$job" 2>/dev/null || status=$?
    job=
    return "$status"
}

run_job() {
    start_job "$@"
    finish_job
}

stop_job() {
    [[ -n $job ]] || return 0
    end_session "$job"
    wait "$job" 2>/dev/null || true
    job=
}

# Ends all processes of a session: asks each once, so that a worker can release what it holds, insists after 15 s.
end_session() {
    local tick process processes
    local -A asked=()
    for ((tick = 0; tick <= 150; tick++)); do
        mapfile -t processes < <(session_processes "$1")
        ((${#processes[@]} > 0)) || return 0
        for process in "${processes[@]}"; do
            [[ -n ${asked[$process]:-} ]] || kill -TERM "$process" 2>/dev/null || true
            asked[$process]=1
        done
        sleep 0.1
    done
    kill -KILL "${processes[@]}" 2>/dev/null || true
}

# Zombies do not count: in a container whose first process never reaps they stay for good.
session_processes() {
    cat /proc/[0-9]*/stat 2>/dev/null |
        awk -v session="$1" '{ pid = $1; sub(/^.*\) /, ""); if ($4 == session && $1 != "Z") print pid }'
}

# Closes every file but the standard three that the caller of the command happened to have open. A server that
# outlives its starter would else keep a lock or a pipe of the caller's, and whoever waits for that waits for the
# server. For use in a subshell.
close_inherited_files() {
    local file
    for file in "/proc/$BASHPID/fd"/*; do
        file=${file##*/}
        if ((file > 2)); then exec {file}>&-; fi
    done
}
