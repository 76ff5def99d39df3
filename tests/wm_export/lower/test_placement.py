"""Placement: no two buffers share bytes that both need, whatever the program."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.factories import small_qnet
from wm_export.lower.lowered_program import Buffer, Call, Lifetime, Load, Program, Routine, SessionStart, Write
from wm_export.lower.lowering import lower
from wm_export.lower.placement import place, remaining, size

START = SessionStart(Load("x"), Load("x"), Write("x"), 0, ())


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Routines that touch random buffers of random sizes and lifetimes."""
    kinds = st.tuples(st.integers(1, 40), st.sampled_from(Lifetime), st.sampled_from(["i64", "u16"]))
    made = {f"b{i}": Buffer(f"b{i}", *kind) for i, kind in enumerate(draw(st.lists(kinds, min_size=1, max_size=8)))}
    touched = draw(st.lists(st.sets(st.sampled_from(list(made)), min_size=1, max_size=3), min_size=1, max_size=8))
    touched.append(set(made) - set().union(*touched) or {"b0"})
    routines = tuple(
        Routine(f"r{i}", "", "", (Call("f", tuple(Write(name) for name in sorted(names))),))
        for i, names in enumerate(touched)
    )
    return Program(made, {}, routines, START, {}, 1)


def owners(program: Program) -> tuple[dict[int, str], set[str]]:
    """Who owns each byte after a frame, each buffer claiming its own when it is touched first; and whose bytes somebody
    took while they were needed."""
    slots, live = place(program), program.live()
    owner: dict[int, str] = {}
    lost: set[str] = set()
    always = [name for name in program.buffers if name not in live]
    for name in always:
        owner.update(dict.fromkeys(range(slots[name].start, slots[name].end), name))
    for number, routine in enumerate(program.routines):
        for name in set().union(*(call.buffers for call in routine.calls)):
            mine = range(slots[name].start, slots[name].end)
            if name in live and live[name][0] == number:
                owner.update(dict.fromkeys(mine, name))
        for name in (it for it, (first, last) in live.items() if first <= number <= last):
            lost |= {name} if any(owner[byte] != name for byte in range(slots[name].start, slots[name].end)) else set()
    lost |= {name for name in always if any(owner[b] != name for b in range(slots[name].start, slots[name].end))}
    return owner, lost


@given(programs(), st.booleans())
def test_no_buffer_loses_bytes_that_are_needed(program: Program, compact: bool) -> None:
    program = replace(program, compact=compact)
    slots = place(program)
    assert all(slot.end - slot.start == size(program.buffers[name]) for name, slot in slots.items())
    assert all(slot.start % 8 == 0 for slot in slots.values())
    owner, lost = owners(program)
    assert not lost
    whole = [n for n, slot in slots.items() if all(owner[byte] == n for byte in range(slot.start, slot.end))]
    assert remaining(program) == whole
    if not compact:
        assert whole == list(program.buffers) and max(s.end for s in slots.values()) == sum(
            map(size, program.buffers.values())
        )


def test_a_compact_world_is_smaller_and_keeps_what_lasts() -> None:
    plain, compact = (lower(small_qnet(), compact=it) for it in (False, True))
    ends = [max(slot.end for slot in place(program).values()) for program in (plain, compact)]
    assert ends[1] < ends[0]
    assert {"codes", "ids", "bias", "bounds", "heads"} <= set(remaining(compact)) < set(remaining(plain))


def test_vectors_of_a_frame_share_bytes_only_after_their_last_use() -> None:
    slots = place(lower(small_qnet(), compact=True))
    assert slots["acc1"].overlaps(slots["hidden2"]) and not slots["acc1"].overlaps(slots["hidden1"])
