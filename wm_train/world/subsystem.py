"""The parts that a world's rules are made of. No field of any game is named here.

A **Subsystem** is one system of a game: the heads that it has of the network, the rule that makes the next values of
some fields from them, and what those heads should have said where the next Frame is known. A **HeadSet** is subsystems
in order. Each field is written by one of them at most; the others stay as they are. A rule reads the current Frame,
and what subsystems before it wrote of the next one.

Glossary, as the parameters of rules and targets
    now     field -> its value in the current Frame
    new     field -> what a subsystem before this one wrote of the next Frame, not yet clamped to the field's range
    after   field -> its value in the true next Frame
    head    head -> its value; of a choice the chosen id in a rule, its logits in targets
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from wm_train.errors import WmTrainError
from wm_train.world.law import Law
from wm_train.world.rule_ops import LawOps, Ops, Read


@dataclass(frozen=True)
class Head:
    """One output of the network for one player.

    value   a number in the Frame's units: a change, or a new value where an event says so
    event   happens when > 0; one that is named like a field says what the field becomes
    choice  `width` logits; the field of the same name becomes the arg max, lowest index on ties

    A choice `within` another one, which stands before it in the output, takes the arg max among the ids whose entry of
    `labels` is what the other chose; every label has ids.

    A choice in `groups` is made in two steps, so that a network need not say a number for every id: its ids are cut
    into so many stretches of equal length; the arg max of their logits is the group, and the arg max of the logits of
    that group's ids alone is the id. 0: of all ids at once.
    """

    name: str
    kind: str
    width: int = 1
    within: str = ""
    labels: tuple[int, ...] = ()
    groups: int = 0

    @property
    def rows(self) -> int:
        """Numbers that are said of it in every frame: of a choice in groups, the groups' logits."""
        return self.groups or self.width

    @property
    def members(self) -> int:
        """Ids of a group, of a choice in groups."""
        return self.width // self.groups


def value_heads(*names: str) -> tuple[Head, ...]:
    """Heads of kind value."""
    return tuple(Head(name, "value") for name in names)


def event_heads(*names: str) -> tuple[Head, ...]:
    """Heads of kind event."""
    return tuple(Head(name, "event") for name in names)


@dataclass(frozen=True)
class Number:
    """What value heads got wrong: the loss is a robust function of `weight * error`, a mean over the batch.

    part     what the loss calls it; parts of one name are added up
    weight   of one unit of error
    error    (N,) float, in the field's unit
    counts   (N,) bool, rows in which the heads are read; None: in all
    smooth   the robust function is smooth L1, whatever LossConfig says
    """

    part: str
    weight: float
    error: Any
    counts: Any = None
    smooth: bool = False


@dataclass(frozen=True)
class Event:
    """What an event head should have said: `happened` (N,) bool."""

    head: str
    happened: Any


@dataclass(frozen=True)
class Decision:
    """The choice that LossConfig weighs by itself (fit/choices.py).

    head    the choice, and the field that it writes
    group   what its ids are grouped by; where a head has that name, the choice is made within the group it chooses
    labels  group of every id, each of 0..groups - 1 used
    gate    event head that says whether the field changes at all; "": the choice is always read
    """

    head: str
    group: str
    labels: tuple[int, ...]
    gate: str = ""


#: What follows a set's name and a slash where its heads stand subsystem after subsystem.
JOINED = "joined"
Rule = Callable[[Ops, Read, Read, Read], Mapping[str, Any]]
Targets = Callable[[Ops, Read, Read, Read], tuple[Number | Event, ...]]


@dataclass(frozen=True)
class Subsystem:
    """One system of a game, for one player.

    reads      fields that its rule reads of the current Frame
    reads_new  fields that it reads of the next Frame
    writes     fields whose next value it makes
    heads      what it has of the network
    rule       (ops, now, new, head) -> the next value of each field of `writes`
    targets    (ops, now, after, head) -> what its value and event heads should have said, on floats in the fields'
               units; a choice should have said the field of its name
    decision   the choice among its heads that LossConfig weighs by itself, if it is here
    """

    name: str
    reads: tuple[str, ...]
    reads_new: tuple[str, ...]
    writes: tuple[str, ...]
    heads: tuple[Head, ...]
    rule: Rule
    targets: Targets
    decision: Decision | None = None

    @property
    def key(self) -> str:
        """Its name as one word."""
        return self.name.replace(" ", "_")


@dataclass(frozen=True)
class HeadSet:
    """Subsystems in the order of their rules, and their heads in the order of the network's output; then the laws.

    `order` names every head once. A law may write a field that no subsystem writes. WmTrainError where a field is
    written by two subsystems, where one reads what none before it wrote, where `order` is not the subsystems' heads, or
    where a choice stands before the one that it is within.

    whole  name of the set that this one is a subsystem of; such a part reads what it does not write of a next Frame
           that it is given, and is no world by itself
    """

    name: str
    subsystems: tuple[Subsystem, ...]
    order: tuple[str, ...]
    laws: tuple[Law, ...] = ()
    whole: str = ""

    def __post_init__(self) -> None:
        self._check_fields()
        self._check_order()

    @cached_property
    def heads(self) -> tuple[Head, ...]:
        """Heads of one player, in output order."""
        named = {head.name: head for subsystem in self.subsystems for head in subsystem.heads}
        return tuple(named[name] for name in self.order)

    @cached_property
    def writes(self) -> tuple[str, ...]:
        """Fields that rules and laws write, each once, in the order of the rules."""
        ruled = [name for subsystem in self.subsystems for name in subsystem.writes]
        return tuple(dict.fromkeys([*ruled, *(name for law in self.laws for name in law.writes)]))

    @cached_property
    def happenings(self) -> tuple[str, ...]:
        """Event heads that say that something happens, not what a field becomes."""
        return tuple(head.name for head in self.heads if head.kind == "event" and head.name not in self.writes)

    @property
    def in_steps(self) -> bool:
        """Whether something is chosen in two steps."""
        return any(head.within or head.groups for head in self.heads)

    @property
    def says(self) -> tuple[Any, ...]:
        """What its heads say of a Frame, in however many steps, and its laws: names of both."""
        first = {head.within for head in self.heads}
        said = sorted(head.name for head in self.heads if head.name not in first)
        return tuple(said), tuple(law.name for law in self.laws)

    @cached_property
    def facts(self) -> tuple[str, ...]:
        """Facts of a place that the laws read, each once."""
        return tuple(dict.fromkeys(name for law in self.laws for name in law.facts))

    @cached_property
    def decision(self) -> Decision | None:
        """The choice that LossConfig weighs by itself, if there is one."""
        return next((s.decision for s in self.subsystems if s.decision), None)

    @cached_property
    def parts(self) -> Mapping[str, "HeadSet"]:
        """Each subsystem as a set of its own, by its key."""
        return {part.key: replace(self, name=f"{self.name}/{part.key}", subsystems=(part,), order=self._order_of(part),
                                  laws=(), whole=self.name) for part in self.subsystems}  # fmt: skip

    @cached_property
    def joined(self) -> "HeadSet":
        """The same world, its heads subsystem after subsystem: what networks of the parts give side by side."""
        order = tuple(name for part in self.subsystems for name in self._order_of(part))
        return replace(self, name=f"{self.name}/{JOINED}", order=order)

    def _order_of(self, part: Subsystem) -> tuple[str, ...]:
        own = {head.name for head in part.heads}
        return tuple(name for name in self.order if name in own)

    def rule(self, ops: Ops, now: Read, head: Read, given: Read | None = None) -> dict[str, Any]:
        """Next value of every field that a subsystem writes, not yet clamped to the field's range.

        given   of a part: field -> its value in the next Frame, of those that other subsystems write
        """
        if self.whole and given is None:
            raise WmTrainError(
                f"heads {self.name}: one subsystem is no world by itself; make one of all with `wmq compose`, or "
                "measure it with `wmq subsystems`"
            )
        new: dict[str, Any] = {}

        def read(name: str) -> Any:
            return new[name] if given is None or name in new else given(name)

        for subsystem in self.subsystems:
            ops.begin(subsystem.name)
            written = subsystem.rule(ops, now, read, head)
            new |= {name: ops.name(f"next_{name}", written[name]) for name in subsystem.writes}
        return new

    def lawful(self, ops: LawOps, now: Read, new: Mapping[str, Any], place: Read) -> dict[str, Any]:
        """`new`, field -> its next value inside its range, as the laws leave it."""
        mended = {name: ops.name(f"inside_{name}", value) for name, value in new.items()} if self.laws else dict(new)

        def read(name: str) -> Any:
            return mended[name] if name in mended else now(name)

        for law in self.laws:
            ops.begin(law.name)
            written = law.rule(ops, now, read, place)
            mended |= {name: ops.name(f"{law.key}_{name}", written[name]) for name in law.writes}
        return mended

    def targets(self, ops: Ops, now: Read, after: Read, head: Read) -> list[Number | Event]:
        """What every value and event head should have said. Of a head that a part does not have, its targets read what
        that should have said: the true change of the field of its name."""
        own = {item.name for item in self.heads}

        def read(name: str) -> Any:
            return head(name) if name in own or not self.whole else after(name) - now(name)

        return [target for subsystem in self.subsystems for target in subsystem.targets(ops, now, after, read)]

    def _check_fields(self) -> None:
        written: list[str] = []
        for subsystem in self.subsystems:
            if (missing := set(subsystem.reads_new).difference(written)) and not self.whole:
                raise WmTrainError(
                    f"heads {self.name}: {subsystem.name} reads {min(missing)!r} of the next Frame, which no subsystem "
                    "before it writes"
                )
            written += subsystem.writes
        if twice := [name for name, times in Counter(written).items() if times > 1]:
            raise WmTrainError(f"heads {self.name}: {twice[0]!r} is written by two subsystems, expected one")

    def _check_order(self) -> None:
        names = sorted(head.name for subsystem in self.subsystems for head in subsystem.heads)
        if sorted(self.order) != names:
            odd = min(set(self.order).symmetric_difference(names), default="a name that stands twice")
            raise WmTrainError(f"heads {self.name}: the output order is not the subsystems' heads: {odd!r}")
        for at, head in enumerate(self.heads):
            if head.within and head.within not in self.order[:at]:
                raise WmTrainError(f"heads {self.name}: {head.name!r} is chosen within {head.within!r}; put it first")
            if head.groups and (head.kind != "choice" or head.within or head.width % head.groups):
                raise WmTrainError(
                    f"heads {self.name}: {head.name!r} in {head.groups} groups, expected a choice by itself whose "
                    f"{head.width} ids make groups of equal length"
                )


def find_heads(sets: Mapping[str, HeadSet], name: str) -> HeadSet:
    """A set by name: of `sets`; SET/KEY, one subsystem of a set; SET/joined. WmTrainError says what there is."""
    whole, slash, part = name.partition("/")
    if whole not in sets:
        raise WmTrainError(f"heads: got {name!r}, expected one of {', '.join(sets)}")
    found = sets[whole]
    if not slash:
        return found
    if part == JOINED:
        return found.joined
    if part not in found.parts:
        raise WmTrainError(f"heads {whole}: got subsystem {part!r}, expected one of {', '.join(found.parts)}")
    return found.parts[part]
