"""Pieces of Rust that the crates of a BOLT workspace share: their templates, struct members, `use` lines, checks."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from textwrap import wrap

from wm_export.bolt.components import RULED, Component, Components
from wm_export.schema.seeds import DELEGATION_PROGRAM
from wm_export.solana.rust_text import fill as fill_from
from wm_export.solana.rust_text import indented, upper

TEMPLATES = Path(__file__).parent / "templates"
#: Path inside a crate -> text.
Crate = dict[str, str]


def fill(template: str, holes: Mapping[str, object]) -> str:
    """A template of this package with its holes filled, as deep as its braces say."""
    text = fill_from(template, holes, TEMPLATES)
    return indented(text) if template.endswith(".rs") else text


def delegation(what: str, way: str) -> str:
    """The module that gives an account of a system to a rollup, its `window` or `memory`; `way` says how it goes."""
    holes = {"what": what, "struct": what.capitalize(), "way": way, "delegation_program": DELEGATION_PROGRAM}
    return fill("delegation.rs", holes)


def about(text: str) -> str:
    """What a crate says of itself, line by line."""
    return "\n".join(f"//! {line}" for line in wrap(text, 106))


def uses(components: Iterable[Component], *more: str) -> str:
    """The `use` lines of a crate that has these components, in the order of rustfmt."""
    paths = ["bolt_lang::*", *(f"{one.name}::{one.struct}" for one in components), *more]
    return "\n".join(f"use {path};" for path in sorted(paths))


def members(components: Sequence[Component]) -> str:
    """Members of a system's input."""
    return "\n".join(f"pub {one.name}: {one.struct}," for one in components)


def checks(components: Sequence[Component]) -> str:
    """Lines that hold the components of an apply against its window."""
    return "\n".join(f"window.has(place::{upper(one.name)}, components.{one.name}.key())?;" for one in components)


def at(components: Components, name: str, prefix: str = "") -> str:
    """A player's value of a field, or of what its rule left (RULED)."""
    return f"components.{components.holder[name]}.{prefix}{name}[player]"


def gathered(components: Components) -> str:
    """Lines that put a player's values together as its part of a Frame."""
    return "\n".join(f"fields[{i}] = {at(components, it.name)};" for i, it in enumerate(components.game.state))


def spread(components: Components) -> str:
    """Lines that do the inverse."""
    lines = [f"{at(components, it.name)} = fields[{i}];" for i, it in enumerate(components.game.state)]
    index = components.game.state_index
    lines += [f"{at(components, name, RULED)} = i64::from(fields[{index[name]}]);" for name in components.passed]
    return "\n".join(lines)
