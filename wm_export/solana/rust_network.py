"""`network.rs` and `step.rs`: a function for each routine of a program, with its calls, and the order they run in."""

from collections.abc import Iterator
from dataclasses import dataclass

from wm_export.lower.lowered_program import (
    Call,
    Groups,
    Load,
    Operand,
    Picked,
    Places,
    Pointer,
    Program,
    Routine,
    Rows,
    Write,
    width,
)
from wm_export.lower.memory import memory
from wm_export.solana.blob import Blob
from wm_export.solana.rust_text import at, call, fill, function_name, quoted, upper, word
from wm_train.world.step import World


@dataclass(frozen=True)
class Printer:
    """Prints a program's calls; `blob` says where its constants lie."""

    program: Program
    blob: Blob

    def pointer(self, place: Pointer) -> str:
        """An operand that points into the blob or the work area."""
        load = isinstance(place, Load)
        dtype = (self.program.constants if load else self.program.buffers)[place.name].dtype
        cast = f"*{'mut' if isinstance(place, Write) else 'const'} {dtype}"
        area = self.shard(place.name) if load else "work"
        extra = str(width(dtype) * place.first) if place.first else ""
        if isinstance(place, Picked):
            extra = " + ".join(filter(None, (extra, f"{place.by} as usize * {width(dtype) * place.step}")))
        return at(area, "blob" if load else "work", place.name, cast, extra)

    def shard(self, name: str) -> str:
        """The start of the shard that a constant lies in."""
        number = self.blob.shard_of[name]
        return f"blobs.others[{number - 1}]" if number else "blobs.first"

    def operand(self, value: Operand) -> str:
        """One operand of a call."""
        if isinstance(value, Rows):
            return "rows.as_ptr()"
        if isinstance(value, Places):
            return "places.as_ptr()"
        if isinstance(value, Groups):
            return str(value.count)
        return self.pointer(value) if isinstance(value, Pointer) else str(value)

    def call(self, made: Call, routine: str) -> Iterator[str]:
        """The statements of a call of a routine: its rows are looked up first, its places listed."""
        for rows in (value for value in made.operands if isinstance(value, Rows)):
            yield f"let mut rows = [0u64; {len(rows.firsts)}];"
            ids, row_bytes = self.pointer(rows.ids), 8 * rows.row
            yield call("addresses", "&mut rows", self.shard(rows.table.name), ids, f"&{_table(routine)}", row_bytes)
        for places in (value for value in made.operands if isinstance(value, Places)):
            listed = ", ".join(f"{self.pointer(place)} as u64" for place in places.pointers)
            yield f"let places = [{listed}];"
        path = f"kernels::{made.function}" if made.is_kernel else made.function
        made_call = call(path, *map(self.operand, made.operands))
        yield f"let {made.gives} = {made_call}" if made.gives else made_call

    def statements(self, routine: Routine) -> str:
        """The calls of a routine, a line each."""
        return "\n".join(line for made in routine.calls for line in self.call(made, routine.name))

    def function(self, routine: Routine) -> str:
        """A routine as a function."""
        holes = {"about": routine.about, "name": function_name(routine.name), "calls": self.statements(routine)}
        return fill("routine.rs", holes)

    def tables(self, routine: Routine) -> Iterator[str]:
        """The row tables that a routine's calls pick from."""
        for rows in (operand for made in routine.calls for operand in made.operands if isinstance(operand, Rows)):
            base = self.blob.sections[rows.table.name].offset
            starts = ", ".join(str(base + 8 * rows.row * first) for first in rows.firsts)
            holes = {
                "table": word(rows.table.name),
                "name": _table(routine.name),
                "rows": len(rows.firsts),
                "starts": starts,
            }
            yield fill("table.rs", holes)


def _table(routine: str) -> str:
    return f"{upper(routine)}_TABLES"


def network(program: Program, blob: Blob) -> dict[str, object]:
    """The holes of network.rs."""
    printer, start = Printer(program, blob), program.start
    own = [routine for routine in program.routines if not routine.is_rule]
    return {
        "tables": "\n".join(text for routine in own for text in printer.tables(routine)),
        "addresses": fill("addresses.rs", {}) if any(list(printer.tables(routine)) for routine in own) else "",
        "routines": "\n".join(printer.function(routine) for routine in own),
        "session_ids": len(start.vocab),
        "session_starts": ", ".join(str(sum(start.vocab[:i])) for i in range(len(start.vocab))),
        "session_table": printer.pointer(start.table),
        "layer_bias": printer.pointer(start.layer),
        "bias": printer.pointer(start.out),
        "bias_count": start.count,
        "memory": "\n".join(_cleared(program)),
    }


def _cleared(program: Program) -> Iterator[str]:
    """Lines that make zeros of what ops keep from frame to frame."""
    kept = memory(program)
    if kept.size:
        yield f"core::ptr::write_bytes(work.add({kept.start}), 0, {kept.size});"
    for _, buffer in kept.buffers:
        if buffer.bias:
            start = at("work", "work", buffer.name, f"*mut {buffer.dtype}")
            yield f"wmq_kernels::fill::fill({start}, {buffer.count}, {buffer.bias});"


def step(program: Program, blob: Blob) -> dict[str, object]:
    """The holes of step.rs."""
    bodies = [_body(Printer(program, blob), routine) for routine in program.routines]
    arms = []
    for number, (first, last) in enumerate(program.plan):
        lines = "\n".join(f"{bodies[i]}\nafter_op({i}, work);" for i in range(first, last))
        arms.append(f"if step == {number} {{\n{lines}\n}}")
    return {
        "op_count": len(program.names),
        "op_names": "\n".join(f"{quoted(name)}," for name in program.names),
        "begin": bodies[0],
        "plan_count": len(program.plan),
        "plan": "\n".join(f"({a}, {b})," for a, b in program.plan),
        "steps": "\n".join(arms),
    }


def _body(printer: Printer, routine: Routine) -> str:
    """What runs a routine: its function in network.rs, or the rules' own."""
    if routine.is_rule:
        return printer.statements(routine)
    return f"network::{function_name(routine.name)}(blobs, work);"


def bounds_table(world: World) -> dict[str, object]:
    """The holes of the table of every place's numbers."""
    table = world.places
    rows = ", ".join("[" + ", ".join(map(str, row)) + "]" for row in table)
    last = sum(1 for _ in world.encoding.session_fields()) - 1
    place = f"ids[{last}] as usize" if world.encoding.place else "0"
    return {"bounds": table.shape[1], "places": len(table), "place_bounds": rows, "place": place}
