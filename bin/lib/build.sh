# shellcheck shell=bash disable=SC2154  # job is set in jobs.sh
# Building with something to look at: a first build takes minutes, and SwiftPM's own output is either a flood or
# silence.

readonly log_folder=.build/logs

# What Dockerfile gives `swift build`, for a program that takes little memory: docs/decisions.md, "A lean worker".
readonly image_options=(-c release --product postrider --static-swift-stdlib -Xlinker -z -Xlinker pack-relative-relocs
    -Xswiftc -Xfrontend -Xswiftc -function-sections -Xcc -ffunction-sections -Xcc -fdata-sections)
readonly image_folder=.build/image

# swift_build LABEL ARGUMENT…: runs `swift build ARGUMENT…`. Shows the step it is at, keeps the log, and prints
# what the compiler said only when it fails. Returns the status of the build.
swift_build() {
    local label=$1 log=$log_folder/build.log started=$SECONDS status=0
    shift
    own_build_folder
    step "$label"
    start_job swift build "$@" >"$log" 2>&1
    watch_build "$log"
    finish_job || status=$?
    progress_end
    if ((status == 0)); then
        note "done in $((SECONDS - started)) s"
    else
        grep -vE '^\[[0-9]+/[0-9]+\] (Compiling|Emitting|Wrapping|Write|Linking)' "$log" >&2 || true
        note "swift build $* failed; everything it printed: $log" >&2
    fi
    return "$status"
}

# image_build LABEL: the program as the image has it, in $image_folder/release.
image_build() { swift_build "$1" "${image_options[@]}" --scratch-path "$image_folder"; }

# A build folder of another user (root's, say) fails deep inside SwiftPM with words that name no cure.
own_build_folder() {
    if [[ -e .build && ! -w .build ]]; then
        die "The folder $PWD/.build belongs to $(stat -c %U .build). Remove it, or run this as that user."
    fi
    mkdir -p "$log_folder"
}

# A moving line on a terminal; elsewhere a line every 15 s, because build servers end what says nothing.
watch_build() {
    local log=$1 spoke=$SECONDS
    while kill -0 "$job" 2>/dev/null; do
        if on_terminal; then
            progress "$(build_step "$log")"
        elif ((SECONDS - spoke >= 15)); then
            spoke=$SECONDS
            note "$(build_step "$log")"
        fi
        sleep 0.3
    done
}

build_step() {
    local line
    line=$(tail -c 8192 "$1" 2>/dev/null | grep -aE '^(\[[0-9]+/[0-9]+\]|[A-Z][a-z]+ing )' | tail -n 1 || true)
    echo "${line:-starting}"
}
