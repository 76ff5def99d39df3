"""Cuts: a frame's transactions cover it once and in order, and cost what the frame costs."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wm_export.errors import WmExportError
from wm_export.lower.cost import call_cu, kernel_cu
from wm_export.lower.lowered_program import Call, Groups, Load, Program, Write
from wm_export.lower.lowering import lower
from wm_export.lower.plan import cut
from wm_quant.presets import preset

WHOLE = lower(preset("mlp"))
PLACES = [(op, group) for op, it in enumerate(WHOLE.routines) for group in range(max(it.groups, 1)) if op or group]


def text(place: tuple[int, int]) -> str:
    return f"{place[0]}.{place[1]}" if place[1] else str(place[0])


def words(call: Call) -> range | None:
    """The words of weights that a call reads, one after the other."""
    load = next((operand for operand in call.operands if isinstance(operand, Load) and operand.stride), None)
    return range(load.first, load.first + call.groups * load.stride) if load else None


def rows(call: Call) -> range:
    """The rows that a call writes."""
    write = next(operand for operand in call.operands if isinstance(operand, Write))
    return range(write.first, write.first + call.groups * write.stride)


def once(call: Call) -> int:
    """Compute units of a call whatever its row groups: what is left of as many as there are of one."""
    one = call_cu(call) if call.groups == 1 else call_cu(call.split(1)[0])
    two = call_cu(replace(call, operands=tuple(Groups(2) if isinstance(o, Groups) else o for o in call.operands)))
    return 2 * one - two


@settings(max_examples=30)
@given(st.sets(st.sampled_from(PLACES), max_size=8))
def test_any_cuts_leave_a_frame_as_it_was(places: set[tuple[int, int]]) -> None:
    cuts = [text(place) for place in sorted(places)]
    program = cut(WHOLE, cuts)
    assert program.cuts == tuple(cuts) and len(program.plan) == len(cuts) + 1
    assert program.plan[0][0] == 0 and program.plan[-1][1] == len(program.routines)
    assert all(a < b for a, b in program.plan) and all(a[1] == b[0] for a, b in pairwise(program.plan))
    for whole in WHOLE.routines:
        parts = [it for it in program.routines if it.name == whole.name or it.name.startswith(f"{whole.name}.")]
        assert sum(it.macs for it in parts) == whole.macs and sum(it.groups for it in parts) == whole.groups
        calls = [call for it in parts for call in it.calls]
        again = sum(once(call) for call in calls if call.groups) - sum(once(it) for it in whole.calls if it.groups)
        assert kernel_cu(whole) == sum(map(kernel_cu, parts)) - again
        covered = [(rows(call), words(call)) for call in calls if call.groups]
        read = [index for _, piece in covered for index in piece or ()]
        assert read == [index for call in whole.calls for index in words(call) or ()]


def test_a_part_starts_where_the_one_before_ended() -> None:
    """Op 5, `heads`: 50 groups of 21 rows and one of 15, of 256 columns; a group's words end with its rows' scales."""
    program = lower(preset("mlp"), ["5.30", "5.50"])
    assert program.names[5:8] == ["heads.0", "heads.30", "heads.50"] and program.plan == ((0, 6), (6, 7), (7, 10))
    first, second, third = (program.routines[i].calls[-1] for i in (5, 6, 7))
    assert (rows(first), rows(second), rows(third)) == (range(630), range(630, 1050), range(1050, 1065))
    group = 7 * 256 + 1 + 2 * 21
    assert words(second) == range(30 * group, 50 * group)
    assert [call.operands[3] for call in (first, second, third)] == [Groups(30), Groups(20), Groups(1)]
    assert [len(program.routines[i].calls) for i in (5, 6, 7)] == [1, 1, 1]


def test_the_first_part_starts_the_sum() -> None:
    program = lower(preset("mlp"), ["1.28", "1.57"])
    assert [len(program.routines[i].calls) for i in (1, 2, 3)] == [2, 2, 1]


def test_cuts_between_column_blocks() -> None:
    """Op 1, `layer1`: two blocks of 29 row groups each."""
    program: Program = lower(preset("mlp"), ["1.29"])
    front, back = program.routines[1:3]
    assert [call.operands[-1] for call in front.calls[1:]] == [320, 320]
    assert [call.operands[-1] for call in back.calls] == [286, 286]


@pytest.mark.parametrize(("cuts", "message"), [
    (("0",), r"before ops 1\.\.7 of 8, got 0"),
    (("99",), r"before ops 1\.\.7 of 8, got 99"),
    (("5", "5"), "cuts 5, 5 must increase"),
    (("5", "4"), "must increase"),
    (("5.3", "5"), "must increase"),
    (("3.1",), "op relu1 has no row groups to cut between"),
    (("0.1",), "op begin has no row groups"),
    (("5.60",), r"op heads has row groups 1\.\.50, got 60"),
    (("5.0",), r"row groups 1\.\.50, got 0"),
    (("heads",), "'heads' is no place; expected OP or OP.GROUP"),
    (("1.",), "'1.' is no place"),
    (("-1",), "'-1' is no place"),
])  # fmt: skip
def test_a_cut_that_is_no_place_is_refused(cuts: tuple[str, ...], message: str) -> None:
    with pytest.raises(WmExportError, match=message):
        cut(WHOLE, cuts)
