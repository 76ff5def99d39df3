"""QNet and field table -> the generated crate `wmq-world`: templates with named holes, filled here, then rustfmt."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Any

from wm_export.blob import Blob
from wm_export.errors import WmExportError
from wm_export.idl import INSTRUCTIONS, UNDELEGATION
from wm_export.layout import (
    ACCOUNT_VERSION,
    AXES,
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
    PIECE_BYTES,
    PLAYER,
    RECORD_BYTES,
    SCRATCH,
    SCRATCH_PEAKS,
    SCRATCH_WORK,
    SESSION,
    TAG_DISPUTE,
    TAG_MODEL,
    TAG_SCRATCH,
    TAG_SESSION,
    Layout,
    Section,
    chunks,
    digest,
    discriminator,
    layout,
    offsets,
    pieces,
    session_vocab,
)
from wm_export.trace_ops import Sym, SymOps
from wm_quant.calls import GATHER_BLOCK, op_calls, padded
from wm_quant.cost import TREE_LEVELS, op_names
from wm_quant.kernels import GATHER_UNROLL, GATHER_WORDS
from wm_quant.qnet import SESSION_BIAS, Op, QNet
from wm_train.bounds import BOUNDED, BOUNDS, stage_bounds
from wm_train.encoding import Encoding
from wm_train.files import atomic_write_bytes
from wm_train.frames import CONTROLS, PLAYERS, STATE, STATE_INDEX, Field, Kind, fixed
from wm_train.integer import table_starts
from wm_train.world import LABELS, Head, World, decode, encode, identify, ranges

TEMPLATES = Path(__file__).parent / "templates"
RUSTFMT = Path(__file__).resolve().parent.parent / "onchain" / "rustfmt.toml"
SOURCES = ("lib.rs", "layout.rs", "network.rs", "rules.rs", "step.rs")


@dataclass
class RustTarget:
    """Recorded operations as lines of Rust; a value is a variable."""

    prefix: str
    lines: list[str] = field(default_factory=list)

    def line(self, text: str) -> None:
        """A statement."""
        self.lines.append(text)

    def let(self, expression: str, name: str = "") -> str:
        """A new variable that holds `expression`."""
        name = name or f"{self.prefix}{len(self.lines)}"
        self.lines.append(f"let {name} = {expression};")
        return name

    def binary(self, op: str, a: str | int, b: str | int) -> str:
        """See Target: a comparison is a mask, 0 or -1."""
        return self.let(f"gt({a}, {b})" if op == ">" else f"{a} {op} {b}")

    def where(self, mask: str | int, a: str | int, b: str | int) -> str:
        """See Target."""
        return self.let(f"select({mask}, {a}, {b})")

    def clip(self, value: str | int, low: str | int, high: str | int) -> str:
        """See Target."""
        return self.let(f"clamp({value}, {low}, {high})")

    def requantize(self, value: str | int, mult: int, shift: int) -> str:
        """See Target."""
        return self.let(f"requantize1({value}, {mult}, {shift})")


def _constants(entries: Mapping[str, int]) -> str:
    lines = [
        f"    /// Offset of `{name}`.\n    pub const {_upper(name)}: usize = {at};" for name, at in entries.items()
    ]
    return "\n".join(lines)


def _upper(name: str) -> str:
    return name.upper().replace(".", "_")


def _module(name: str, about: str, tag: bytes, entries: Mapping[str, int], length: int) -> str:
    values = ", ".join(f"0x{byte:02x}" for byte in tag)
    tag_text = f"    /// First eight bytes.\n    pub const ACCOUNT_TAG: [u8; 8] = [{values}];\n" if tag else ""
    size = f"    /// Bytes in all.\n    pub const BYTES: usize = {length};\n"
    return f"/// {about}\npub mod {name} {{\n{tag_text}{size}{_constants(entries)}\n}}\n"


def _fields(fields: Mapping[str, int]) -> dict[str, int]:
    return {name: at for name, at in offsets(fields).items() if name not in ("reserved", "end")}


def _starts(sections: Mapping[str, Section]) -> dict[str, int]:
    return {name: section.offset for name, section in sections.items()}


def _accounts(where: Layout, blob: Blob) -> str:
    model, session = _fields(MODEL) | _starts(where.model), _fields(SESSION) | _starts(where.session)
    scratch = _fields(SCRATCH) | {"peaks": SCRATCH_PEAKS, "work": SCRATCH_WORK}
    dispute = _fields(DISPUTE) | {"peaks": DISPUTE_PEAKS, "frame": DISPUTE_FRAME, "work": DISPUTE_WORK}
    return "\n".join(
        [
            _module("model", "The model account.", TAG_MODEL, model, where.model_bytes),
            _module("blob", "Sections of the blob.", b"", _starts(blob.sections), len(blob.data)),
            _module("session", "The session account.", TAG_SESSION, session, where.session_bytes),
            _module("player", "A player in a session account.", b"", offsets(PLAYER), offsets(PLAYER)["end"]),
            _module("scratch", "The scratch account.", TAG_SCRATCH, scratch, where.scratch_bytes),
            _module("dispute", "The dispute account.", TAG_DISPUTE, dispute, where.dispute_bytes),
            _module("work", "The work area, from its own first byte.", b"", _starts(where.work), where.work_bytes),
        ]
    )


def _instructions() -> str:
    """First eight bytes of every instruction's data, as a number."""
    names = {name: discriminator("global", name) for name in INSTRUCTIONS} | {"process_undelegation": UNDELEGATION}
    return "\n".join(
        f"/// `{name}`.\npub const {_upper(name)}: u64 = 0x{int.from_bytes(tag, 'little'):016x};"
        for name, tag in names.items()
    )


def _at(area: str, name: str, cast: str = "", extra: int = 0) -> str:
    """Address of `name` in an area, `extra` bytes further, as a pointer to `cast`."""
    plus = f" + {extra}" if extra else ""
    return f"{area}.add({area}::{_upper(name)}{plus})" + (f" as {cast}" if cast else "")


def _call(function: str, *arguments: object) -> str:
    return f"{function}({', '.join(map(str, arguments))});"


def _matvec_lines(net: QNet, op: Op) -> list[str]:
    lines, at = [], 0
    for call in op_calls(net, op):
        words = _at("blob", f"{op.name}.words", "*const u64", at)
        source = _at("work", op.source, "*const i64", 8 * call.column)
        out = _at("work", op.out, "*mut i64", 8 * call.row)
        lines.append(_call(call.kernel, words, source, out, call.groups, call.columns))
        at += 8 * call.groups * call.columns * call.accumulators
    return lines


def _start_line(op: Op, where: Layout) -> str:
    source = _at("work", "bias") if op.init == SESSION_BIAS else _at("blob", f"{op.name}.bias")
    return _call("start", source, _at("work", op.out), where.work[op.out].count)


def _op_lines(net: QNet, op: Op, where: Layout) -> list[str]:
    lines = [_start_line(op, where)] if op.init else []
    if op.kind == "matvec":
        return lines + _matvec_lines(net, op)
    out = _at("work", op.out, "*mut i64")
    if op.kind == "gather":
        k = _at("blob", f"{op.name}.k", "*const u32")
        return [*lines, _call("gather", "blob", _at("work", op.source, "*const u16"), k, out)]
    source, mult = _at("work", op.source, "*const i64"), _at("blob", f"{op.name}.mult", "*const u32")
    return [*lines, _call(op.kind, source, mult, out, op_calls(net, op)[0].n, op.shift)]


def _gather(net: QNet, blob: Blob) -> str:
    op = next((op for op in net.ops if op.kind == "gather"), None)
    if op is None:
        return ""
    starts = table_starts([f for _, _, f in net.world.encoding.id_fields()])
    blocks = padded(op.size, GATHER_BLOCK) // GATHER_BLOCK
    row_bytes, base = 8 * GATHER_WORDS * blocks, blob.sections[f"{op.name}.rows"].offset
    rows = padded(len(starts) - 1, GATHER_UNROLL)
    first = [int(start) for start in starts[:-1]] + [int(starts[-1])] * (rows - len(starts) + 1)
    text = ",\n".join(str(base + row_bytes * start) for start in first)
    return _fill("gather.rs", {"rows": rows, "starts": text, "row_bytes": row_bytes, "blocks": blocks})


def _network(net: QNet, where: Layout, blob: Blob) -> dict[str, object]:
    arms = [f"{i} => {{\n" + "\n".join(_op_lines(net, op, where)) + "\n}" for i, op in enumerate(net.ops)]
    first = next(op for op in net.ops if op.init == SESSION_BIAS)
    vocab = session_vocab(net)
    return {
        "ops": "\n".join(arms),
        "gather": _gather(net, blob),
        "session_ids": len(vocab),
        "session_starts": ", ".join(str(sum(vocab[:i])) for i in range(len(vocab))),
        "session_table": _at("blob", f"{first.name}.session", "*const i32"),
        "layer_bias": _at("blob", f"{first.name}.bias", "*const i32"),
        "bias_count": first.size,
        "stage": f"ids[{len(vocab) - 1}] as usize" if net.world.encoding.stage else "0",
    }


def _stage_bounds(encoding: Encoding) -> dict[str, object]:
    table = stage_bounds(encoding)
    rows = ", ".join("[" + ", ".join(map(str, row)) + "]" for row in table)
    return {"bounds": BOUNDS, "stages": len(table), "stage_bounds": rows}


def _encode_inputs(target: RustTarget) -> None:
    ops = SymOps(target)
    for player in range(PLAYERS):
        for i, control in enumerate(CONTROLS):
            byte = f"inputs[{player}][{min(i, AXES)}]"
            shifted = f"{byte} >> {i - AXES}" if i > AXES else byte
            raw = f"i64::from({byte} as i8)" if control.kind is Kind.AXIS else f"i64::from({shifted} & 1)"
            value = encode(ops, control, Sym(target, target.let(raw, f"p{player}_{control.name.lower()}")))
            target.line(f"code(codes, {player * len(CONTROLS) + i}, {value.name});")


def _decode(target: RustTarget, net: QNet) -> None:
    world = net.world
    names = [f"{name}_{end}" for name in BOUNDED for end in ("low", "high")]
    bounded = ranges([Sym(target, target.let(f"bound(work, {i})", name)) for i, name in enumerate(names)])
    for player in range(PLAYERS):
        base = player * len(STATE)

        def now(name: str, player: int = player, base: int = base) -> Sym:
            return Sym(target, target.let(f"field(frame, {base + STATE_INDEX[name]})", f"p{player}_{name}"))

        def head(name: str, player: int = player) -> Sym:
            return _read_head(target, world, player, name)

        written = decode(SymOps(target), world.heads_name, _once(now), _once(head), bounded)
        for name, value in written.items():
            target.line(f"write(frame, {base + STATE_INDEX[name]}, {value.name}); // p{player}.{name}")


def _read_head(target: RustTarget, world: World, player: int, name: str) -> Sym:
    """A head's value, in a variable of its own; of a choice the chosen id."""
    head, at = world.head(name), world.span(player, name).start
    read = f"choice(heads, {at}, {head.width})" if head.kind == "choice" else f"head(heads, {at})"
    if head.within:
        label = _read_head(target, world, player, head.within)
        read = f"choice_within(heads, {at}, &{_labels_name(head)}, {label.name})"
    return Sym(target, target.let(read, f"p{player}_head_{name}"))


def _labels_name(head: Head) -> str:
    return _upper(f"{head.within}_of_{head.name}")


def _labels(world: World) -> str:
    """The label of every id of each choice within another, and what reads them."""
    tables = [
        _fill("labels.rs", {"head": head.name, "within": head.within, "name": _labels_name(head), "width": head.width,
                            "labels": ", ".join(map(str, LABELS[head.within]))})
        for head in world.heads if head.within
    ]  # fmt: skip
    return "\n".join([*tables, _fill("within.rs", {})]) if tables else ""


def _once(read: Callable[[str], Sym]) -> Callable[[str], Sym]:
    """Each name is read one time, into one variable."""
    known: dict[str, Sym] = {}

    def cached(name: str) -> Sym:
        if name not in known:
            known[name] = read(name)
        return known[name]

    return cached


def _push(target: RustTarget, net: QNet) -> None:
    encoding, ops = net.world.encoding, SymOps(target)
    state = tuple(f for f in encoding.state if f.is_dense)
    for player in range(PLAYERS):
        at = player * len(encoding.columns)
        for i, item in enumerate(state):
            value = encode(ops, item, Sym(target, _read(target, player, item)))
            target.line(f"code(slot, {at + i}, {value.name});")
        # The controls' codes were made when the frame began.
        source, size = _controls(net, player), 8 * len(CONTROLS)
        target.line(f"core::ptr::copy_nonoverlapping({source}, slot.add({8 * (at + len(state))}), {size});")
        for i, item in enumerate(encoding.ids):
            index = player * len(encoding.ids) + i
            at_byte = 2 * ((encoding.slots - 1) * encoding.slot_ids + index)
            value = identify(ops, item, Sym(target, f"field(frame, {_index(player, item)})"))
            target.line(f"(ids.add({at_byte}) as *mut u16).write({value.name} as u16);")


def _controls(net: QNet, player: int) -> str:
    """Where the codes of the following inputs lie: behind the window if the network reads them, else by themselves."""
    encoding = net.world.encoding
    name, start = ("codes", encoding.slots * encoding.slot_columns) if encoding.conditioned else ("controls", 0)
    return _at("work", name, "", 8 * (start + player * len(CONTROLS)))


def _index(player: int, item: Field) -> int:
    return player * len(STATE) + STATE_INDEX[item.name]


def _read(target: RustTarget, player: int, item: Field) -> str:
    return target.let(f"field(frame, {_index(player, item)})", f"p{player}_{item.name}")


def _in_range() -> str:
    """Conditions on every field of a Frame, as a chain of `&&`."""

    def bounds(item: Field) -> tuple[int, int]:
        whole = item.kind is not Kind.CONTINUOUS
        return (int(item.lo), int(item.hi)) if whole else (fixed(item.lo), fixed(item.hi))

    pairs = [bounds(item) for _ in range(PLAYERS) for item in STATE]
    return ", ".join(f"({low}, {high})" for low, high in pairs)


def _rules(net: QNet) -> dict[str, object]:
    encoding = net.world.encoding
    records: dict[str, Callable[[RustTarget], None]] = {
        "encode_inputs": _encode_inputs,
        "decode": partial(_decode, net=net),
        "push": partial(_push, net=net),
    }
    texts: dict[str, object] = {}
    for name, record in records.items():
        target = RustTarget("v")
        record(target)
        texts[name] = "\n".join(target.lines)
    kept = (encoding.slots - 1) * encoding.slot_columns * 8
    kept_ids = (encoding.slots - 1) * encoding.slot_ids * 2
    return texts | {
        "fields": PLAYERS * len(STATE),
        "ranges": _in_range(),
        "labels": _labels(net.world),
        "argmax": "{argmax, argmax_within}" if any(head.within for head in net.world.heads) else "argmax",
        "slot_bytes": encoding.slot_columns * 8,
        "kept_bytes": kept,
        "slot_id_bytes": encoding.slot_ids * 2,
        "kept_id_bytes": kept_ids,
    }


def plan_of(net: QNet, cuts: Sequence[int] = ()) -> list[tuple[int, int]]:
    """A frame's transactions as (first op, op after the last), split before each op number in `cuts`."""
    count = len(op_names(net))
    borders = [0, *cuts, count]
    if sorted(set(borders)) != borders:
        raise WmExportError(f"plan: cuts {list(cuts)} must be increasing op numbers inside 1..{count - 1}")
    return list(pairwise(borders))


def _step(net: QNet, plan: Sequence[tuple[int, int]]) -> dict[str, object]:
    names = op_names(net)
    bodies = [f"rules::encode_inputs(inputs, {_controls(net, 0)});"]
    bodies += [f"network::op({i}, blob, work);" for i in range(len(net.ops))]
    bodies += ["rules::decode(frame, work);", "rules::push(frame, work);"]
    arms = []
    for step, (first, last) in enumerate(plan):
        lines = "\n".join(f"{bodies[i]}\nafter_op({i}, work);" for i in range(first, last))
        arms.append(f"if step == {step} {{\n{lines}\n}}")
    return {
        "op_count": len(names),
        "op_names": "\n".join(f'"{name}",' for name in names),
        "begin": bodies[0],
        "plan_count": len(plan),
        "plan": "\n".join(f"({a}, {b})," for a, b in plan),
        "steps": "\n".join(arms),
    }


def _fill(template: str, holes: Mapping[str, object]) -> str:
    return Template((TEMPLATES / f"{template}.tmpl").read_text()).substitute(holes)


def rustfmt(text: str) -> str:
    """Formatted Rust, if this machine has rustfmt; else as it is."""
    if shutil.which("rustfmt") is None:
        return text
    done = subprocess.run(
        ["rustfmt", "--edition", "2021", "--config-path", str(RUSTFMT)],
        input=text,
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise WmExportError(
            f"rustfmt refused generated code (this is a fault of wmq, please report it): {done.stderr[-500:]}"
        )
    return done.stdout


def generate(net: QNet, blob: Blob, manifest_hash: bytes, plan: Sequence[tuple[int, int]]) -> dict[str, str]:
    """Path inside the crate -> text, of every file of the generated crate."""
    where = layout(net, len(blob.data))
    vocab = session_vocab(net)
    holes: dict[str, Any] = {
        "lib.rs": {},
        "layout.rs": {
            "manifest_hash": _byte_rows(manifest_hash),
            "blob_digest": _byte_rows(digest(blob.data)),
            "account_version": ACCOUNT_VERSION,
            "players": PLAYERS,
            "slots": net.world.encoding.slots,
            "lookahead": LOOKAHEAD,
            "peaks": TREE_LEVELS,
            "growth": GROWTH,
            "chunk_bytes": CHUNK_BYTES,
            "chunks": chunks(len(blob.data)),
            "piece_bytes": PIECE_BYTES,
            "pieces": pieces(len(blob.data)),
            "frame_bytes": FRAME_BYTES,
            "record_bytes": RECORD_BYTES,
            "input_bytes": INPUT_BYTES,
            "axes": AXES,
            "axis_ranges": ", ".join(f"({int(f.lo)}, {int(f.hi)})" for f in CONTROLS[:AXES]),
            "session_ids": len(vocab),
            "session_vocab": ", ".join(map(str, vocab)),
            "accounts": _accounts(where, blob),
            "instructions": _instructions(),
        },
        "network.rs": _network(net, where, blob) | _stage_bounds(net.world.encoding),
        "rules.rs": _rules(net),
        "step.rs": _step(net, plan),
    }
    return {"Cargo.toml": _fill("Cargo.toml", {})} | {
        f"src/{name}": rustfmt(_fill(name, holes[name])) for name in SOURCES
    }


def _byte_rows(data: bytes) -> str:
    rows = ["    " + ", ".join(f"0x{b:02x}" for b in data[i : i + 8]) + "," for i in range(0, len(data), 8)]
    return "\n".join(rows)


def write_crate(crate: Path, files: Mapping[str, str]) -> None:
    """Write the generated crate."""
    (crate / "src").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        atomic_write_bytes(crate / name, text.encode())
