"""Write what the repository keeps of the kernels: listings to read, sizes for Rust, the table of compute units.

python -m wm_export.lower.kernel_files            write them, and show which compute units changed
python -m wm_export.lower.kernel_files --check    exit 1 if one is out of date

onchain/kernels/asm/*.s            one listing of each family
onchain/kernels/src/geometry.rs    sizes that kernels, weights and Rust agree on
onchain/kernels/compute_units.md   formulas, and compute units at some sizes
"""

import re
import sys
from pathlib import Path

from wm_export.lower.asm.gather_asm import GATHER_BYTES_PER_WORD, GATHER_UNROLL, GATHER_WORDS
from wm_export.lower.asm.matvec_asm import MATVEC_MAX_R
from wm_export.lower.kernels import FAMILIES, KERNELS
from wm_train.grid.arithmetic import GATHER_ROWS_MAX, WEIGHT_GRIDS

HERE = Path(__file__).resolve().parents[2] / "onchain" / "kernels"
COMMAND = "python -m wm_export.lower.kernel_files"
BANNER = "Machine-written by wm_export/lower/kernel_files.py; do not edit."
UNITS = HERE / "compute_units.md"

#: Compute units by kernel and sizes, as `groups 2, columns 64`.
Units = dict[tuple[str, str], int]


def sizes_text(sizes: dict[str, int]) -> str:
    """`groups 2, columns 64`."""
    return ", ".join(f"{name} {size}" for name, size in sizes.items())


def counted() -> Units:
    """What the table must hold, by the formulas."""
    return {
        (kernel.name, sizes_text(sizes)): kernel.cu(**sizes)
        for family in FAMILIES
        for kernel, sizes in family.metered_calls()
    }


def committed() -> Units:
    """What the table holds; nothing if there is none."""
    text = UNITS.read_text() if UNITS.exists() else ""
    rows = re.findall(r"^\| `(\w+)` \| ([^|`]+) \| ([\d,]+) \|$", text, re.MULTILINE)
    return {(name, sizes): int(units.replace(",", "")) for name, sizes, units in rows}


def changes(old: Units, new: Units) -> list[str]:
    """A line for each row that is in both and differs: before, after, and by how much."""
    return [
        f"{name}, {sizes}: {old[name, sizes]:,} -> {units:,} compute units "
        f"({units - old[name, sizes]:+,}, {units / old[name, sizes] - 1:+.1%})"
        for (name, sizes), units in new.items()
        if old.get((name, sizes), units) != units
    ]


def _units_md() -> str:
    return "\n".join(
        [
            f"<!-- {BANNER} -->",
            "",
            "# Compute units",
            "",
            "Counted inside the function with its `exit`, without the caller's argument set-up and `call`; `/` rounds",
            "down.",
            "",
            "| kernel | compute units |",
            "|---|---|",
            *(f"| `{kernel.name}` | `{kernel.formula}` |" for kernel in KERNELS.values()),
            "",
            "The same at some sizes, each metered in LiteSVM by a test:",
            "",
            "| kernel | sizes | compute units |",
            "|---|---|---|",
            *(f"| `{name}` | {sizes} | {units:,} |" for (name, sizes), units in counted().items()),
            "",
        ]
    )


def _geometry_rs() -> str:
    lanes = ", ".join(f"({grid.bits}, {grid.lanes})" for grid in WEIGHT_GRIDS.values())
    constants = [
        (
            "LANES",
            f"[(usize, usize); {len(WEIGHT_GRIDS)}]",
            f"[{lanes}]",
            "Bits of a weight, and rows in a word",
        ),
        ("MATVEC_MAX_R", "usize", MATVEC_MAX_R, "Most words of a column"),
        ("WORDS_PER_BLOCK", "usize", GATHER_WORDS, "Words of a gathered row in one block"),
        ("ENTRIES_PER_WORD", "usize", GATHER_BYTES_PER_WORD, "Entries of a gathered row in one word"),
        ("ENTRIES_PER_BLOCK", "usize", GATHER_WORDS * GATHER_BYTES_PER_WORD, "Entries of a gathered row in one block"),
        ("ROWS_STEP", "usize", GATHER_UNROLL, "Gathered rows come in multiples of this"),
        ("MAX_ROWS", "usize", GATHER_ROWS_MAX, "Most gathered rows in one sum"),
    ]
    lines = [f"// {BANNER}", "//! Sizes that the kernels, the weights of a blob and the calls agree on.", ""]
    for name, kind, value, about in constants:
        lines += [f"/// {about}.", f"pub const {name}: {kind} = {value};"]
    return "\n".join([*lines, ""])


def files() -> dict[Path, str]:
    """Path and text of every machine-written file."""
    listings = {
        HERE / "asm" / f"{name}.s": f"# {BANNER}\n{KERNELS[name].text}"
        for name in (family.listing for family in FAMILIES)
    }
    return {HERE / "src" / "geometry.rs": _geometry_rs(), UNITS: _units_md()} | listings


def stale() -> list[str]:
    """Files that are not what they must be, and listings of no family."""
    wanted = files()
    bad = [str(path) for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    return bad + [f"{path} (not read)" for path in sorted((HERE / "asm").glob("*.s")) if path not in wanted]


def main(argv: list[str]) -> int:
    """Write the files, or with --check name what is out of date."""
    if argv not in ([], ["--check"]):
        print(f"kernel_files: unknown arguments {argv}, expected nothing or --check", file=sys.stderr)
        return 2
    changed = changes(committed(), counted())
    if argv:
        bad = stale()
        for line in [*changed, *(f"out of date: {path}; run {COMMAND}" for path in bad)]:
            print(line, file=sys.stderr)
        return 1 if bad else 0
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    print("\n".join(changed) or "no compute units changed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
