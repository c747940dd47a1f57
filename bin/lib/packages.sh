# shellcheck shell=bash
# What must be on the machine: a Swift toolchain, headers to build against, a Postgres server to run.

readonly swift_minimum=6.1

# Needs each named Debian package, or whatever else provides the same: looks for the files, not for the package,
# so that a machine with everything in place is asked nothing and needs no network.
need_packages() {
    local package missing=()
    for package; do
        has_package "$package" || missing+=("$package")
    done
    ((${#missing[@]} == 0)) || install_packages "${missing[@]}"
    for package in "${missing[@]}"; do
        has_package "$package" || die "$package was installed, yet $(package_meaning "$package") cannot be found."
    done
}

# Wishes for Debian packages that only some tests or measurements need, which are skipped without: installs what it may and
# what starts no service of its own, names the rest, and never fails.
wish_packages() {
    local package missing=() allowed=()
    for package; do
        has_package "$package" || missing+=("$package")
    done
    ((${#missing[@]} > 0)) || return 0
    for package in "${missing[@]}"; do
        if command -v apt-get >/dev/null && may_install && starts_no_service "$package"; then
            allowed+=("$package")
        else
            note "what needs $(package_meaning "$package") is skipped: $package is not installed"
        fi
    done
    ((${#allowed[@]} > 0)) || return 0
    (install_packages "${allowed[@]}") || note "what needs ${allowed[*]} is skipped"
}

# Debian starts the service of a package as it is installed, unless the machine's policy forbids it, as container images do.
starts_no_service() {
    local status=0 service
    case $1 in
    pgbouncer) service=pgbouncer ;;
    nghttp2-proxy) service=nghttpx ;;
    *) return 0 ;;
    esac
    [[ -x /usr/sbin/policy-rc.d ]] || return 1
    /usr/sbin/policy-rc.d "$service" start >/dev/null 2>&1 || status=$?
    ((status == 101))
}

has_package() {
    case $1 in
    libpq-dev) has_header libpq libpq-fe.h ;;
    libcurl4-openssl-dev) has_header libcurl curl/curl.h ;;
    libssl-dev) has_header libssl openssl/ssl.h ;;
    postgresql) server_bin >/dev/null ;;
    nghttp2-server) command -v nghttpd >/dev/null ;;
    nghttp2-proxy) command -v nghttpx >/dev/null || [[ -x /usr/sbin/nghttpx ]] ;;
    pgbouncer) command -v pgbouncer >/dev/null || [[ -x /usr/sbin/pgbouncer ]] ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

package_meaning() {
    case $1 in
    libpq-dev) echo "the header of libpq, Postgres's C library (libpq-fe.h)" ;;
    libcurl4-openssl-dev) echo "the header of libcurl (curl/curl.h)" ;;
    libssl-dev) echo "the headers of OpenSSL (openssl/ssl.h)" ;;
    postgresql) echo "a Postgres server (the programs initdb, pg_ctl and postgres, version 15 or newer)" ;;
    nghttp2-server) echo "a receiver that speaks HTTP/2 (the program nghttpd)" ;;
    nghttp2-proxy) echo "a proxy that speaks HTTP/2 (the program nghttpx)" ;;
    pgbouncer) echo "a pooler before Postgres (the program pgbouncer)" ;;
    *) echo "the command $1" ;;
    esac
}

# has_header MODULE FILE: where Debian and most others put it, else where pkg-config says, if that is there.
has_header() {
    local folder
    for folder in /usr/include /usr/include/postgresql /usr/include/*-linux-gnu* /usr/local/include; do
        [[ ! -e $folder/$2 ]] || return 0
    done
    folder=$(pkg-config --variable=includedir "$1" 2>/dev/null) && [[ -e $folder/$2 ]]
}

# Prints the folder of the Postgres server programs. Debian keeps them out of PATH, and the pg_config of
# libpq-dev names a folder that may hold no server at all: hence the look at what is really there.
server_bin() {
    local folder folders=()
    folders+=("$(pg_config --bindir 2>/dev/null || true)")
    mapfile -t -O 1 folders < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -Vr)
    folders+=("$(dirname "$(command -v postgres || true)")")
    for folder in "${folders[@]}"; do
        [[ $folder == /* && -x $folder/initdb && -x $folder/pg_ctl && -x $folder/postgres ]] || continue
        if [[ $("$folder/postgres" --version) =~ \ ([0-9]+) ]] && ((BASH_REMATCH[1] >= 15)); then
            echo "$folder"
            return 0
        fi
    done
    return 1
}

install_packages() {
    local package
    step "Missing: $*"
    if ! command -v apt-get >/dev/null; then
        for package; do note "$package: $(package_meaning "$package")"; done
        die "Install what provides these files on your system, then run this command again."
    fi
    may_install || die "Install them with this line, then run this command again:" "" \
        "    sudo apt-get update && sudo apt-get install -y --no-install-recommends $*"
    note "installing with apt-get (a minute or so)"
    # An index that cannot be renewed is no reason to stop: what is needed may be in the cache.
    as_root apt-get update -q >/dev/null 2>&1 || note "apt-get update failed; trying with the index that is there"
    case " $* " in
    *" postgresql "*) without_system_cluster apt_install "$@" ;;
    *) apt_install "$@" ;;
    esac
}

apt_install() {
    local package names=() output
    for package; do
        # The package postgresql is an empty one that depends on the release's own postgresql-NN.
        [[ $package != postgresql ]] || package=$(release_server_package)
        names+=("$package")
    done
    output=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends \
        -o DPkg::Lock::Timeout=300 "${names[@]}" 2>&1) || die "$output" "" "apt-get could not install: ${names[*]}"
}

release_server_package() {
    local name
    name=$(apt-cache depends postgresql 2>/dev/null | awk '$1 == "Depends:" && $2 ~ /^postgresql-[0-9]+$/ { print $2 }')
    echo "${name:-postgresql}"
}

# Debian's server package creates and starts a cluster on port 5432 as it is installed. Nobody asked for that
# here. A drop-in for the time of the installation prevents it and leaves the machine's settings as they were.
without_system_cluster() {
    local folder=/etc/postgresql-common/createcluster.d made=() status=0
    [[ -d $folder ]] || made=("$folder")
    as_root mkdir -p "$folder"
    echo 'create_main_cluster = false' | as_root tee "$folder/zz-postrider.conf" >/dev/null
    ("$@") || status=$?
    as_root rm -f "$folder/zz-postrider.conf"
    ((${#made[@]} == 0)) || as_root rmdir --ignore-fail-on-non-empty "${made[@]}"
    return "$status"
}

may_install() { ((EUID == 0)) || sudo -n true 2>/dev/null; }

as_root() { if ((EUID == 0)); then "$@"; else sudo -n "$@"; fi; }

need_swift() {
    local found cure
    cure="Get it from https://www.swift.org/install/linux/ (the tool swiftly installs it into your home folder)."
    command -v swift >/dev/null || die "The command swift is missing; Swift $swift_minimum or newer is needed." "$cure"
    found=$(swift --version 2>/dev/null || true)
    [[ $found =~ Swift\ version\ ([0-9]+\.[0-9]+) ]] || die "swift --version says no version: $found" "$cure"
    found=${BASH_REMATCH[1]}
    [[ $(printf '%s\n' "$swift_minimum" "$found" | sort -V | head -n 1) == "$swift_minimum" ]] ||
        die "Swift $found is too old; $swift_minimum or newer is needed." "$cure"
}
