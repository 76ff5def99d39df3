"""Tables of docs/numeric.md: fields, controls, encodings, heads, bounds, and those that only the game has."""

from wm_cli.documents.game_documents import game_documents
from wm_cli.documents.markdown import power, short_number, table
from wm_train.config import MLPConfig
from wm_train.grid import arithmetic as grid
from wm_train.grid.arithmetic import GATHER_ROWS_MAX, HEAD_BOUND
from wm_train.grid.fold import EXACT_BOUND
from wm_train.grid.integer_mlp import BLOCK_COLUMNS
from wm_train.world.encoding import Encoding
from wm_train.world.fields import Field, Kind
from wm_train.world.registry import find_game
from wm_train.world.subsystem import Head
from wm_train.world.systems import systems

GAME = find_game()


def _version(field: Field) -> str:
    return ".".join(map(str, field.since))


def _state_row(field: Field) -> tuple[object, ...]:
    dense = field.is_dense
    return (f"`{field.name}`", field.kind.value, field.unit, f"{field.lo:g}", f"{field.hi:g}",
            short_number(field.step) if dense else "", short_number(field.scale) if dense else "", field.vocab or "",
            field.width or "", field.first or GAME.editions[0].name, _version(field),
            "yes" if field.session else "")  # fmt: skip


def fields_table() -> str:
    """Fields of a player, and the place."""
    head = (
        "field",
        "kind",
        "unit",
        "low",
        "high",
        "step",
        "scale",
        "ids",
        "width",
        "encoding",
        game_documents().version,
        "session",
    )
    return table(head, [_state_row(field) for field in (*GAME.state, *([GAME.place] if GAME.place else []))])


def controls_table() -> str:
    """Controls of a player."""
    rows = []
    for i, control in enumerate(GAME.controls):
        worth = control.step if control.kind is Kind.AXIS else 1  # an axis is bounded in full deflections
        ends = (f"{control.lo / worth:g}", f"{control.hi / worth:g}")
        rows.append((i, f"`{control.name}`", control.kind.value, control.unit, *ends, short_number(control.step)))
    return table(("place", "control", "kind", "unit", "low", "high", "step"), rows)


def encodings_table() -> str:
    """How wide each encoding is."""
    rows = []
    for name in (edition.name for edition in GAME.editions):
        e = Encoding(name)
        rows.append((name, e.slots, e.frame_dims, e.input_dims, e.dense_columns, len(list(e.id_fields())),
                     len(list(e.session_fields())), "yes" if e.conditioned else "no"))  # fmt: skip
    head = ("encoding", "slots", "inputs a slot", "inputs in all", "dense columns", "ids", "session ids", "next input")
    return table(head, rows)


def flags_table() -> str:
    """What each flag adds to the edition that it is described for."""
    about = game_documents()
    plain = Encoding(about.described)
    rows = []
    for name, (flags, text) in about.flags.items():
        e = Encoding(about.described, flags=flags)
        added = (
            e.input_dims - plain.input_dims,
            e.dense_columns - plain.dense_columns,
            e.id_columns - plain.id_columns,
        )
        rows.append((f"`{name}`", text, *(f"{n:+d}" if n else "" for n in added), ".".join(map(str, e.since))))
    return table(("flag", "what is read", "inputs", "dense columns", "ids", about.version), rows)


def heads_table() -> str:
    """Heads by kind."""
    rows = []
    for name, head_set in GAME.head_sets.items():
        for kind in ("value", "event", "choice"):
            heads = (head for head in head_set.heads if head.kind == kind)
            rows.append((name, kind, ", ".join(f"`{head.name}`{_ids_of(head)}" for head in heads)))
    return table(("heads", "kind", "names, and ids of a choice"), rows)


def _ids_of(head: Head) -> str:
    """How many ids a choice has, and in how many groups."""
    if head.kind != "choice":
        return ""
    return f" ({head.width} in {head.groups} groups)" if head.groups else f" ({head.width})"


def subsystems_table() -> str:
    """Subsystems of the integrated heads, in the order of their rules."""
    rows = []
    for system in systems(GAME.head_sets[MLPConfig().heads]):
        taken = ", ".join(f"`{name}` of `{key}`" for name, key in system.takes.items())
        reads, writes = (", ".join(f"`{name}`" for name in names) for names in (system.reads, system.writes))
        heads = ", ".join(f"`{head.name}`" for head in system.heads)
        rows.append((system.place + 1, f"`{system.key}`", reads, taken, writes, heads))
    return table(("turn", "subsystem", "its rule reads", "of the next Frame", "writes", "heads"), rows)


def game_table(name: str) -> str:
    """A table that only the game has."""
    made = game_documents().tables[name]
    return table(made.head, list(made.rows()))


def bounds_table() -> str:
    """Constants of the integer arithmetic."""
    blocks = "; ".join(
        f"{bits} bits: " + ", ".join(f"{layer} {columns}" for layer, columns in layers.items())
        for bits, layers in BLOCK_COLUMNS.items()
    )
    grids = {name: ", ".join(f"{bits} bits: {value(g)}" for bits, g in grid.WEIGHT_GRIDS.items()) for name, value in {
        "max": lambda g: g.weight_max, "span": lambda g: f"{g.span:g}", "bound": lambda g: power(g.lane_bound),
        "acc": lambda g: power(g.acc_bound), "mult": lambda g: g.mult_bits,
    }.items()}  # fmt: skip
    return table(("name", "value", "meaning"), [
        ("`FRAC_BITS`", grid.FRAC_BITS, "fractional bits of continuous fields and of heads"),
        ("`CODE_MIN`, `CODE_MAX`", f"{grid.CODE_MIN}, {grid.CODE_MAX}", "range of a code"),
        ("`weight_max`", grids["max"], "largest weight; the smallest is its negative"),
        ("`span`", grids["span"], "a row's largest weight, in units of its scale"),
        ("`mult_bits`", grids["mult"], "bits of a multiplier, which is 0 or more"),
        ("`lane_bound`", grids["bound"], "a lane's partial sum stays below it in magnitude"),
        ("`acc_bound`", grids["acc"], "an accumulator stays below it in magnitude"),
        ("`HEAD_BOUND`", power(HEAD_BOUND), "a head stays below it in magnitude"),
        ("`GATHER_ROWS_MAX`", GATHER_ROWS_MAX, "most rows in one gather"),
        ("`BLOCK_COLUMNS`", blocks, "columns between two lane flushes, at most"),
        ("`SNAP_BITS`", grid.SNAP_BITS, "embeddings and first-layer weights are multiples of 2^-this when folded"),
        ("`SNAP_LIMIT`", f"{grid.SNAP_LIMIT:g}", "and saturate at this magnitude"),
        ("`EXACT_BOUND`", power(EXACT_BOUND), "folded sums are exact in float64 below this"),
    ])  # fmt: skip
