"""Ops with a memory, lowered: what they keep lies in the work area as its buffer says, frame after frame."""

from typing import Any

import numpy as np
import pytest

from tests.wm_export.lower.machine import Machine
from tests.wm_quant.single import CASES, MODEL, Case
from wm_export.lower.builder import Builder
from wm_export.lower.lowered_program import Buffer, Lanes, Lifetime, Load, Program, SessionStart, Write
from wm_export.lower.lowering import LOWERINGS
from wm_quant.errors import WmQuantError
from wm_quant.ops.intervals import Interval

NO_START = SessionStart(Load("none"), Load("none"), Write("none"), 0, ())
RECURRENT = ["conv", "ssm", "ssm_chunked"]


def program(case: Case) -> Program:
    """A frame of one op."""
    builder = Builder(case.net)
    for name, (length, *_) in case.reads.items():
        builder.buffer(name, length)
    routine = LOWERINGS[type(case.op)](case.op, builder)
    return Program(builder.buffers, builder.constants, (routine,), NO_START, {}, MODEL.slots)


@pytest.mark.parametrize("kind", RECURRENT)
@pytest.mark.parametrize("seed", range(12))
def test_frame_after_frame(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = CASES[kind](rng)
    op, machine = case.op, Machine(program(case))
    kept = np.zeros((1, case.reads[op.kept][0]), np.int64)
    for _ in range(6):
        values = case.values(rng, worlds=1) | {op.kept: kept}
        after = op.run(case.net, values)
        machine.run({name: value[0] for name, value in values.items() if name != op.kept})
        for name, wanted in after.items():
            assert (machine.values(name, wanted.shape[1]) == wanted[0]).all(), name
        kept = after[op.kept]


@pytest.mark.parametrize("kind", RECURRENT)
def test_any_memory_lies_in_its_buffer_and_is_read_again(kind: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        case = CASES[kind](rng)
        buffer, values = program(case).buffers[case.op.kept], case.values(rng, worlds=1)[case.op.kept][0]
        assert buffer.lifetime is Lifetime.MEMORY
        packed = buffer.pack(values)
        assert packed.shape == (buffer.count,) and (buffer.unpack(packed, len(values)) == values).all()
        assert (buffer.zeros() == buffer.pack(np.zeros_like(values))).all()


def test_a_buffer_without_more_said_holds_its_vector_as_it_is() -> None:
    buffer = Buffer("x", 4, dtype="u16")
    assert buffer.pack(np.array([7, 9])).tobytes() == bytes([7, 0, 9, 0, 0, 0, 0, 0])
    assert buffer.unpack(np.array([7, 9, 1, 1], "<u2"), 2).tolist() == [7, 9]


def test_an_element_holds_several_integers() -> None:
    buffer = Buffer("x", 2, dtype="u64", lanes=Lanes(3, 21, 1), places=np.array([2, 1, 0, 3]))
    values = np.array([-2048, 2047, -1, 5])
    words = [2 * (-1 + (2047 << 21) - (2048 << 42)) % 2**64, 10]
    assert buffer.pack(values).tolist() == words
    assert buffer.unpack(np.array(words, "<u8"), 4).tolist() == values.tolist()
    assert buffer.zeros().tolist() == [0, 0]


def _bounds(case: Case, **reads: Interval) -> Any:
    return case.op.bounds(case.net, case.intervals | reads)


def test_what_a_convolution_cannot_keep_is_refused() -> None:
    case = CASES["conv"](np.random.default_rng(0))
    wide = np.full(8, 2048.0)
    with pytest.raises(WmQuantError, match=r'op "op": a code that it keeps of row 0 reaches 2048, .* below 2048'):
        _bounds(case, **{"in": Interval(-wide, wide)})
