"""A frame's Plan: where it is cut into transactions, between ops or inside one at its row groups.

A cut is written OP or OP.GROUP: before op number OP of the frame, or inside it, before its row group GROUP. The row
groups of an op count on over its column blocks. A cut inside an op makes two routines of it, called <op>.<first group>;
everything after that (cost, Rust, metering) sees routines only.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from wm_export.errors import WmExportError
from wm_export.lower.lowered_program import Call, Program, Routine

#: Routine number, row group; group 0 stands before the whole routine.
Place = tuple[int, int]
_CUT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")


def cut(program: Program, cuts: Sequence[str | int]) -> Program:
    """The program with its frame cut at these places, which must increase; WmExportError naming a cut that is wrong."""
    places = [_place(program, str(text)) for text in cuts]
    if sorted(set(places)) != places:
        raise WmExportError(f"plan: cuts {', '.join(map(str, cuts))} must increase; each place can be named once")
    routines: list[Routine] = []
    borders: list[int] = []
    for number, routine in enumerate(program.routines):
        inside = [group for op, group in places if op == number and group]
        borders += [len(routines)] * ((number, 0) in places)
        parts = list(_parts(routine, inside)) if inside else [routine]
        borders += range(len(routines) + 1, len(routines) + len(parts))
        routines += parts
    plan = tuple(pairwise([0, *borders, len(routines)]))
    return replace(program, routines=tuple(routines), cuts=tuple(map(str, cuts)), plan=plan)


def _place(program: Program, text: str) -> Place:
    op, dot, group = text.partition(".")
    if not _CUT.fullmatch(text):
        raise WmExportError(f"plan: cut {text!r} is no place; expected OP or OP.GROUP, such as 4 or 2.30")
    count = len(program.routines)
    if not int(not dot) <= int(op) < count:
        raise WmExportError(f"plan: cuts stand before ops 1..{count - 1} of {count}, got {text}")
    return int(op), _group(program.routines[int(op)], text, int(group)) if dot else 0


def _group(routine: Routine, text: str, group: int) -> int:
    if routine.groups < 2:
        raise WmExportError(f"plan: cut {text}: op {routine.name} has no row groups to cut between; cut before it")
    if not 0 < group < routine.groups:
        raise WmExportError(f"plan: cut {text}: op {routine.name} has row groups 1..{routine.groups - 1}, got {group}")
    return group


def _parts(routine: Routine, inside: Sequence[int]) -> Iterator[Routine]:
    """A routine cut before each of these row groups."""
    rest = routine.calls
    for first, last in pairwise([0, *inside, routine.groups]):
        calls, rest = _divided(rest, last - first)
        about = f"{routine.about}; row groups {first}..{last - 1} of {routine.groups}"
        yield Routine(f"{routine.name}.{first}", routine.kind, about, calls)


def _divided(calls: Sequence[Call], groups: int) -> tuple[tuple[Call, ...], tuple[Call, ...]]:
    """The calls that cover the first `groups` row groups, and the rest; a call without any goes with the one after."""
    taken: list[Call] = []
    for index, call in enumerate(calls):
        if groups == 0:
            return tuple(taken), tuple(calls[index:])
        if call.groups > groups:
            head, tail = call.split(groups)
            return (*taken, head), (tail, *calls[index + 1 :])
        taken.append(call)
        groups -= call.groups
    return tuple(taken), ()
