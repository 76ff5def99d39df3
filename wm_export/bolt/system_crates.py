"""The crates of the systems that play: of each subsystem its network and its rule; and the laws."""

from collections.abc import Iterator

from wm_export.bolt.component_rules import Body, laws_body, rule_body
from wm_export.bolt.components import Components
from wm_export.bolt.rust_pieces import Crate, about, checks, delegation, fill, members, uses
from wm_export.bolt.slices import STEP_BYTES, Network, Slice, Sliced
from wm_export.lower.kernels import kernel_named
from wm_export.lower.lowered_program import Routine
from wm_export.solana.layout import session_vocab, work
from wm_export.solana.rust_kernels import kernel_sources
from wm_export.solana.rust_layout import module, starts
from wm_export.solana.rust_network import bounds_table, network
from wm_export.solana.rust_rules import pieces, rule_holes
from wm_export.solana.rust_text import byte_rows, function_name, indented, upper
from wm_export.solana.rust_text import fill as fill_shared
from wm_quant.qnet import vector_of
from wm_train.world.fields import PLAYERS
from wm_train.world.step import World
from wm_train.world.systems import System

#: What every system takes of `inputs`.
WINDOW = "inputs::window::{place, Window}"


def learned_crate(components: Components, own: Slice, row: System, made: Network, address: str) -> Crate:
    """Path inside the crate of a subsystem -> text."""
    body = rule_body(components, row, made.net.world)
    program, blob = made.program, made.blob
    texts = {
        "src/lib.rs": fill(
            "system.rs",
            {
                "key": own.key,
                "about": about(
                    f"System `{own.key}` of a match: its network reads the window, and its rule makes of what that "
                    f"says the next {', '.join(row.writes)}."
                ),
                "id": address,
                "turn": own.turn,
                "components": members(own.components),
                **_memory(own, made),
            },
        ),
        "src/frame.rs": fill("frame.rs", _frame(own, made, body)),
        "src/layout.rs": fill("areas.rs", {"digest": byte_rows(made.digest), "modules": _areas(made)}),
        "src/network.rs": indented(fill_shared("network.rs", network(program, blob) | bounds_table(made.net.world))),
        "src/rules.rs": fill("rule.rs", _rule(own, made, body)),
    }
    if made.memory.size:
        texts["src/memory.rs"] = fill("memory.rs", {"step": f"{STEP_BYTES:_}"})
        way = "it goes there as `open` made it, grows there, and comes back as `open` made it"
        texts["src/delegation.rs"] = delegation("memory", way)
    return texts | kernel_sources([kernel_named(name) for name in program.kernels()])


def _memory(own: Slice, made: Network) -> dict[str, object]:
    """The holes of a crate that what its network keeps has to do with."""
    keeps = bool(made.memory.size)
    extras = ("window", "weights", *["memory"] * keeps)
    return {
        "imports": uses(own.components, *["delegation::*", "memory::Memory"] * keeps),
        "delegation_module": "pub mod delegation;\n" if keeps else "",
        "memory_module": "mod memory;\n" if keeps else "",
        "extras": ", ".join(extras),
        "given": ", ".join(f"ctx.{name}()?" for name in extras),
        "memory": fill("extra_memory.rs", {}) if keeps else "",
        "open": fill("open_memory.rs", {}) if keeps else "",
        "accounts": fill("memory_accounts.rs", {}) if keeps else "",
    }


def laws_crate(components: Components, own: Slice, sliced: Sliced, address: str) -> Crate:
    """Path inside the crate of the laws -> text."""
    world = sliced.net.world
    body, holes = laws_body(components, world), pieces(rule_holes(sliced.net))
    return {
        "src/lib.rs": fill(
            "laws.rs",
            {
                "imports": uses(own.components, WINDOW),
                "id": address,
                "turn": own.turn,
                "components": members(own.components),
                "keys": checks(own.components),
            },
        ),
        "src/rules.rs": fill("law_rules.rs", holes | {"lines": body.text}),
    }


def _areas(made: Network) -> str:
    where = work(made.program)
    blob = module("blob", "Sections of the weights.", b"", starts(made.blob.sections), made.blob.sizes)
    own = module("work", "The work area.", b"", starts(where), made.work_bytes)
    return "\n".join((blob, own, *_kept(made)))


def _kept(made: Network) -> Iterator[str]:
    if made.memory.size:
        about = "What the network keeps from frame to frame, in the work area."
        yield module("memory", about, b"", {"start": made.memory.start}, made.memory.size)


def _frame(own: Slice, made: Network, body: Body) -> dict[str, object]:
    routines = (routine for routine in made.program.routines if not routine.is_rule)
    world = made.net.world
    shape = f"[[i64; {world.place_numbers}]; {world.place_seats}]"
    return {
        "uses": "\n".join(_frame_uses(own, made)),
        "run": fill("run_with_memory.rs" if made.memory.size else "run.rs", {"keys": checks(own.components)}),
        "session_ids": len(session_vocab(made.net)),
        "calls": "\n".join(map(_call, routines)),
        "places": f"let places = &*(work.add(work::BOUNDS) as *const {shape});\n" if body.place else "",
        "rules": "\n".join(_applied(world, player, body) for player in range(PLAYERS)),
    }


def _frame_uses(own: Slice, made: Network) -> Iterator[str]:
    keeps = ["use crate::memory::Memory;"] * bool(made.memory.size)
    yield from sorted((f"use crate::{own.key}::Components;", "use crate::layout::{work, Blobs, WEIGHTS};", *keeps))
    yield "use crate::{network, rules, TURN};"


def _call(routine: Routine) -> str:
    return f"network::{function_name(routine.name)}(blobs, work);"


def _applied(world: World, player: int, body: Body) -> str:
    """The rule of one player."""
    heads = f"work::HEADS + {8 * player * world.player_outputs}" if player else "work::HEADS"
    arguments = ["components", str(player), f"work.add({heads})"]
    if body.place:
        arguments.append(f"&places[{min(player, world.place_seats - 1)}]")
    arguments += [f"work.add(work::{upper(vector_of(player, head))})" for head in world.grouped]
    return f"rules::apply({', '.join(arguments)});"


def _rule(own: Slice, made: Network, body: Body) -> dict[str, object]:
    world, shared = made.net.world, rule_holes(made.net)
    holes = shared | pieces(shared)
    chooses = any(head.kind == "choice" for head in world.heads)
    own_items = f"{own.key}::Components"
    return {
        **holes,
        "imports": "\n".join(_rule_uses(own_items, chooses, body)),
        "heads_read": f"{holes['head_part']}{holes['choice_part'] if chooses else ''}",
        "about_place": "; `place` is what the place of the match gives to its seat" if body.place else "",
        "place_parameter": f", place: &[i64; {world.place_numbers}]" if body.place else "",
        "lines": body.text,
    }


def _rule_uses(own: str, chooses: bool, body: Body) -> Iterator[str]:
    if any(f"{name}(" in body.text for name in ("clamp", "gt", "select")):
        yield "use wmq_kernels::branchless::*;\n"
    yield f"use crate::{{kernels::*, {own}}};" if chooses else f"use crate::{own};"
