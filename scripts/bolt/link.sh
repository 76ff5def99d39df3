#!/usr/bin/env bash
# The linker that rustc calls for the target of sbpf-solana.json: bitcode -> lower -> sbpf-linker -> sBPF v0.
#
#   link.sh [rustc's arguments for a linker]     with WMQ_SBPF_LINKER and WMQ_SBPF_LOWER, the tools' paths
set -euo pipefail

readonly LLVM_BIN=/usr/lib/llvm-22/bin
objects=() out='' symbols=/dev/null is_whole=true

is_bitcode() { [ "$(head -c 2 "$1")" = BC ]; }

while [ $# -gt 0 ]; do
    case $1 in
        -o) out=$2 && shift ;;
        --export-symbols) symbols=$2 && shift ;;
        *.o) if is_bitcode "$1"; then objects+=("$1"); fi ;; # rustc adds an empty ELF file with the symbols' names
        *.rlib) is_whole=false ;;
    esac
    shift
done

# A dependency that is a cdylib as well: it has no entrypoint, or its own dependencies are not in its objects. There is
# nothing to link.
if ! $is_whole || ! grep -qx entrypoint "$symbols"; then
    : >"$out"
    exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# rustc hands compiler_builtins to no linker of this flavor: the newest one lies beside what is made. (In a folder of
# rustc's own there are copies without code.)
builtins=$(find "$(dirname "$out")" -maxdepth 1 -name 'libcompiler_builtins-*.rlib' -printf '%T@ %p\n' |
    sort -n | tail -n 1 | cut -d ' ' -f 2-)
mkdir "$work/builtins"
(cd "$work/builtins" && "$LLVM_BIN/llvm-ar" x "$builtins")

"$WMQ_SBPF_LOWER" "$work/program.o" "${objects[@]}" --only-needed "$work"/builtins/*.o
# -O 1: no promotion of arguments and no wider operations again, which would undo what was lowered.
"$WMQ_SBPF_LINKER" --cpu v2 --cpu-features +allows-misaligned-mem-access -O 1 --arch=v0 --deploy=false \
    --disable-math-builtins --export entrypoint --llvm-args=-bpf-stack-size=4096 \
    --llvm-args=-inline-max-stacksize=256 -o "$out" "$work/program.o"
