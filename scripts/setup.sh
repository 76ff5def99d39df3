#!/usr/bin/env bash
# Makes .venv with wmq and what it needs, then the sBPF toolchain where this machine allows it.
# Python packages are those of requirements.lock, each checked against its hash, from whichever index pip is told to use.
# Safe to interrupt and to repeat: the stamp is written last, and says for which pyproject.toml, lock and Python.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VENV=.venv
readonly LOCK=requirements.lock
readonly STAMP=$VENV/wmq-setup.stamp
readonly NEED_GIB=10 # torch's default build takes 6, pip's downloads the rest

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$@" >&2
    exit 1
}

is_recent() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11 python3.14; do
        if command -v "$name" >/dev/null && is_recent "$name"; then
            command -v "$name"
            return
        fi
    done
    die "Python 3.11 or newer is needed; python3 here is $(python3 --version 2>&1 || true)," \
        "and no python3.11, python3.12 or python3.13 is on PATH. Install one, then: make setup"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Debian ships Python without the part that fills a new environment with pip.
need_ensurepip() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    local package
    package=python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv
    say "$1 cannot make environments; installing $package"
    { as_root apt-get update -qq && as_root apt-get install -y -qq "$package"; } ||
        die "could not install $package. Install it by hand, then: make setup"
}

check_disk() {
    local free_kib
    free_kib=$(df -Pk . | awk 'NR == 2 { print $4 }')
    [ "$free_kib" -ge $((NEED_GIB * 1024 * 1024)) ] ||
        say "only $((free_kib / 1024 / 1024)) GiB free here; torch may need $NEED_GIB"
}

stamp_for() { printf '%s %s %s\n' "$(cksum <pyproject.toml)" "$(cksum <"$LOCK")" "$("$1" --version 2>&1)"; }

make_venv() {
    local python=$1
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && is_recent "$VENV/bin/python" && return
    say "$("$python" --version) makes $VENV"
    need_ensurepip "$python"
    rm -rf "$VENV"
    "$python" -m venv "$VENV"
}

pip_install() { "$VENV/bin/python" -m pip install --disable-pip-version-check --no-deps --no-build-isolation "$@"; }

# The lines of one package in the lock.
locked() { awk -v name="$1==" '/^[^ #]/ { found = index($0, name) == 1 } found' "$LOCK"; }

# Nothing but what the lock names: no dependency is looked for, and what is built is built with the lock's setuptools.
install_locked() {
    pip_install --quiet --require-hashes --requirement <(locked setuptools) &&
        pip_install --require-hashes --requirement "$LOCK" &&
        pip_install --no-index --editable . &&
        drop_misfits
}

# Packages that do not fit the lock's, one a line, which it does not name: pip says so of each that lacks what it needs.
misfits() {
    local name
    { "$VENV/bin/python" -m pip check 2>/dev/null || true; } | awk '/ requires | has requirement / { print $1 }' |
        sort -u | while read -r name; do grep -qi "^$name==" "$LOCK" || printf '%s\n' "$name"; done
}

# What an older lock left here goes once it no longer fits; packages of one's own that fit stay.
drop_misfits() {
    local name
    for name in $(misfits); do
        say "$name is of no use any more beside the other packages, and is removed"
        "$VENV/bin/python" -m pip uninstall --quiet --yes "$name" || return
    done
    [ -z "${name:-}" ] || drop_misfits # what needed those fits no more either
}

install_packages() {
    local python wanted
    if [ -x "$VENV/bin/python" ] && [ "$(cat "$STAMP" 2>/dev/null)" = "$(stamp_for "$VENV/bin/python")" ]; then
        say "$VENV is up to date"
        return
    fi
    rm -f "$STAMP"
    python=$(find_python)
    make_venv "$python"
    check_disk
    say "installing the Python packages (torch is large: two to ten minutes)"
    install_locked ||
        die "pip failed, see above. What it already fetched is kept; again: make setup" \
            "Does your index have other files than $LOCK names (another build of torch)? Then, unchecked:" \
            "  $VENV/bin/python -m pip install --editable '.[train,dev]'"
    wanted=$(stamp_for "$VENV/bin/python")
    printf '%s\n' "$wanted" >"$STAMP.partial"
    mv "$STAMP.partial" "$STAMP"
    say "$VENV is ready"
}

install_toolchain() {
    local status=0
    if command -v cargo-build-sbf >/dev/null; then
        say "Solana's own cargo build-sbf is here and will build the programs"
        scripts/sbpf.sh fetch || die "the crates of the programs could not be fetched, see above. Again: make setup"
        return
    fi
    scripts/sbpf.sh install || status=$?
    case $status in
        0) ;;
        3) say "programs cannot be built on this machine (reason above); everything else works" ;;
        *) die "the sBPF toolchain did not install, see above. Again: make toolchain" ;;
    esac
}

install_packages
install_toolchain
