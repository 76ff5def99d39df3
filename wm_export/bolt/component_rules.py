"""Rules and laws as Rust on the components of a match: recorded as those of a world are, read and written member by
member."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from wm_export.bolt.components import RULED, Components
from wm_export.bolt.rust_pieces import at
from wm_export.recorder import Sym, SymOps
from wm_export.solana.rust_rules import RustTarget, heads_read, read_once
from wm_export.solana.rust_text import upper
from wm_train.world.step import World, decode
from wm_train.world.systems import System

#: A line that gives a variable a value.
_LET = re.compile(r"let (\w+) = ")


@dataclass
class _Named(RustTarget):
    """Remembers what each name was given to."""

    named: dict[str, str] = field(default_factory=dict)

    def name(self, name: str, value: str) -> str:
        """See Target."""
        self.named[name] = super().name(name, value)
        return self.named[name]


@dataclass(frozen=True)
class Body:
    """The lines of a function of one player; `place` is what it takes of the place's numbers, "" if nothing."""

    lines: tuple[str, ...]
    place: str

    @property
    def text(self) -> str:
        """All lines."""
        return "\n".join((f"let {self.place} = *place;", *self.lines) if self.place else self.lines)


def rule_body(components: Components, row: System, world: World) -> Body:
    """The rule of one subsystem, whose heads are those of `world`."""
    target = _Named()

    def now(name: str) -> Sym:
        return Sym(target, target.let(f"now_{name}", f"i64::from({at(components, name)})"))

    def given(name: str) -> Sym:
        return Sym(target, target.let(f"taken_{name}", at(components, name, RULED)))

    place = [Sym(target, name) for name in _place_names(world)]
    written = decode(
        SymOps(target), world, read_once(now), read_once(heads_read(target, world)), place, read_once(given)
    )
    for name, value in written.items():
        target.line(f"{at(components, name)} = {target.closed(value.text)} as i32;")
        if name in components.passed:
            target.line(f"{at(components, name, RULED)} = {target.named[f'next_{name}']};")
    return _body(target.lines, world)


def laws_body(components: Components, world: World) -> Body:
    """The laws of a world: `now` is the player's part of the Frame before."""
    target, heads = RustTarget(), world.head_set
    ops, places = SymOps(target), dict(zip(world.facts, _place_names(world)[_bounds(world) :], strict=True))

    def now(name: str) -> Sym:
        return Sym(target, target.let(f"now_{name}", f"i64::from(now[fields::{upper(name)}])"))

    ruled = dict.fromkeys(name for subsystem in heads.subsystems for name in subsystem.writes)
    inside = {name: Sym(target, f"i64::from({at(components, name)})") for name in ruled}
    mended = heads.lawful(ops, read_once(now), inside, lambda fact: Sym(target, places[fact]))
    target.begin("what is written back")
    for name in dict.fromkeys(name for law in heads.laws for name in law.writes):
        target.line(f"{at(components, name)} = {target.closed(mended[name].text)} as i32;")
    return _body(target.lines, world)


def _bounds(world: World) -> int:
    """How many of a place's numbers are bounds of fields."""
    return 2 * len(world.game.bounded)


def _place_names(world: World) -> list[str]:
    """A variable for each number of a place."""
    bounds = [f"{name}_{end}" for name in world.game.bounded for end in ("low", "high")]
    return [*bounds, *(f"place_{fact}" for fact in world.facts)]


def _body(lines: Iterable[str], world: World) -> Body:
    """Without variables that nothing reads."""
    kept = _read_only(list(lines))
    text = "\n".join(kept)
    names = [name if re.search(rf"\b{name}\b", text) else "_" for name in _place_names(world)]
    return Body(tuple(kept), f"[{', '.join(names)}]" if set(names) != {"_"} else "")


def _read_only(lines: list[str]) -> list[str]:
    """Lines without those whose variable no line after them reads."""
    kept: list[str] = []
    read = set[str]()
    for line in reversed(lines):
        found = _LET.match(line)
        if not found or found[1] in read:
            kept.append(line)
            read.update(re.findall(r"\w+", line[found.end() :] if found else line))
    return kept[::-1]
