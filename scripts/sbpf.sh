#!/usr/bin/env bash
# From no_std Rust to a Solana program (sBPF v3 or v0) on a machine without Solana's own tools:
# Debian's Rust compiler, its own copy of the Rust library, and sbpf-linker from the crate registry.
#
#   sbpf.sh install                                 once; needs Debian 12 or newer and root (or sudo without password)
#   sbpf.sh fetch                                   the crates that onchain/Cargo.lock names: builds are offline
#   sbpf.sh build ARCH CRATE_DIR OUT.so [--features F]   quiet unless it fails; ARCH is v3 or v0
#   sbpf.sh versions                                one tool a line; fails when not installed
#
# What is downloaded is checked: Debian's packages by apt against Debian's keys, sbpf-linker by its version, and all crates
# by cargo against the registry's hashes and the locks that name them.
#
# Everything made here lies under ${WMQ_CACHE:-$HOME/.cache/wmq}/sbpf.
# Exit status: 0 done, 1 failed, 2 wrong use, 3 this machine cannot have the toolchain.
set -euo pipefail

# rustc and linker must share one LLVM. 23 miscompiles sBPF v0 without a word, and the linker does not know older ones.
readonly LLVM=22
readonly LINKER_VERSION=0.2.6
readonly REGISTRY=index.crates.io-1949cf8c6b5b557f # what cargo calls the folder of the crate registry's sources
# Debian's own, by full path: a rustup compiler in front of it on PATH has another LLVM.
readonly DEBIAN_RUSTC=/usr/bin/rustc DEBIAN_CARGO=/usr/bin/cargo
readonly TARGET=bpfel-unknown-none
readonly STD=(-Z build-std=core,alloc) # of the library, compiled with each program

readonly TOOLS=${WMQ_CACHE:-$HOME/.cache/wmq}/sbpf
readonly LINKER=$TOOLS/bin/sbpf-linker
readonly TARGET_DIR=$TOOLS/target # of each arch, shared by all crates: core and alloc are compiled once

say() { printf 'toolchain: %s\n' "$*" >&2; }
die() {
    local status=$1
    shift
    printf 'toolchain: %s\n' "$@" >&2
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

rustc_version() { "$DEBIAN_RUSTC" --version 2>/dev/null; }
rustc_llvm() { "$DEBIAN_RUSTC" -vV 2>/dev/null | sed -n 's/^LLVM version: //p'; }
library_source() { printf '%s/lib/rustlib/src/rust/library\n' "$("$DEBIAN_RUSTC" --print sysroot)"; }

compiler_ready() {
    [ -x "$DEBIAN_CARGO" ] && [ -x "$DEBIAN_RUSTC" ] || return 1
    [[ $(rustc_llvm) == "$LLVM".* ]] && [ -d "$(library_source)/core" ]
}

linker_ready() { [[ $("$LINKER" --version 2>/dev/null) == "sbpf-linker $LINKER_VERSION"*"LLVM $LLVM."* ]]; }

versions() {
    compiler_ready && linker_ready || die 1 "not installed; next: make toolchain"
    rustc_version
    "$LINKER" --version
}

# --- install -----------------------------------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

need_debian() {
    local ID='' VERSION_ID=''
    # shellcheck source=/dev/null
    [ ! -r /etc/os-release ] || . /etc/os-release
    [ "$ID" = debian ] && [ "${VERSION_ID%%.*}" -ge 12 ] 2>/dev/null ||
        die 3 "this is ${ID:-no Debian} $VERSION_ID; the packages used here exist in Debian 12 or newer." \
            "Install Solana's own tools instead: wmq uses cargo build-sbf when it is on PATH"
}

need_root() {
    as_root true 2>/dev/null ||
        die 3 "installing Debian packages needs root or sudo without a password. As root: scripts/sbpf.sh install"
}

install_packages() {
    local packages=(rustc-web cargo-web rust-web-src "llvm-$LLVM-dev" gcc libc6-dev)
    cargo fmt --version >/dev/null 2>&1 || packages+=(rustfmt-web)
    cargo clippy --version >/dev/null 2>&1 || packages+=(rust-web-clippy)
    say "1/2 Debian packages: ${packages[*]}"
    as_root apt-get update -qq
    # --no-remove: these packages conflict with Debian's rustc and rustup, which are not ours to take away.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-remove --no-install-recommends \
        -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 "${packages[@]}" >"$TOOLS/apt.log" 2>&1 || {
        tail -n 20 "$TOOLS/apt.log" >&2
        die 1 "apt-get failed. If it would remove rustc, cargo or rustup of Debian, remove them yourself first"
    }
    compiler_ready ||
        die 3 "Debian's $(rustc_version) has LLVM $(rustc_llvm), needed is LLVM $LLVM with the library's sources." \
            "It is in Debian's security updates; enable those, or use Solana's cargo build-sbf"
}

# The default feature of the linker wants a nightly compiler's LLVM; we link Debian's.
install_linker() {
    say "2/2 sbpf-linker $LINKER_VERSION from source (three to five minutes)"
    RUSTC=$DEBIAN_RUSTC LLVM_PREFIX=/usr/lib/llvm-$LLVM CARGO_TARGET_DIR=$TOOLS/linker-build \
        "$DEBIAN_CARGO" install --quiet --locked --force --root "$TOOLS" "sbpf-linker@$LINKER_VERSION" \
        --no-default-features --features "bpf-linker/llvm-$LLVM" 9>&- >"$TOOLS/linker.log" 2>&1 || {
        tail -n 30 "$TOOLS/linker.log" >&2
        die 1 "sbpf-linker did not build"
    }
    linker_ready || die 1 "sbpf-linker was built but says: $("$LINKER" --version 2>&1 || true)"
    rm -rf "$TOOLS/linker-build"
}

# Into cargo's own cache, each checked against the hash in Cargo.lock. The generated crate adds none.
fetch_crates() {
    local cargo=$DEBIAN_CARGO onchain work
    onchain=$(cd "$(dirname "$0")/../onchain" && pwd)
    [ -x "$cargo" ] || cargo=$(command -v cargo) || die 3 "no cargo to fetch crates with; next: make toolchain"
    mkdir -p "$TOOLS"
    work=$(mktemp -d "$TOOLS/fetch.XXXXXX")
    # shellcheck disable=SC2064
    trap "rm -rf '$work'" EXIT
    cp -r "$onchain"/{Cargo.toml,Cargo.lock,kernels,program,host} "$work"
    mkdir -p "$work/world/src"
    cp "$onchain/world/Cargo.toml" "$work/world"
    : >"$work/world/src/lib.rs"
    cd "$work"
    # The library's crates too, by the lock among its sources, where programs are compiled with it.
    local fetch=("$cargo" fetch --quiet --locked)
    ! compiler_ready || fetch=(env RUSTC="$DEBIAN_RUSTC" RUSTC_BOOTSTRAP=1 "${fetch[@]}" "${STD[@]}")
    "${fetch[@]}" --offline 2>/dev/null && return
    say "crates of the programs, by Cargo.lock"
    "${fetch[@]}" || die 1 "the crates of $onchain/Cargo.lock could not be fetched"
}

install_all() {
    if compiler_ready && linker_ready; then
        fetch_crates
        say "ready: $(rustc_version), LLVM $(rustc_llvm), sbpf-linker $LINKER_VERSION"
        return
    fi
    compiler_ready || { need_debian && need_root; }
    take_lock
    compiler_ready || install_packages
    linker_ready || install_linker
    fetch_crates
    say "ready: $(rustc_version), LLVM $(rustc_llvm), sbpf-linker $LINKER_VERSION"
}

# --- build -------------------------------------------------------------------------------------------------------

# What the compiler may use: v3 has 32-bit jumps and arithmetic, v0 none. The arithmetic is sBPF's own: add32, sub32 and
# mul32 extend the sign, where LLVM takes them to extend zeros. The linker mends that (--sbpf-optimize, its default).
cpu() {
    case $1 in
        v3) echo v3 ;;
        v0) echo v2 ;;
        *) die 2 "expected sBPF v3 or v0, got: $1" ;;
    esac
}

rust_flags() {
    local arch=$1 home=${CARGO_HOME:-$HOME/.cargo} folder
    local flags=(
        -A explicit_builtin_cfgs_in_flags --cfg 'target_os="solana"' # crates choose their syscalls by it
        -C target-cpu="$(cpu "$arch")"
        -C target-feature=+allows-misaligned-mem-access # one load for an unaligned u64, not eight
        -C relocation-model=static -C panic=abort
        -C link-arg=--arch="$arch"
        -C link-arg=--deploy=false                     # else the linker writes a second copy beside the sources
        -C link-arg=--disable-math-builtins            # LLVM's BPF cannot compile __multi3 and its like
        -C link-arg=--llvm-args=-bpf-stack-size=4096
        -C link-arg=--llvm-args=-inline-threshold=5000 # a function of more than five registers must be inlined
        # Panic messages hold source paths: the same program must not depend on whose home it was built in,
        # or on which mirror of the registry its crates came from.
        "--remap-path-prefix=$home=cargo"
    )
    for folder in "$home"/registry/src/*; do
        flags+=("--remap-path-prefix=$folder=cargo/registry/src/$REGISTRY")
    done
    local IFS=$'\x1f'
    printf '%s' "${flags[*]}"
}

# Prints what cargo made as JSON lines; its messages for people go to standard error.
run_cargo() {
    local arch=$1
    shift
    CARGO_ENCODED_RUSTFLAGS=$(rust_flags "$arch") RUSTC=$DEBIAN_RUSTC RUSTC_BOOTSTRAP=1 \
        CARGO_TARGET_DIR=$TARGET_DIR/$arch \
        CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER=$LINKER \
        "$DEBIAN_CARGO" build --quiet --release --locked --offline --target "$TARGET" "${STD[@]}" \
        --message-format=json-render-diagnostics "$@" 9>&-
}

build() {
    [ $# -ge 3 ] || die 2 "build needs ARCH CRATE_DIR OUT.so [--features F], got: $*"
    local arch=$1 crate=$2 out made
    out=$(realpath -m -- "$3")
    shift 3
    cpu "$arch" >/dev/null
    [ -f "$crate/Cargo.toml" ] || die 2 "$crate has no Cargo.toml"
    versions >/dev/null
    take_lock
    cd "$crate"
    # Cargo takes crates of the same names in two folders for one, and tells by their files' ages which is newer: what
    # another folder was built to last would count as this one's. Only the libraries of others are kept.
    rm -rf "$TARGET_DIR/$arch/$TARGET/release/.fingerprint/wmq-"* "$TARGET_DIR/$arch/$TARGET/release/"*.so
    run_cargo "$arch" "$@" >"$TOOLS/build.json" 2>"$TOOLS/build.log" || {
        cat "$TOOLS/build.log" >&2
        die 1 "cargo could not build $crate"
    }
    made=$(grep -o "\"[^\"]*/$TARGET/release/[^\"/]*\.so\"" "$TOOLS/build.json" | tail -n 1 | tr -d '"') ||
        die 1 "$crate made no .so; its Cargo.toml needs: [lib] crate-type = [\"cdylib\"]"
    mkdir -p "$(dirname "$out")"
    cp "$made" "$out.partial"
    sync "$out.partial"
    mv "$out.partial" "$out"
}

case ${1-} in
    install) install_all ;;
    build) shift && build "$@" ;;
    fetch) fetch_crates ;;
    versions) versions ;;
    *) die 2 "use: sbpf.sh install | fetch | build ARCH CRATE_DIR OUT.so [--features F] | versions" ;;
esac
