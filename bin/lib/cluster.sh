# shellcheck shell=bash disable=SC2034  # cluster_url is for the commands
# A Postgres of one's own for the length of a command: initdb into a private folder, no port, gone at the end.
#
# It listens on a Unix socket alone. The folder of the socket can be entered by the server's user and by root and
# by nobody else, which is why the socket needs no password; a TCP port on 127.0.0.1 would be open to every user
# of the machine, would need one, and could collide with another run.

cluster_folder= # of the running cluster: data/ and socket/ are the server's, the rest is ours
cluster_guard=  # process group of its guard
cluster_url=    # how a client connects, as superuser

# The superuser is not "postrider": a role of that name would find the schema postrider first in its search path.
# cluster_start PURPOSE [SETTING…]: starts a cluster with database "postrider" and superuser "dba", and sets
# cluster_url. Settings are lines of postgresql.conf. PURPOSE is part of the folder's name.
cluster_start() {
    local purpose=$1
    shift
    # PGPORT, PGDATA and their like would reach initdb, the server and every client of it.
    unset "${!PG@}"
    find_server
    at_exit cluster_stop
    make_cluster_folder "$purpose"
    cluster_guard
    initialize_cluster "$@"
    pg_server pg_ctl start -D "$cluster_folder/data" -l "$cluster_folder/data/server.log" -w -t 60 \
        >"$cluster_folder/start.log" 2>&1 || cluster_failed
    pg_server createdb -h "$cluster_folder/socket" -U dba postrider || cluster_failed
    cluster_url="postgresql:///postrider?host=$cluster_folder/socket&port=5432&user=dba"
}

# Ends the cluster and removes its folder. Calling it again does no harm.
cluster_stop() {
    [[ -n $cluster_folder ]] || return 0
    cluster_release
    cluster_remove "$cluster_folder"
    cluster_folder=
}

# Takes the cluster out of this command's care: it stays when the command ends, for cluster_remove to end later.
cluster_release() {
    [[ -n $cluster_guard ]] || return 0
    kill -TERM -- "-$cluster_guard" 2>/dev/null || true
    wait "$cluster_guard" 2>/dev/null || true
    cluster_guard=
}

# cluster_remove FOLDER: the data goes anyway, so nothing is gained by the checkpoint of an orderly stop.
cluster_remove() {
    [[ -n ${server_programs:-} ]] || find_server
    if [[ -e $1/data/postmaster.pid ]]; then
        pg_server pg_ctl stop -D "$1/data" -m immediate -w -t 30 >/dev/null 2>&1 || true
    fi
    rm -rf -- "$1"
}

find_server() {
    server_programs=$(server_bin) || die "No Postgres server (15 or newer) was found on this machine."
    server_user=
    ((EUID == 0)) || return 0
    # initdb and postgres refuse to run as root.
    for server_user in postgres nobody; do
        ! id -u "$server_user" >/dev/null 2>&1 || return 0
    done
    die "Postgres does not run as root, and neither user postgres nor user nobody exists."
}

# pg_server PROGRAM ARGUMENT…: runs a server program as the server's user, with an environment of its own, and away
# from the clone, which may lie where that user cannot look.
pg_server() (
    close_inherited_files
    cd /
    as_server env -i "PATH=$PATH" LC_ALL=C "$server_programs/$1" "${@:2}" </dev/null
)

as_server() {
    if [[ -z $server_user ]]; then
        "$@"
    else
        setpriv "--reuid=$(id -u "$server_user")" "--regid=$(id -g "$server_user")" --init-groups -- "$@"
    fi
}

# The name of a Unix socket is limited to 107 bytes, it goes into a URL and postgresql.conf unquoted, and the
# server's user must be able to walk there: a TMPDIR that fails any of this is passed over.
make_cluster_folder() {
    local purpose=$1 base
    for base in "${cluster_base:-${TMPDIR:-/tmp}}" /tmp /var/tmp; do
        [[ $base =~ ^/[A-Za-z0-9/._-]{0,59}$ && -w $base ]] || continue
        cluster_folder=$(mktemp -d "${base%/}/postrider-$purpose.XXXXXX") || continue
        chmod 0711 "$cluster_folder"
        mkdir -m 0700 "$cluster_folder/data" "$cluster_folder/socket"
        [[ -z $server_user ]] || chown "$server_user:" "$cluster_folder/data" "$cluster_folder/socket"
        ! as_server test -w "$cluster_folder/data" || return 0
        rm -rf -- "$cluster_folder"
    done
    cluster_folder=
    die "No folder for a private Postgres: set TMPDIR to one that user ${server_user:-$(id -un)} can enter."
}

initialize_cluster() {
    local settings=("$@")
    # initdb need not sync: a cluster that a crash of the machine destroys is a cluster less to remove.
    pg_server initdb -D "$cluster_folder/data" -U dba --auth-local=trust --auth-host=reject \
        --encoding=UTF8 --no-locale --no-sync --no-instructions >"$cluster_folder/start.log" 2>&1 || cluster_failed
    settings=(
        "listen_addresses = ''"
        "unix_socket_directories = '$cluster_folder/socket'"
        "port = 5432"
        "max_connections = 100"
        "timezone = 'UTC'"
        "log_line_prefix = '%m [%p] %q%a: '"
        "autovacuum_naptime = '5s'"
        "${settings[@]}"
    )
    # Of two lines the later wins, so a caller's setting may repeat one of these.
    printf '%s\n' "${settings[@]}" | as_server tee -a "$cluster_folder/data/postgresql.conf" >/dev/null
}

cluster_failed() {
    cat "$cluster_folder/start.log" "$cluster_folder/data/server.log" >&2 2>/dev/null || true
    die "The private Postgres did not start (programs from $server_programs; its messages stand above)."
}

# Ends the cluster should this command be killed with -9, which no trap sees: a process that waits for its parent
# to change does what the parent no longer can. It also ends the child that was running (file "job"). Its process
# group (set -m) keeps Ctrl-C from it.
cluster_guard() {
    set -m
    cluster_watch </dev/null >/dev/null 2>&1 &
    cluster_guard=$!
    set +m
}

cluster_watch() {
    trap - INT TERM HUP EXIT
    local parent
    close_inherited_files
    while read -r _ _ _ parent _ <"/proc/$BASHPID/stat" && ((parent == $$)); do
        sleep 1
    done
    [[ ! -s $cluster_folder/job ]] || end_session "$(<"$cluster_folder/job")"
    cluster_remove "$cluster_folder"
}
