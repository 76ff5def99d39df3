"""The documents say what the code does: tables are made here from the code, numbers in prose are checked against it.

python -m tests.test_docs        rewrite every table between its markers
"""

import ast
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import numpy as np
import pytest

from cli import main
from wm_cli import bits, data, experiments, live, measures, playing, sessions, stages, studies
from wm_export.blob import pack
from wm_export.doctor import Check
from wm_export.idl import ERRORS, FIRST_ERROR, INSTRUCTIONS, UNDELEGATION
from wm_export.layout import (
    ACCOUNT_MAX,
    CHUNK_BYTES,
    DISPUTE,
    DISPUTE_FRAME,
    DISPUTE_PEAKS,
    DISPUTE_WORK,
    FRAME_BYTES,
    GROWTH,
    INPUT_BYTES,
    LOOKAHEAD,
    MODEL,
    PEAKS_BYTES,
    PIECE_BYTES,
    PLAYER,
    RECORD_BYTES,
    SCRATCH,
    SCRATCH_PEAKS,
    SCRATCH_WORK,
    SESSION,
    SESSION_MAX,
    Section,
    chunks,
    discriminator,
    layout,
    offsets,
    pieces,
)
from wm_live import audit, bench, deployment, verbs
from wm_live.deploy import Refund
from wm_live.deployment import Holding
from wm_live.dispute import Costs, Sent
from wm_live.dispute import Outcome as Settled
from wm_live.game import COMMITS
from wm_live.melee import action_names, stage
from wm_live.session import SPONSORED_COMMITS
from wm_live.verify import Check as ChainCheck
from wm_live.verify import Verification
from wm_quant import kernels
from wm_quant.cost import TRANSACTION_BUDGET, TREE_LEVELS, preset_cost
from wm_quant.presets import preset
from wm_quant.prove import GATHER_ROWS_MAX, HEAD_BOUND
from wm_quant.sensitivity import Figures, Sensitivity
from wm_train import grid
from wm_train.actions import RANGES
from wm_train.bounds import BLAST_ZONES, MARGIN, stage_bounds
from wm_train.config import CATEGORY_WEIGHT, VALUE_LOSSES, LossConfig, Mamba2Config, MLPConfig, TrainConfig
from wm_train.diagnose import Verdict
from wm_train.drift import APART, TAIL, drift_figures
from wm_train.encoded import EncodeReport
from wm_train.encoding import NO_FLAGS, Encoding, Flags
from wm_train.evaluate import BASELINES, HORIZONS, evaluate
from wm_train.fold import EXACT_BOUND
from wm_train.frames import CONTROLS, EXTRA, PLAYERS, STAGE, STATE, Field, Kind
from wm_train.held_out import HELD_OUT_FRAMES
from wm_train.ingest import IngestReport
from wm_train.integer import BLOCK_COLUMNS
from wm_train.loss import TELEPORT_UNITS
from wm_train.replays import MIN_FRAMES
from wm_train.shapes import parameter_count
from wm_train.speculation import DELAYS, inputs_figures, outcome_figures
from wm_train.trace import Difference
from wm_train.train import HELD_OUT_EVERY, QAT_LEARNING_RATE, SAVE_SECONDS
from wm_train.world import HEADS, codes

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md")) + [page for page in (ROOT / "README.md", ROOT / "CHANGELOG.md") if page.exists()]
ENCODINGS = ("v1", "v2", "v2.1", "v2.2")
MLP = preset("mlp")

#: What a key of the config does; the table is refused while one of them is missing here.
CONFIG_TEXT: Mapping[str, str] = {
    "model.encoding": "what the network reads: " + ", ".join(ENCODINGS) + "; see [numeric.md](numeric.md#encodings)",
    "model.slots": "frames in the window, 1 to 64",
    "model.heads": "what it predicts: " + ", ".join(HEADS) + "; see [numeric.md](numeric.md#heads)",
    "model.hidden": "widths of the two hidden layers, 8 to 4096 each",
    "model.dropout": "share of hidden units dropped while training, 0 or more, below 1",
    "model.flags": "a mapping of flags, each off by default; see [numeric.md](numeric.md#flags)",
    "model.bits": "bits of a layer's weights in its integer form, 8, 4 or 16, as `{layer2: 4}`; 8 if nothing is said",
    "model.arch": "mlp; or mamba2, which has the next five keys, and no slots, hidden and dropout",
    "model.d_model": "width of the residual stream",
    "model.d_state": "cells that each channel remembers",
    "model.headdim": "channels of a head; divides `expand` times `d_model`",
    "model.n_layers": "blocks",
    "model.expand": "inner width in widths of the stream",
    "train.steps": "optimiser steps, at least 1",
    "train.minutes": "minutes of processor time, of all threads; 0 means no limit. The earlier limit ends the run",
    "train.batch": "windows a step, at least 1",
    "train.lanes": "mamba2: games walked side by side, at least 1",
    "train.chunk": "mamba2: frames of each lane a step, at least 1",
    "train.carry": "mamba2: hand the state on from chunk to chunk",
    "train.buffer_games": "games that windows are shuffled within: those in memory; others are read as they come",
    "train.learning_rate": "peak rate, between 0 and 1",
    "train.weight_decay": "of AdamW",
    "train.warmup": "share of the run in which the rate rises; then a cosine brings it to 0",
    "train.ema": "decay of the averaged weights, which are what is measured and saved, as 0.999; 0 means none",
    "train.losses.action": "weight of the action's cross-entropy; 0 leaves a part of the loss out",
    "train.losses.category": "weight of the cross-entropy of the action's category, one of 20; "
    f"heads two_level need one: {CATEGORY_WEIGHT} is the published weight",
    "train.losses.action_embedding": "weight of the distance from the expected action's embedding to the true one's",
    "train.losses.change_weight": "what these three are multiplied by on frames whose action changes",
    "train.losses.focal": "exponent of the focal loss of the first two; 0 means plain cross-entropy",
    "train.losses.value": "loss of a number: " + ", ".join(VALUE_LOSSES),
    "train.losses.scale": "weighed error below which it is rounded off (all but l1)",
    "train.losses.alpha": "shape of barron: 2 squared, 1 charbonnier, 0 Cauchy, -2 Geman-McClure",
    "train.losses.sampling": "chance, reached at the end of a run, that a player's numbers in a frame are those "
    "that the network predicts there: 0 (off) to 0.5; see [training.md](training.md#fed-its-own-frames)",
    "train.losses.horizon": "weights of frames 2, 3 and so on ahead of a true one, reached by the network's own "
    "frames, as `[0.5, 0.25]`; up to 32, for mamba2 fewer than `train.chunk`",
    "train.seed": "of initialisation, batch order and split",
    "train.threads": "torch threads, at least 1",
    "train.holdout": "share of games (of frames, if there is one game) kept for validation",
    "train.hold_character": "character-select id: train on games without it, validate on `holdout` of those with it; "
    "-1: split by game",
    "train.hold_seen": "with `hold_character`: train on as many games, first those with it that do not validate",
}


# --------------------------------------------------------------------------------------------------- tables from code


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(map(str, row)) + " |" for row in rows)])


def _number(value: float) -> str:
    whole = f"{value:g}"
    inverse = 1 / value if value else 0.0
    return f"1/{inverse:.0f}" if 0 < value < 1 and abs(inverse - round(inverse)) < 1e-9 else whole


def _version(field: Field) -> str:
    return ".".join(map(str, field.since))


def _state_row(field: Field) -> tuple[object, ...]:
    dense = field.is_dense
    return (f"`{field.name}`", field.kind.value, field.unit, f"{field.lo:g}", f"{field.hi:g}",
            _number(field.step) if dense else "", _number(field.scale) if dense else "", field.vocab or "",
            field.width or "", field.first, _version(field), "yes" if field.session else "")  # fmt: skip


def _fields() -> str:
    head = ("field", "kind", "unit", "low", "high", "step", "scale", "ids", "width", "encoding", "Slippi", "session")
    return _table(head, [_state_row(field) for field in (*STATE, STAGE)])


def _controls() -> str:
    rows = []
    for i, control in enumerate(CONTROLS):
        worth = control.step if control.kind is Kind.AXIS else 1  # an axis is bounded in full deflections
        ends = (f"{control.lo / worth:g}", f"{control.hi / worth:g}")
        rows.append((i, f"`{control.name}`", control.kind.value, control.unit, *ends, _number(control.step)))
    return _table(("place", "control", "kind", "unit", "low", "high", "step"), rows)


def _encodings() -> str:
    rows = []
    for name in ENCODINGS:
        e = Encoding(name)
        rows.append((name, e.slots, e.frame_dims, e.input_dims, e.dense_columns, len(list(e.id_fields())),
                     len(list(e.session_fields())), "yes" if e.conditioned else "no"))  # fmt: skip
    head = ("encoding", "slots", "inputs a slot", "inputs in all", "dense columns", "ids", "session ids", "next input")
    return _table(head, rows)


#: What a flag adds to the Frame or to the inputs; one that is missing here is an error.
FLAG_TEXT: Mapping[str, tuple[Flags, str]] = {
    "state_age_as_embed": (Flags(state_age_as_embed=True), "`state_age` as an id, the nearest of 0 to 149"),
    "press_events: next": (Flags(press_events="next"), "presses in the inputs after the window"),
    "press_events: all": (Flags(press_events="all"), "presses in every slot as well"),
    "projectiles": (Flags(projectiles=True), ""),
    "state_flags": (Flags(state_flags=True), ""),
    "animation_index": (Flags(animation_index=True), ""),
    "stale_moves": (Flags(stale_moves=True), ""),
    "lookahead: 3": (Flags(lookahead=3), "inputs of the three frames after the window"),
}


def _flags() -> str:
    plain = Encoding("v2.2")
    rows = []
    for name, (flags, text) in FLAG_TEXT.items():
        e = Encoding("v2.2", flags=flags)
        added = (
            e.input_dims - plain.input_dims,
            e.dense_columns - plain.dense_columns,
            e.id_columns - plain.id_columns,
        )
        listed = ", ".join(f"`{field.name}`" for field in EXTRA.get(name, ()))
        rows.append(
            (f"`{name}`", text or listed, *(f"{n:+d}" if n else "" for n in added), ".".join(map(str, e.since)))
        )
    return _table(("flag", "what is read", "inputs", "dense columns", "ids", "Slippi"), rows)


def test_every_flag_is_described() -> None:
    assert {name.partition(":")[0] for name in FLAG_TEXT} == {item.name for item in fields(Flags)}


def _heads() -> str:
    rows = []
    for name, heads in HEADS.items():
        for kind in ("value", "event", "choice"):
            picked = [f"`{h.name}`" + (f" ({h.width})" if kind == "choice" else "") for h in heads if h.kind == kind]
            rows.append((name, kind, ", ".join(picked)))
    return _table(("heads", "kind", "names, and ids of a choice"), rows)


def _actions() -> str:
    names, rows = action_names(), []
    for number, (category, ranges) in enumerate(RANGES.items()):
        ids = ", ".join(f"{first}-{last}" if first < last else str(first) for first, last in ranges)
        inside = dict.fromkeys(re.sub(r"^special \d+", "a character's own", names[i])
                               for first, last in ranges for i in range(first, last + 1))  # fmt: skip
        rows.append((number, category, ids, "; ".join(inside)))
    return _table(("number", "category", "action ids", "what is in it"), rows)


def _stages() -> str:
    table = stage_bounds(Encoding("v2.2")) / (1 << grid.FRAC_BITS)
    rows = []
    for number, (left, right, top, bottom) in BLAST_ZONES.items():
        ends = [f"{end:.10g}" for end in (left, right, bottom, top)]
        rows.append((number, stage(number).name, *ends, *(f"{end:.6g}" for end in table[number])))
    return _table(("stage", "name", "left", "right", "bottom", "top", "x from", "to", "y from", "to"), rows)


def _power(value: float) -> str:
    exponent = int(value).bit_length() - 1
    return f"2^{exponent}" if value == 1 << exponent and exponent > 9 else f"{value:g}"


def _bounds() -> str:
    blocks = "; ".join(
        f"{bits} bits: " + ", ".join(f"{layer} {columns}" for layer, columns in layers.items())
        for bits, layers in BLOCK_COLUMNS.items()
    )
    grids = {name: ", ".join(f"{bits} bits: {value(g)}" for bits, g in grid.WEIGHT_GRIDS.items()) for name, value in {
        "max": lambda g: g.weight_max, "span": lambda g: f"{g.span:g}", "bound": lambda g: _power(g.lane_bound),
        "acc": lambda g: _power(g.acc_bound), "mult": lambda g: g.mult_bits,
    }.items()}  # fmt: skip
    return _table(("name", "value", "meaning"), [
        ("`FRAC_BITS`", grid.FRAC_BITS, "fractional bits of continuous fields and of heads"),
        ("`CODE_MIN`, `CODE_MAX`", f"{grid.CODE_MIN}, {grid.CODE_MAX}", "range of a code"),
        ("`weight_max`", grids["max"], "largest weight; the smallest is its negative"),
        ("`span`", grids["span"], "a row's largest weight, in units of its scale"),
        ("`mult_bits`", grids["mult"], "bits of a multiplier, which is 0 or more"),
        ("`lane_bound`", grids["bound"], "a lane's partial sum stays below it in magnitude"),
        ("`acc_bound`", grids["acc"], "an accumulator stays below it in magnitude"),
        ("`HEAD_BOUND`", _power(HEAD_BOUND), "a head stays below it in magnitude"),
        ("`GATHER_ROWS_MAX`", GATHER_ROWS_MAX, "most rows in one gather"),
        ("`BLOCK_COLUMNS`", blocks, "columns between two lane flushes, at most"),
        ("`SNAP_BITS`", grid.SNAP_BITS, "embeddings and first-layer weights are multiples of 2^-this when folded"),
        ("`SNAP_LIMIT`", f"{grid.SNAP_LIMIT:g}", "and saturate at this magnitude"),
        ("`EXACT_BOUND`", _power(EXACT_BOUND), "folded sums are exact in float64 below this"),
    ])  # fmt: skip


#: Fields of a header that are not what their width says.
TYPES: Mapping[str, str] = {"tag": "8 bytes", "ids": "4 x u16", "expires": "i64"}


def _header(record: Mapping[str, int]) -> list[tuple[object, ...]]:
    at, widths = offsets(record), {4: "u32", 8: "u64", 32: "32 bytes"}
    return [(at[name], size, f"`{name}`", TYPES.get(name, widths[size])) for name, size in record.items()]


def _sections(parts: Sequence[Section]) -> list[tuple[object, ...]]:
    types = {1: "u8", 2: "u16", 4: "u32", 8: "u64"}
    return [(s.offset, s.width * s.count, f"`{s.name}`", f"{s.count:,} x {types[s.width]}") for s in parts]


def _account(record: Mapping[str, int], payload: Sequence[tuple[object, ...]], length: int) -> str:
    rows = [*_header(record), *payload, (length, "", "(end)", "")]
    shown = [(f"{row[0]:,}", f"{row[1]:,}" if row[1] else "", *row[2:]) for row in rows]
    return _table(("offset", "bytes", "name", "holds"), shown)


FRAME = f"{PLAYERS} x {len(STATE)} x i32"
PEAKS = (PEAKS_BYTES, "`peaks`", f"{TREE_LEVELS} x 32 bytes")


def _model_account() -> str:
    where = layout(MLP, len(pack(MLP).data))
    marks, blob = where.model["chunks"], where.model["blob"]
    payload = [(marks.offset, marks.count, "`chunks`", "a bit for each chunk that has been written"),
               (blob.offset, blob.count, "`blob`", "the blob")]  # fmt: skip
    return _account(MODEL, payload, where.model_bytes)


def _session_account() -> str:
    where = layout(MLP)
    holds = {
        "players": f"{PLAYERS} x player, below",
        "inputs": f"{LOOKAHEAD} frames x {PLAYERS} players x u64",
        "frame": FRAME,
    }
    payload = [(s.offset, s.width * s.count, f"`{name}`", holds[name]) for name, s in where.session.items()]
    return _account(SESSION, payload, where.session_bytes)


def _player() -> str:
    return _account(PLAYER, [], offsets(PLAYER)["end"])


def _scratch_account() -> str:
    where = layout(MLP)
    payload = [(SCRATCH_PEAKS, *PEAKS), (SCRATCH_WORK, where.work_bytes, "`work`", "the work area, below")]
    return _account(SCRATCH, payload, where.scratch_bytes)


def _dispute_account() -> str:
    where = layout(MLP)
    payload = [(DISPUTE_PEAKS, *PEAKS), (DISPUTE_FRAME, FRAME_BYTES, "`frame`", FRAME),
               (DISPUTE_WORK, where.work_bytes, "`work`", "the work area, below")]  # fmt: skip
    return _account(DISPUTE, payload, where.dispute_bytes)


def _work() -> str:
    where = layout(MLP)
    signed = [(*row[:3], str(row[3]).replace("u64", "i64")) for row in _sections(list(where.work.values()))]
    return _account({}, signed, where.work_bytes)


def _blob() -> str:
    rows = []
    for at, size, name, elements in _sections(list(pack(MLP).sections.values())):
        signed = str(name).endswith(("bias`", "session`"))
        rows.append((f"{at:,}", f"{size:,}", name, str(elements).replace("x u", "x i") if signed else elements))
    return _table(("offset", "bytes", "section", "elements"), rows)


def _errors() -> str:
    rows = [(FIRST_ERROR + i, f"`{name}`", text) for i, (name, text) in enumerate(ERRORS.items())]
    return _table(("code", "name", "meaning"), rows)


PROCESSORS = ROOT / "onchain/program/src/processor"


def _purposes() -> dict[str, str]:
    """What each instruction does: the first paragraph of its processor's comment."""
    found: dict[str, str] = {}
    for path in sorted(PROCESSORS.glob("*.rs")):
        for block in re.findall(r"(?:^/// .+\n)+", path.read_text(), re.MULTILINE):
            text = " ".join(line[4:] for line in block.splitlines())
            if named := re.match(r"((?:`\w+`(?: and )?)+): (.+)", text):
                found |= dict.fromkeys(re.findall(r"\w+", named[1].replace(" and ", " ")), named[2])
    return found


def _type(kind: Any) -> str:
    if isinstance(kind, str):
        return {"publicKey": "address"}.get(kind, kind)
    if "vec" in kind:
        return f"list of {_type(kind['vec'])}"
    item, count = kind["array"]
    return f"{count} bytes" if item == "u8" else f"{count} x {item}"


def _instructions() -> str:
    purposes, names = _purposes(), dict[tuple[str, ...], list[str]]()
    for name, about in INSTRUCTIONS.items():
        purpose = re.split(r" (?:data|```text) ", purposes[name])[0]
        must = len(about.accounts) - about.optional
        accounts = [
            f"{label}{f' ({role})' if role else ''}{'' if i < must else ', if any'}"
            for i, (label, role) in enumerate(about.accounts)
        ]
        data = [f"`{arg}` {_type(kind)}" for arg, kind in about.args]
        row = (", ".join(accounts), ", ".join(data), purpose[0].upper() + purpose[1:])
        names.setdefault(row, []).append(f"`{name}`")
    rows = [(", ".join(alike), *row) for row, alike in names.items()]
    return _table(("instruction", "accounts", "data", "what it does"), rows)


def _formulas() -> str:
    rows = [(f"`{name}`", f"`{text}`") for name, text in kernels.formulas().items()]
    return _table(("kernel", "compute units"), rows)


def _preset_cost() -> str:
    cost = preset_cost("mlp")
    rows: list[tuple[object, ...]] = []
    for i, op in enumerate(cost.ops):
        units = (f"{op.kernel_cu:,}", f"{op.overhead_cu:,}", f"{op.cu:,}")
        rows.append((i, f"`{op.name}`", op.kind, f"{op.macs:,}" if op.macs else "", *units))
    rows += [("", "entry, checks, inputs", "", "", "", f"{own:,}", f"{own:,}") for own in cost.steps]
    rows.append(("", "hash tree: two nodes joined", "", "", "", f"{cost.merge:,}", f"{cost.merge:,} each"))
    rows.append(("", "hash tree: a peak", "", "", "", f"{cost.peak:,}", f"{cost.peak:,} each"))
    rows.append(("", "frame 0", "", "", "", "", f"{cost.total_cu:,}"))
    rows.append(("", "the dearest frame", "", "", "", "", f"{sum(cost.worst):,}"))
    return _table(("op", "name", "kind", "MACs", "in kernels", "around them", "compute units"), rows)


def _config() -> str:
    rows: dict[str, tuple[str, ...]] = {}
    parts = (("model", MLPConfig), ("model", Mamba2Config), ("train", TrainConfig), ("train.losses", LossConfig))
    for section, cls in parts:
        for item in fields(cls):
            default = getattr(cls(), item.name)
            if default == LossConfig():
                continue
            default = list(default) if isinstance(default, tuple) else default
            default = {} if default is NO_FLAGS else default
            key = f"{section}.{item.name}"
            rows.setdefault(key, (f"`{key}`", f"`{default}`", CONFIG_TEXT[key]))
    return _table(("key", "default", "meaning"), list(rows.values()))


def _sentence(command: click.Command) -> str:
    """First sentence of a verb's help."""
    paragraph = " ".join(str(command.help).strip().split("\n\n")[0].split())
    return paragraph.split(". ")[0].rstrip(".")


def _options(command: click.Command) -> str:
    flags = [o for o in command.params if isinstance(o, click.Option) and o.name != "help"]
    return ", ".join(f"`{option.opts[-1]}`" for option in flags)


def _leaves(group: click.Group = main, before: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every verb with its full name, those of groups as well."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _leaves(command, f"{before}{name} ")
        else:
            yield before + name, command


def _verbs() -> str:
    rows = []
    for name, command in _leaves():
        arguments = [str(p.name).upper() for p in command.params if isinstance(p, click.Argument)]
        rows.append((f"`{name}`", " ".join(arguments), _options(command), _sentence(command)))
    return _table(("verb", "argument", "options", "what it does"), rows)


BLOCKS: Mapping[tuple[str, str], Callable[[], str]] = {
    ("numeric.md", "fields"): _fields,
    ("numeric.md", "controls"): _controls,
    ("numeric.md", "encodings"): _encodings,
    ("numeric.md", "flags"): _flags,
    ("numeric.md", "heads"): _heads,
    ("numeric.md", "actions"): _actions,
    ("numeric.md", "stages"): _stages,
    ("numeric.md", "bounds"): _bounds,
    ("program.md", "model"): _model_account,
    ("program.md", "session"): _session_account,
    ("program.md", "player"): _player,
    ("program.md", "scratch"): _scratch_account,
    ("program.md", "dispute"): _dispute_account,
    ("program.md", "work"): _work,
    ("program.md", "instructions"): _instructions,
    ("program.md", "blob"): _blob,
    ("program.md", "errors"): _errors,
    ("program.md", "kernels"): _formulas,
    ("program.md", "cost"): _preset_cost,
    ("guide.md", "config"): _config,
    ("guide.md", "verbs"): _verbs,
}


def _around(text: str, name: str) -> tuple[str, str, str]:
    """`text` before, between and after the markers of block `name`."""
    first, last = f"<!-- {name} -->\n", f"<!-- end {name} -->"
    assert text.count(first) == text.count(last) == 1, f"expected {first.strip()} and {last} once each"
    start, end = text.index(first) + len(first), text.index(last)
    return text[:start], text[start:end], text[end:]


@pytest.mark.parametrize(("page", "name"), BLOCKS)
def test_table_is_that_of_the_code(page: str, name: str) -> None:
    _, found, _ = _around((DOCS / page).read_text(), name)
    assert found == BLOCKS[page, name]() + "\n", "out of date; run: python -m tests.test_docs"


def test_every_marker_has_a_table() -> None:
    markers = {(page.name, name) for page in PAGES for name in re.findall(r"<!-- end (\w+) -->", page.read_text())}
    assert markers == set(BLOCKS)


# ------------------------------------------------------------------------------------------------- numbers in prose

FLAG_CODE = codes((next(f for f in STATE if f.kind is Kind.BINARY),), np.ones((1, 1), np.int64)).item()

#: Pieces of text, made from the code, that must stand in a page.
FACTS: Mapping[str, Sequence[str]] = {
    "numeric.md": (
        f"`{grid.FRAC_BITS}` fractional bits",
        f"`{1 << grid.FRAC_BITS}` is one unit",
        *(f"{g.lanes} lanes of {g.lane_bits} bits" for g in grid.WEIGHT_GRIDS.values()),
        *(f"{g.lanes * kernels.MATVEC_MAX_R} rows" for g in grid.WEIGHT_GRIDS.values()),
        f"tiles of {kernels.MATVEC_TILE} columns",
        f"code {FLAG_CODE} for 1",
        *(f"[-{g.weight_max}, {g.weight_max}]" for g in grid.WEIGHT_GRIDS.values()),
        *(f"a lane's partial sum, INT{g.bits} weights | {_power(g.lane_bound)} |" for g in grid.WEIGHT_GRIDS.values()),
        f"rows in a gather | {GATHER_ROWS_MAX} |",
        *(f"an accumulator, INT{g.bits} weights | {_power(g.acc_bound)} |" for g in grid.WEIGHT_GRIDS.values()),
        f"a head | {_power(HEAD_BOUND)} |",
        f"multiples of 2^-{grid.SNAP_BITS} and clipped to +-{grid.SNAP_LIMIT:g}",
        f"width (at most {max(f.width for f in STATE)})",
        f"{TELEPORT_UNITS:g} game units",
        f"{MARGIN:g} game units beyond the blast zone",
    ),
    "program.md": (
        f"{INPUT_BYTES} bytes: an i8 for each axis",
        f"{RECORD_BYTES} bytes",
        f"{CHUNK_BYTES} bytes each",
        f"{chunks(len(pack(MLP).data)):,} chunks",
        f"pieces of {PIECE_BYTES // 1024} KiB",
        f"{pieces(len(pack(MLP).data))} pieces",
        f"{LOOKAHEAD} frames ahead",
        f"{GROWTH:,} bytes at a time",
        f"{TREE_LEVELS} peaks",
        f"`{UNDELEGATION.hex()}`",
        f"{SESSION_MAX:,} bytes",
        f"{ACCOUNT_MAX:,} bytes",
        f"{TRANSACTION_BUDGET:,} compute units",
        f"`{discriminator('global', 'step').hex()}`",
        f"blocks of {kernels.GATHER_WORDS} words",
        f"{kernels.GATHER_BYTES_PER_WORD} entries",
        *(f"{g.lane_bits} bits" for g in grid.WEIGHT_GRIDS.values()),
        f"{preset_cost('mlp').cu_per_mac:.4f} compute units a multiply-accumulate",
    ),
    "guide.md": (
        f"{parameter_count(MLPConfig()):,} parameters",
        f"at least {MIN_FRAMES} frames",
        f"for {HORIZONS[0]}, {HORIZONS[1]} and {HORIZONS[2]} frames",
        f"{-measures.BARS['action_change_points']:g} points of `action_change_acc`, {measures.BARS['k10_percent']:g} %",
        f"a player {APART:g} game units away",
        f"outermost {TAIL:.2%}".replace("%", " %"),
        f"come {DELAYS[0]} to {DELAYS[-1]} frames late",
        f"at least {studies.MIN_GAMES} games",
        f"every {SAVE_SECONDS:g} seconds",
        f"every {HELD_OUT_EVERY} steps",
        f"{HELD_OUT_FRAMES:,} frames",
        f"times {QAT_LEARNING_RATE:g}",
        f"{preset_cost('mlp-int4').cu_per_mac:.4f} compute units a multiply-accumulate",
        f"instead of {preset_cost('mlp').cu_per_mac:.4f}",
        f"{preset_cost('mlp-int4').total_cu:,} instead of {preset_cost('mlp').total_cu:,}",
        f"{TRANSACTION_BUDGET:,} compute units",
        f"{COMMITS} times",
        f"{SPONSORED_COMMITS} commits",
    ),
}


@pytest.mark.parametrize(("page", "fact"), [(page, fact) for page, facts in FACTS.items() for fact in facts])
def test_number_is_that_of_the_code(page: str, fact: str) -> None:
    assert fact in " ".join((DOCS / page).read_text().split())


# ------------------------------------------------------------------------------------------------------ Rust beside it


def test_rust_lists_the_same_errors() -> None:
    rust = (ROOT / "onchain/program/src/error.rs").read_text()
    body = rust[rust.index("pub enum WorldError") : rust.index("impl From")]
    assert re.findall(r"^    (\w+)(?: = \d+)?,", body, re.MULTILINE) == list(ERRORS)
    assert re.findall(r"(\w+) = (\d+)", body) == [(next(iter(ERRORS)), str(FIRST_ERROR))]


def test_rust_decodes_and_describes_every_instruction() -> None:
    rust = (ROOT / "onchain/program/src/instruction.rs").read_text()
    assert set(re.findall(r"tag::(\w+)", rust)) == {"PROCESS_UNDELEGATION", *(name.upper() for name in INSTRUCTIONS)}
    assert set(INSTRUCTIONS) == set(_purposes())


# --------------------------------------------------------------------------------------------------- links, commands


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
            if not re.match(r"[a-z]+:", target):
                yield page, target


@pytest.mark.parametrize(("page", "target"), [pytest.param(*link, id=f"{link[0].name}:{link[1]}") for link in _links()])
def test_link_resolves(page: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    aim = (page.parent / path).resolve() if path else page
    assert aim.exists() and aim.is_relative_to(ROOT)
    if anchor:
        assert anchor in {_slug(line) for line in re.findall(r"^#+ (.+)$", aim.read_text(), re.MULTILINE)}


def _shown(page: Path) -> set[str]:
    """Every command that a page shows: `wmq ...` in a block, also joined by &&, or in backticks with arguments."""
    text = page.read_text()
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^ *(wmq [a-z-].*)$", "\n".join(fenced), re.MULTILINE)
    lines += re.findall(r"^ {4,}(wmq [a-z-].*)$", text, re.MULTILINE)
    commands = {command.strip() for line in lines for command in line.partition(" #")[0].split("&&")}
    return commands | set(re.findall(r"`(wmq [a-z-]+ [^`\n]+)`", text))


def _parsed(line: str, monkeypatch: pytest.MonkeyPatch) -> click.Command | None:
    """The verb that a command line runs, read to its last word and not run; a usage error if it is wrong."""
    ran: list[click.Command] = []
    monkeypatch.setattr(click.Path, "convert", lambda self, value, param, ctx: Path(value))
    monkeypatch.setattr(click.Command, "invoke", lambda self, ctx: ran.append(self))
    main(shlex.split(line, comments=True)[1:], standalone_mode=False)
    return ran[-1] if ran else None


@pytest.mark.parametrize("line", sorted({line for page in PAGES for line in _shown(page)}))
def test_command_line_parses(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if line not in ("wmq --help", "wmq --version"):
        assert _parsed(line, monkeypatch) in dict(_leaves()).values()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verbs_that_are_mentioned_exist(page: Path) -> None:
    assert set(re.findall(r"`wmq ([a-z]+)", page.read_text())) <= set(main.commands)


def test_guide_shows_every_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = [_parsed(line, monkeypatch) for line in _shown(DOCS / "guide.md") if "--help" not in line]
    assert [name for name, command in _leaves() if command not in shown] == []


# ---------------------------------------------------------------------------------------------------------- JSON keys


#: Functions whose dicts are not printed.
INNER = ("_executors", "origin_of", "opened", "_frames", "_common", "_arm", "_kept", "_form_figures")


def _dict_keys(module: ModuleType) -> set[str]:
    """Keys of every figure that a module hands back."""
    tree = ast.parse(Path(str(module.__file__)).read_text())
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    figures = [f for f in ast.walk(tree) if isinstance(f, functions) and f.name not in INNER]
    keys = {key for f in figures for d in ast.walk(f) if isinstance(d, ast.Dict) for key in d.keys}
    return {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}


DIAGNOSED = {item.name for item in fields(Verdict)} | {"ids", "width", "changes", "rare", "common"}


def _evaluate_keys() -> set[str]:
    from tests.factories import random_corpus

    figures = evaluate(BASELINES["persistence"], random_corpus(), Encoding("v1", 3), limit=10)
    rollout: Mapping[str, Any] = figures["rollout"]
    return set(figures) | set(rollout) | {key for one in rollout.values() for key in one} | set(BASELINES)


def _nested(figures: Mapping[str, Any]) -> set[str]:
    """Keys of an object and of the objects in it."""
    return set(figures).union(*(_nested(part) for part in figures.values() if isinstance(part, Mapping)))


def _drift_keys() -> set[str]:
    from tests.factories import random_corpus

    return _nested(drift_figures(BASELINES["persistence"], random_corpus(), Encoding("v1", 3), 10, 2))


def _speculation_keys() -> set[str]:
    from tests.factories import random_corpus

    corpus = random_corpus()
    outcome = outcome_figures(BASELINES["persistence"], corpus, Encoding("v1", 3), 5)
    return _nested(inputs_figures(corpus)) | _nested(outcome)


def _json_keys() -> set[str]:
    classes = (IngestReport, Check, Difference, Costs, Settled, Sent, Verification, ChainCheck, Refund, Holding,
               Sensitivity, Figures, EncodeReport)  # fmt: skip
    listed = ({item.name for cls in classes for item in fields(cls)} - {"figures"}) | DIAGNOSED
    described = {"arch", "parameters", "form", "trained_as"}
    modules = (
        data,
        stages,
        experiments,
        bits,
        measures,
        studies,
        live,
        playing,
        sessions,
        audit,
        bench,
        deployment,
        verbs,
    )
    return (
        listed
        | described
        | _evaluate_keys()
        | _drift_keys()
        | _speculation_keys()
        | {key for module in modules for key in _dict_keys(module)}
    )


def test_guide_names_every_json_key() -> None:
    named = set(re.findall(r"`(\w+)`", (DOCS / "guide.md").read_text()))
    assert sorted(_json_keys() - named) == []


def _rewrite() -> None:
    for (page, name), make in BLOCKS.items():
        path = DOCS / page
        before, _, after = _around(path.read_text(), name)
        path.write_text(before + make() + "\n" + after)


if __name__ == "__main__":
    _rewrite()
