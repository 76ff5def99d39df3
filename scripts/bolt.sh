#!/usr/bin/env bash
# From std Rust (Anchor's and BOLT's programs) to sBPF v0 on a machine without Solana's own tools: the compiler and the
# linker of sbpf.sh, Debian's copy of the Rust library with a patch, and a tool that rewrites what LLVM's BPF cannot compile.
#
#   bolt.sh install                              once, after sbpf.sh install; needs Debian 12 or newer
#   bolt.sh fetch WORKSPACE                      the crates that WORKSPACE/Cargo.lock names: builds are offline
#   bolt.sh build WORKSPACE OUT PACKAGE...       OUT/<package>.so of each, with _ for -; quiet unless it fails
#   bolt.sh world OUT                            BOLT's World program from the crate registry: OUT/<its id>.so
#   bolt.sh versions                             one tool a line; fails when not installed
#
# A workspace is built as its Cargo.toml and Cargo.lock say; its release profile needs lto = "fat", codegen-units = 1 and
# panic = "abort". The library and the crates are compiled once for all workspaces: three minutes of one core, then
# seconds for each program.
#
# Everything made here lies under ${WMQ_CACHE:-$HOME/.cache/wmq}/bolt.
# Exit status: 0 done, 1 failed, 2 wrong use, 3 this machine cannot have it.
set -euo pipefail

readonly LLVM=22
readonly RUST=1.96 # whose library the patch is for
readonly REGISTRY=index.crates.io-1949cf8c6b5b557f # what cargo calls the folder of the crate registry's sources
readonly DEBIAN_RUSTC=/usr/bin/rustc DEBIAN_CARGO=/usr/bin/cargo
readonly WORLD_ID=WorLD15A7CrDwLcLy4fRqtaTb9fbd8o8iqiEMUDse2n

SOURCES=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
readonly SOURCES CACHE=${WMQ_CACHE:-$HOME/.cache/wmq}
readonly TOOLS=$CACHE/bolt
readonly STD=(-Z build-std=core,alloc,std,panic_abort -Z build-std-features=) # the library, compiled with each program
readonly LINKER=$CACHE/sbpf/bin/sbpf-linker LOWER=$TOOLS/bin/lower LIBRARY=$TOOLS/library STAMP=$TOOLS/stamp
readonly TARGET_DIR=$TOOLS/target # shared by all workspaces

say() { printf 'bolt: %s\n' "$*" >&2; }
die() {
    local status=$1
    shift
    printf 'bolt: %s\n' "$@" >&2
    exit "$status"
}

# One at a time, install or build: they share the target folder. The lock ends with this process.
take_lock() {
    mkdir -p "$TOOLS"
    exec 9>"$TOOLS/lock"
    flock -n 9 && return
    say "waiting for another build to end"
    flock 9
}

# What library and tools were made from: another compiler, patch or source makes them anew.
library_stamp() { { "$DEBIAN_RUSTC" -vV && cat "$SOURCES"/bolt/library.patch; } 2>/dev/null | sha256sum; }
stamp() { { library_stamp && cat "$SOURCES"/bolt/{link.sh,lower.cpp,sbpf-solana.json}; } | sha256sum; }
is_stamped() { [ "$(cat "$1" 2>/dev/null)" = "$2" ]; }
ready() { bash "$SOURCES/sbpf.sh" versions >/dev/null 2>&1 && is_stamped "$STAMP" "$(stamp)"; }

versions() {
    ready || die 1 "not installed; next: scripts/bolt.sh install"
    bash "$SOURCES/sbpf.sh" versions
    printf 'library %s\n' "$(stamp | cut -c 1-16)"
}

# --- install -----------------------------------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

packages_ready() {
    [ -x "/usr/lib/llvm-$LLVM/bin/llvm-ar" ] && [ -x "/usr/lib/llvm-$LLVM/bin/llvm-config" ] &&
        command -v g++ patch >/dev/null
}

install_packages() {
    local packages=("llvm-$LLVM" "llvm-$LLVM-dev" g++ patch)
    as_root true 2>/dev/null ||
        die 3 "installing Debian packages needs root or sudo without a password. As root: apt-get install ${packages[*]}"
    say "Debian packages: ${packages[*]}"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-remove --no-install-recommends \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "${packages[@]}" >"$TOOLS/apt.log" 2>&1 || {
        tail -n 20 "$TOOLS/apt.log" >&2
        die 1 "apt-get failed"
    }
}

# The library that Debian's compiler was built with, as a program of Solana needs it. What was compiled with another one
# goes.
patch_library() {
    is_stamped "$LIBRARY/stamp" "$(library_stamp)" && return
    local from
    from=$("$DEBIAN_RUSTC" --print sysroot)/lib/rustlib/src/rust/library
    [[ $("$DEBIAN_RUSTC" --version) == "rustc $RUST."* ]] ||
        die 3 "the patch is for the library of Rust $RUST; Debian's is $("$DEBIAN_RUSTC" --version). Use cargo build-sbf"
    rm -rf "$LIBRARY" "$TARGET_DIR"
    cp -rL "$from" "$LIBRARY"
    (cd "$TOOLS" && patch --silent -p1 <"$SOURCES/bolt/library.patch") || die 1 "the library's patch does not fit"
    library_stamp >"$LIBRARY/stamp"
}

build_lower() {
    local config=/usr/lib/llvm-$LLVM/bin/llvm-config flags
    mkdir -p "$TOOLS/bin"
    read -ra flags <<<"-I$($config --includedir) $($config --ldflags)"
    g++ -O1 -std=c++17 -fno-rtti -D__STDC_CONSTANT_MACROS -D__STDC_FORMAT_MACROS -D__STDC_LIMIT_MACROS \
        "$SOURCES/bolt/lower.cpp" -o "$LOWER" "${flags[@]}" "-lLLVM-$LLVM" || die 1 "lower.cpp did not compile"
}

install_all() {
    bash "$SOURCES/sbpf.sh" install
    if ready; then
        say "ready: $(versions | tail -n 1)"
        return
    fi
    take_lock
    packages_ready || install_packages
    patch_library
    build_lower
    cp "$SOURCES/bolt/link.sh" "$SOURCES/bolt/sbpf-solana.json" "$TOOLS"
    chmod +x "$TOOLS/link.sh"
    stamp >"$STAMP"
    say "ready: $(versions | tail -n 1)"
}

# --- build -------------------------------------------------------------------------------------------------------

# Debian's cargo, with the patched library in place of its own. It writes nothing into the workspace.
with_library() {
    CARGO_TARGET_DIR=$TARGET_DIR RUSTC=$DEBIAN_RUSTC RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT=$LIBRARY \
        "$DEBIAN_CARGO" "$@"
}

fetch() {
    [ $# -eq 1 ] || die 2 "fetch needs WORKSPACE, got: $*"
    versions >/dev/null
    cd "$1"
    with_library fetch --quiet --locked "${STD[@]}" --offline 2>/dev/null && return
    say "crates, by Cargo.lock"
    with_library fetch --quiet --locked "${STD[@]}" || die 1 "the crates of $1/Cargo.lock could not be fetched"
}

rust_flags() {
    local home=${CARGO_HOME:-$HOME/.cargo} folder
    local flags=(
        -C target-cpu=v2                                # no 32-bit jumps or arithmetic: sBPF v0 has none
        -C target-feature=+allows-misaligned-mem-access # one load for an unaligned u64, not eight
        -C relocation-model=static
        -C llvm-args=-inline-max-stacksize=256 # a frame of sBPF v0 has 4,096 bytes
        -C "linker=$TOOLS/link.sh"
        # Panic messages hold source paths: the same program must not depend on whose home it was built in.
        "--remap-path-prefix=$LIBRARY=library"
        "--remap-path-prefix=$home=cargo"
    )
    for folder in "$home"/registry/src/*; do
        flags+=("--remap-path-prefix=$folder=cargo/registry/src/$REGISTRY")
    done
    local IFS=$'\x1f'
    printf '%s' "${flags[*]}"
}

run_cargo() {
    CARGO_ENCODED_RUSTFLAGS=$(rust_flags) \
        WMQ_SBPF_LINKER=$LINKER WMQ_SBPF_LOWER=$LOWER \
        with_library rustc --quiet --release --locked --offline --lib --crate-type cdylib \
        --target "$TOOLS/sbpf-solana.json" -Z json-target-spec "${STD[@]}" "$@" 9>&-
}

# cargo optimizes a program as a whole only where it makes nothing else of its crate: one package at a time.
build_package() {
    local package=$1 out=$2 name=${1//-/_}.so made=$TARGET_DIR/sbpf-solana/release/lib${1//-/_}.so
    rm -f "$made"
    run_cargo --package "$package" >"$TOOLS/build.log" 2>&1 || {
        cat "$TOOLS/build.log" >&2
        die 1 "cargo could not build $package of $PWD"
    }
    [ -s "$made" ] || die 1 "$package made no program; it needs an entrypoint, and its workspace's release profile lto = \"fat\""
    cp "$made" "$out/$name.partial"
    sync "$out/$name.partial"
    mv "$out/$name.partial" "$out/$name"
}

build() {
    [ $# -ge 3 ] || die 2 "build needs WORKSPACE OUT PACKAGE..., got: $*"
    local workspace=$1 out package
    out=$(realpath -m -- "$2")
    shift 2
    [ -f "$workspace/Cargo.toml" ] || die 2 "$workspace has no Cargo.toml"
    versions >/dev/null
    take_lock
    mkdir -p "$out"
    cd "$workspace"
    # Another workspace may have crates of the same names. Cargo tells them apart by the times of their files alone.
    find . -name '*.rs' -exec touch {} +
    for package; do build_package "$package" "$out"; done
}

# BOLT's World, by its address, as `wmq` looks for it.
world() {
    [ $# -eq 1 ] || die 2 "world needs OUT, got: $*"
    local out
    out=$(realpath -m -- "$1")
    (fetch "$SOURCES/bolt/world")
    build "$SOURCES/bolt/world" "$TOOLS/world" world-program
    mkdir -p "$out"
    cp "$TOOLS/world/world_program.so" "$out/$WORLD_ID.so.partial"
    mv "$out/$WORLD_ID.so.partial" "$out/$WORLD_ID.so"
}

case ${1-} in
    install) install_all ;;
    fetch) shift && fetch "$@" ;;
    build) shift && build "$@" ;;
    world) shift && world "$@" ;;
    versions) versions ;;
    *) die 2 "use: bolt.sh install | fetch WORKSPACE | build WORKSPACE OUT PACKAGE... | world OUT | versions" ;;
esac
