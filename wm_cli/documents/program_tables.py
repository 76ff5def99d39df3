"""Tables of docs/program.md: accounts, instructions, errors, the blob, and what a frame costs."""

from collections.abc import Sequence

from wm_cli.documents.markdown import table
from wm_export.lower.cost import kernel_cu, preset_cost
from wm_export.lower.kernels import KERNELS
from wm_export.lower.lowering import lower
from wm_export.schema.accounts import DISPUTE, MODEL, PIN, SCRATCH, SESSION, Account
from wm_export.schema.interface_tables import (
    ERROR_HEAD,
    FIELD_HEAD,
    INSTRUCTION_HEAD,
    Row,
    account_rows,
    error_rows,
    instruction_rows,
    player_rows,
)
from wm_export.schema.records import Records
from wm_export.solana.blob import pack
from wm_export.solana.layout import Section, layout
from wm_quant.presets import by_ids, preset, untrained
from wm_train.config import Mamba2Config

PROGRAM = lower(preset("mlp"))
#: Mamba-2 of 1.18 and of 4.28 million parameters: (d_model, d_state, n_layers).
MAMBA2 = ((256, 32, 2, "lawful"), (256, 32, 2, "lawful_grouped"), (384, 64, 4, "lawful_grouped"))
SIZES = Records(PROGRAM.game).sizes


def _sections(parts: Sequence[Section]) -> list[tuple[object, ...]]:
    types = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}
    return [(s.offset, s.width * s.count, f"`{s.name}`", f"{s.count:,} x {types[s.width]}") for s in parts]


def _account(account: Account, length: int, *payload: Row) -> str:
    return table(FIELD_HEAD, account_rows(account, SIZES, payload, length))


def _payload(section: Section, kind: str, holds: str) -> Row:
    return f"{section.offset:,}", f"{section.width * section.count:,}", f"`{section.name}`", kind, holds


def _work_area(start: int, size: int) -> Row:
    return f"{start:,}", f"{size:,}", "`work`", "bytes", "the work area, below"


def model_account_table() -> str:
    """The model account."""
    where = layout(PROGRAM, pack(PROGRAM).sizes)
    marks = _payload(where.model["chunks"], "bits", "a bit for each chunk that has been written")
    return _account(MODEL, where.model_bytes[0], marks, _payload(where.model["blob"], "bytes", "the blob"))


def session_account_table() -> str:
    """The session account."""
    return _account(SESSION, layout(PROGRAM).session_bytes)


def player_table() -> str:
    """A player of a session."""
    return table(FIELD_HEAD, player_rows())


def scratch_account_table() -> str:
    """The scratch account."""
    where = layout(PROGRAM)
    return _account(SCRATCH, where.scratch_bytes, _work_area(where.scratch_work, where.work_bytes))


def pin_account_table() -> str:
    """The pin account."""
    return _account(PIN, PIN.size)


def dispute_account_table() -> str:
    """The dispute account."""
    where = layout(PROGRAM)
    return _account(DISPUTE, where.dispute_bytes, _work_area(where.dispute_work, where.work_bytes))


def work_table() -> str:
    """The work area of the default world."""
    where = layout(PROGRAM)
    rows = [
        (f"{at:,}", f"{size:,}", name, str(elements).replace("u64", "i64"))
        for at, size, name, elements in _sections(list(where.work.values()))
    ]
    return table(("offset", "bytes", "name", "holds"), [*rows, (f"{where.work_bytes:,}", "", "(end)", "")])


def blob_table() -> str:
    """Sections of the default weight blob."""
    rows = []
    for at, size, name, elements in _sections(list(pack(PROGRAM).sections.values())):
        signed = str(name).endswith(("bias`", "session`"))
        rows.append((f"{at:,}", f"{size:,}", name, str(elements).replace("x u", "x i") if signed else elements))
    return table(("offset", "bytes", "section", "elements"), rows)


def errors_table() -> str:
    """Error codes."""
    return table(ERROR_HEAD, error_rows())


def instructions_table() -> str:
    """Instructions: accounts, data, purpose."""
    return table(INSTRUCTION_HEAD, instruction_rows(SIZES))


def formulas_table() -> str:
    """Compute units of each kernel."""
    rows = [(f"`{kernel.name}`", f"`{kernel.formula}`") for kernel in KERNELS.values()]
    return table(("kernel", "compute units"), rows)


def preset_cost_table() -> str:
    """Compute units of a frame of the default world, op by op."""
    cost = preset_cost("mlp")
    rows: list[tuple[object, ...]] = []
    for i, op in enumerate(cost.ops):
        units = (f"{op.kernel_cu:,}", f"{op.overhead_cu:,}", f"{op.cu:,}")
        rows.append((i, f"`{op.name}`", op.kind, f"{op.macs:,}" if op.macs else "", *units))
    rows += [("", "entry, checks, inputs", "", "", "", f"{own:,}", f"{own:,}") for own in cost.steps]
    rows.append(("", "hash tree: two nodes joined", "", "", "", f"{cost.merge:,}", f"{cost.merge:,} each"))
    rows.append(("", "hash tree: a peak", "", "", "", f"{cost.peak:,}", f"{cost.peak:,} each"))
    rows.append(("", "frame 0", "", "", "", "", f"{cost.total_cu:,}"))
    rows.append(("", "the most expensive frame", "", "", "", "", f"{sum(cost.worst):,}"))
    return table(("op", "name", "kind", "MACs", "in kernels", "around them", "compute units"), rows)


def _mamba2(d_model: int, d_state: int, n_layers: int, heads: str) -> dict[str, int]:
    """Compute units of each op's kernels; of all blocks, the first one's. The whole frame's under `frame`."""
    flags = by_ids()
    bits = {"layer1": 16, "heads": 16}
    model = Mamba2Config(d_model=d_model, d_state=d_state, n_layers=n_layers, heads=heads, bits=bits, flags=flags)
    units = {routine.name: kernel_cu(routine) for routine in lower(untrained(model)).routines}
    first = {name: cu for name, cu in units.items() if (cu and not name.startswith("blocks.")) or "blocks.0." in name}
    return first | {"frame": sum(units.values())}


def mamba2_table() -> str:
    """What the kernels of a Mamba-2 cost."""
    shapes = [_mamba2(*shape) for shape in MAMBA2]
    heads = [f"d {d}, N {n}, {layers} blocks, `{heads}`" for d, n, layers, heads in MAMBA2]
    # In the order of the shape that has most: what one fuses, another does not.
    names = max(shapes, key=len)
    rows = [(f"`{name}`", *(f"{units[name]:,}" if name in units else "" for units in shapes)) for name in names]
    return table(("op", *heads), rows)
