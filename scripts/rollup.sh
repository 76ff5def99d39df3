#!/usr/bin/env bash
# The real MagicBlock validator and the programs that a local rollup needs, for `wmq localnet`.
#
#   rollup.sh install     once; needs npm, Linux on x86-64. Safe to interrupt and to repeat
#   rollup.sh versions    one thing a line; fails when something is missing
#
# Everything lies under ${WMQ_CACHE:-$HOME/.cache/wmq}/rollup; nothing of the system is touched:
#
#   bin/validator         starts the validator with the libraries below, where it needs them
#   programs/<id>.so      programs of the base chain: the delegation program and noop
#
# The delegation program is taken from the first of: that folder; the folder in WMQ_PLATFORM_PROGRAMS (holds <id>.so);
# the crate registry, built with Solana's cargo build-sbf, where that is on PATH; and devnet (WMQ_DEVNET_URL).
# WMQ_DELEGATION_SHA256 says what its sha256 must be, zeros at its end left out (as `solana-verify get-program-hash`
# counts). From devnet, where it can be replaced at any time, it is taken only if that is said.
#
# What is downloaded is checked: npm's packages and the crate against the hashes below, Debian's packages by apt against
# Debian's keys, the crate's own crates by cargo against its lock.
# Exit status: 0 done, 1 failed, 2 wrong use, 3 this machine cannot have it.
set -euo pipefail

readonly PACKAGES=@magicblock-labs
readonly VALIDATOR=ephemeral-validator-linux-x64 VALIDATOR_VERSION=0.14.10
readonly VALIDATOR_SHA512=0a5cb0023e6af44a9109303d7eee6bc75db29e358e31c813400ab662404fea35288f54b263e34840a63bf16137c37261b7cd94ebb34bc85a55987f769afcebd1
# An older launcher, which carries dumps of programs; noop is all that is taken from it.
readonly DUMPS=ephemeral-validator DUMPS_VERSION=0.8.3
readonly DUMPS_SHA512=c1b8c8ae1f4741e4a00d5c678eeca40e8001ecc8bdc38546992b3c62ef378d8537177211d7ef160e8d31df65a0f1b882cb90051f178cae96870ec99d3ad6e938

readonly DELEGATION=DELeGGvXpWV2fqJUhqcF5ZSYMS4JTLjteaAMARRSaeSh
readonly DELEGATION_CRATE=magicblock-delegation-program DELEGATION_VERSION=1.2.0
readonly DELEGATION_CRATE_SHA256=85222e1ecdb097a80500fe3614261641be2d27a56ba3557b5bad3fb2d71e6f46
readonly DELEGATION_DATA=Ew1j4p6jU82qmLFLJe2SVp5ZKoNokMP6J1Bf5LaZ6GyE # where the loader keeps its code
readonly LOADER_HEADER=45                                              # bytes in front of the ELF file there
readonly NOOP=noopb9bkMVfRPU8AsbpTUg8AQkHtKwMYZiFUjNRtMmV

readonly NEED_FILES=1000000 # open files that the validator demands before it starts
readonly LIBRARIES=usr/lib/x86_64-linux-gnu

readonly HOME_DIR=${WMQ_CACHE:-$HOME/.cache/wmq}/rollup
readonly LAUNCHER=$HOME_DIR/bin/validator
readonly BINARY=$HOME_DIR/validator-$VALIDATOR_VERSION/ephemeral-validator
readonly PROGRAMS=$HOME_DIR/programs

say() { printf 'rollup: %s\n' "$*" >&2; }
die() {
    local status=$1
    shift
    printf 'rollup: %s\n' "$@" >&2
    exit "$status"
}

# One install at a time. The lock ends with this process.
take_lock() {
    mkdir -p "$HOME_DIR"
    exec 9>"$HOME_DIR/lock"
    flock -n 9 && return
    say "waiting for another install to end"
    flock 9
}

is_elf() { [ "$(head -c 4 "$1" 2>/dev/null | tr '\177' ' ')" = ' ELF' ]; }
program_ready() { is_elf "$PROGRAMS/$1.so"; }
validator_version() { "$LAUNCHER" --version 2>/dev/null; }
validator_ready() { [[ $(validator_version) == *"$VALIDATOR_VERSION"* ]]; }

versions() {
    validator_ready && program_ready "$DELEGATION" && program_ready "$NOOP" ||
        die 1 "not installed; next: make rollup"
    validator_version
    (cd "$PROGRAMS" && sha256sum "$DELEGATION.so" "$NOOP.so")
}

# keep FILE TARGET: the file appears whole or not at all.
keep() {
    mkdir -p "$(dirname "$2")"
    cp "$1" "$2.partial"
    sync "$2.partial"
    mv "$2.partial" "$2"
}

# --- the validator -----------------------------------------------------------------------------------------------

need_machine() {
    [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] ||
        die 3 "this is $(uname -s) on $(uname -m); the validator $VALIDATOR_VERSION is taken as built for Linux x86_64"
    command -v npm >/dev/null ||
        die 3 "npm is needed, which the validator is published by. Install Node.js, then: make rollup"
}

# fetch NAME VERSION SHA512: prints the unpacked package's folder, inside $WORK.
fetch() {
    local name=$1 version=$2 sha512=$3 archive got
    archive=$(cd "$WORK" && npm pack --silent "$PACKAGES/$name@$version" 2>"$WORK/npm.log" | tail -n 1) || {
        tail -n 10 "$WORK/npm.log" >&2
        die 1 "npm could not fetch $PACKAGES/$name@$version"
    }
    got=$(sha512sum <"$WORK/$archive")
    [ "${got%% *}" = "$sha512" ] ||
        die 1 "$PACKAGES/$name@$version: sha512 ${got%% *}, expected $sha512; not the file that was published"
    mkdir "$WORK/$name"
    tar -xzf "$WORK/$archive" -C "$WORK/$name"
    printf '%s\n' "$WORK/$name/package"
}

install_validator() {
    local package
    if [ ! -x "$BINARY" ]; then
        say "validator $VALIDATOR_VERSION from npm (31 MB)"
        package=$(fetch "$VALIDATOR" "$VALIDATOR_VERSION" "$VALIDATOR_SHA512")
        keep "$package/bin/ephemeral-validator" "$BINARY"
        chmod +x "$BINARY"
    fi
    "$BINARY" --version >/dev/null 2>&1 || [ -d "$HOME_DIR/libraries" ] || install_libraries
    [ -e "$HOME_DIR/files.so" ] || [ "$(hard_limit)" -ge "$NEED_FILES" ] || build_preload
    write_launcher
    validator_ready || die 1 "the validator does not start: $("$LAUNCHER" --version 2>&1 | tail -n 3)"
}

# Debian 12 has glibc 2.36 and the validator wants 2.39: the C and C++ libraries of Debian 13, unpacked beside it.
install_libraries() {
    local mirror list apt deb keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null && [ -r "$keyring" ] ||
        die 3 "the validator needs glibc 2.39; here is $(getconf GNU_LIBC_VERSION). Debian 12 or newer would do"
    say "C and C++ libraries of Debian 13, beside the validator"
    apt=$WORK/apt list=$WORK/apt/sources.list
    mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$WORK/debs" "$WORK/libraries"
    mirror=$(apt-get indextargets --format '$(SITE)' 2>/dev/null | grep -m 1 '/debian/*$') ||
        die 3 "apt knows no Debian mirror; a line with one in /etc/apt/sources.list is needed"
    printf 'deb [signed-by=%s] %s trixie main\n' "$keyring" "$mirror" >"$list"
    local options=(-qq -o "Dir::Etc::sourcelist=$list" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$apt/lists" -o "Dir::Cache=$apt/cache" -o "APT::Sandbox::User=$(id -un)")
    { apt-get "${options[@]}" update &&
        (cd "$WORK/debs" && apt-get "${options[@]}" download libc6 libstdc++6 libgcc-s1); } >"$WORK/apt.log" 2>&1 || {
        tail -n 10 "$WORK/apt.log" >&2
        die 1 "apt-get could not fetch libc6, libstdc++6 and libgcc-s1 of Debian 13 (trixie)"
    }
    for deb in "$WORK"/debs/*.deb; do dpkg-deb -x "$deb" "$WORK/libraries"; done
    rm -rf "$HOME_DIR/libraries"
    mv "$WORK/libraries" "$HOME_DIR/libraries"
}

hard_limit() {
    local limit
    limit=$(ulimit -Hn)
    [ "$limit" = unlimited ] && limit=$NEED_FILES
    printf '%s\n' "$limit"
}

# The validator raises its own limit of open files and gives up if it may not. A local one opens a few hundred.
build_preload() {
    command -v cc >/dev/null ||
        die 3 "the validator wants $NEED_FILES open files and may have $(hard_limit) here." \
            "Raise the hard limit (ulimit -Hn), or install a C compiler, with which it is told so"
    cat >"$WORK/files.c" <<C
#define _GNU_SOURCE
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int getrlimit64(__rlimit_resource_t what, struct rlimit64 *limit) {
    if (what != RLIMIT_NOFILE) return syscall(SYS_prlimit64, 0, what, 0, limit);
    limit->rlim_cur = limit->rlim_max = $NEED_FILES;
    return 0;
}
int setrlimit64(__rlimit_resource_t what, const struct rlimit64 *limit) {
    return what == RLIMIT_NOFILE ? 0 : syscall(SYS_prlimit64, 0, what, limit, 0);
}
int getrlimit(__rlimit_resource_t what, struct rlimit *limit) { return getrlimit64(what, (struct rlimit64 *)limit); }
int setrlimit(__rlimit_resource_t what, const struct rlimit *limit) {
    return setrlimit64(what, (const struct rlimit64 *)limit);
}
C
    cc -shared -fPIC -O1 -o "$WORK/files.so" "$WORK/files.c" || die 1 "cc could not build files.so"
    keep "$WORK/files.so" "$HOME_DIR/files.so"
}

write_launcher() {
    cat >"$WORK/launcher" <<SH
#!/bin/sh
# Made by scripts/rollup.sh: the validator with its own libraries, and its demand for open files answered.
home=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")
binary=\$home/validator-$VALIDATOR_VERSION/ephemeral-validator
libraries=\$home/libraries/$LIBRARIES
limit=\$(ulimit -Hn)
preload=
if [ "\$limit" != unlimited ] && [ "\$limit" -lt $NEED_FILES ]; then preload=\$home/files.so; fi
if [ -d "\$libraries" ]; then
    exec "\$libraries/ld-linux-x86-64.so.2" \${preload:+--preload "\$preload"} --library-path "\$libraries" "\$binary" "\$@"
fi
[ -z "\$preload" ] || export LD_PRELOAD="\$preload"
exec "\$binary" "\$@"
SH
    chmod +x "$WORK/launcher"
    keep "$WORK/launcher" "$LAUNCHER"
}

# --- programs ----------------------------------------------------------------------------------------------------

install_noop() {
    local package
    program_ready "$NOOP" && return
    say "noop program from npm"
    package=$(fetch "$DUMPS" "$DUMPS_VERSION" "$DUMPS_SHA512")
    keep "$package/bin/local-dumps/$NOOP.so" "$PROGRAMS/$NOOP.so"
}

install_delegation() {
    program_ready "$DELEGATION" && return
    delegation_from_folder || delegation_from_crate || delegation_from_devnet ||
        die 3 "the delegation program is not to be had here. Expected one of: a folder with $DELEGATION.so named by" \
            "WMQ_PLATFORM_PROGRAMS, Solana's cargo build-sbf on PATH, or devnet within reach (WMQ_DEVNET_URL)"
    say "delegation program ready: $PROGRAMS/$DELEGATION.so, sha256 $(code_sha256 "$PROGRAMS/$DELEGATION.so")"
}

# Of a program's bytes as every tool counts them: a chain may keep zeros behind the ELF file.
code_sha256() { sed '$ s/\x00*$//' "$1" | sha256sum | cut -d ' ' -f 1; }

# keep_delegation FILE SOURCE: only an ELF file, and only of the hash that was said, if one was.
keep_delegation() {
    local got wanted=${WMQ_DELEGATION_SHA256:-}
    is_elf "$1" || die 1 "$2: no ELF file of the delegation program"
    got=$(code_sha256 "$1")
    [ "${wanted:-$got}" = "$got" ] ||
        die 1 "$2: the delegation program has sha256 $got, expected $wanted (WMQ_DELEGATION_SHA256)"
    keep "$1" "$PROGRAMS/$DELEGATION.so"
}

delegation_from_folder() {
    local file=${WMQ_PLATFORM_PROGRAMS:-}/$DELEGATION.so
    [ -n "${WMQ_PLATFORM_PROGRAMS:-}" ] || return 1
    is_elf "$file" || {
        say "WMQ_PLATFORM_PROGRAMS: $file is not an ELF file"
        return 1
    }
    keep_delegation "$file" "$file"
}

delegation_from_devnet() {
    local url=${WMQ_DEVNET_URL:-https://api.devnet.solana.com}
    command -v curl >/dev/null || return 1
    say "delegation program from $url"
    curl -sS --fail --max-time 60 -H 'content-type: application/json' -o "$WORK/account.json" -d "{
        \"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"getAccountInfo\",
        \"params\": [\"$DELEGATION_DATA\", {\"encoding\": \"base64\"}]}" "$url" || return 1
    sed -n 's/.*"data": *\["\([A-Za-z0-9+/=]*\)", *"base64"\].*/\1/p' "$WORK/account.json" | base64 -d 2>/dev/null |
        tail -c "+$((LOADER_HEADER + 1))" >"$WORK/delegation.so"
    is_elf "$WORK/delegation.so" || {
        say "$url gave no program at $DELEGATION_DATA"
        return 1
    }
    [ -n "${WMQ_DELEGATION_SHA256:-}" ] ||
        die 1 "$url has a delegation program of sha256 $(code_sha256 "$WORK/delegation.so"), and whoever runs it could" \
            "give another. Compare with a second source, then say which it must be: WMQ_DELEGATION_SHA256=... make rollup"
    keep_delegation "$WORK/delegation.so" "$url"
}

delegation_from_crate() {
    local crate=$WORK/crate source=$WORK/crate/vendor/$DELEGATION_CRATE-$DELEGATION_VERSION built
    command -v cargo-build-sbf >/dev/null || return 1
    say "delegation program from the crate registry, with cargo build-sbf"
    mkdir -p "$crate/src"
    : >"$crate/src/lib.rs"
    printf '[package]\nname = "fetch"\nversion = "0.0.0"\nedition = "2021"\n\n[dependencies]\n%s = "=%s"\n' \
        "$DELEGATION_CRATE" "$DELEGATION_VERSION" >"$crate/Cargo.toml"
    (cd "$crate" && cargo vendor --versioned-dirs vendor) >"$WORK/build.log" 2>&1 9>&- || {
        tail -n 20 "$WORK/build.log" >&2
        die 1 "$DELEGATION_CRATE $DELEGATION_VERSION could not be fetched"
    }
    grep -qs "\"package\":\"$DELEGATION_CRATE_SHA256\"" "$source/.cargo-checksum.json" ||
        die 1 "$DELEGATION_CRATE $DELEGATION_VERSION: expected a crate of sha256 $DELEGATION_CRATE_SHA256, got another;" \
            "not the one that was published"
    { cp -r "$source" "$WORK/delegation" &&
        cargo-build-sbf --manifest-path "$WORK/delegation/Cargo.toml" --sbf-out-dir "$WORK/out" -- --locked; } \
        >"$WORK/build.log" 2>&1 9>&- || {
        tail -n 20 "$WORK/build.log" >&2
        die 1 "$DELEGATION_CRATE $DELEGATION_VERSION did not build"
    }
    built=$(ls "$WORK"/out/*.so | head -n 1)
    keep_delegation "$built" "$DELEGATION_CRATE $DELEGATION_VERSION"
}

install_all() {
    need_machine
    take_lock
    rm -rf "$HOME_DIR"/work.* # of an install that was killed
    WORK=$(mktemp -d "$HOME_DIR/work.XXXXXX")
    trap 'rm -rf "$WORK"' EXIT
    install_validator
    install_noop
    install_delegation
    say "ready: $(validator_version)"
}

case ${1-} in
    install) install_all ;;
    versions) versions ;;
    *) die 2 "use: rollup.sh install | versions" ;;
esac
