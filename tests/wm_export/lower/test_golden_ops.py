"""The golden vectors of every op that has a lowering, through the assembly of the kernels that it calls: the op's
integers, for what the formulas say. Numpy's Machine holds work area and blob; each call runs on copies of them."""

import numpy as np
import pytest

from tests.wm_export.lower.machine import Machine
from tests.wm_export.lower.sbpf import DATA
from tests.wm_export.lower.sbpf import Machine as Processor
from tests.wm_quant.golden_vectors import read
from tests.wm_quant.single import MODEL
from wm_export.lower import world_lowering
from wm_export.lower.builder import Builder
from wm_export.lower.cost import call_cu
from wm_export.lower.dense_lowering import COPY, SESSION_START
from wm_export.lower.kernels import kernel_named
from wm_export.lower.lowered_program import (
    Call,
    Constant,
    Groups,
    Load,
    Operand,
    Places,
    Pointer,
    Program,
    Read,
    Routine,
    Rows,
    SessionStart,
    Write,
    padded,
)
from wm_export.lower.lowering import LOWERINGS
from wm_export.lower.placement import place
from wm_export.solana.blob import pack
from wm_quant.interp import Trace, one_world
from wm_quant.ops.base import SESSION_BIAS, Op
from wm_quant.qnet import QNet
from wm_train.grid.arithmetic import TILE_COLUMNS

#: What no test of one op reads.
NO_START = SessionStart(Load("none"), Load("none"), Write("none"), 0, ())


def program(net: QNet, op: Op, reads: Trace) -> Program:
    """A frame of one op, whose inputs lie in buffers as long as whole tiles."""
    builder = Builder(net)
    world_lowering.begin(builder)
    for name in reads.keys() - {"ids", SESSION_BIAS}:
        builder.buffer(name, padded(reads[name].shape[1], TILE_COLUMNS))
    routine = LOWERINGS[type(op)](op, builder)
    constants = builder.constants or {"none": Constant("none", "u64", 1, lambda: np.zeros(1, np.uint64))}
    return Program(builder.buffers, constants, (routine,), NO_START, {op.out: op.size}, MODEL.slots)


class Assembled:
    """A program's memory, and its calls run as assembly."""

    def __init__(self, program: Program) -> None:
        self.memory, self.slots, self.blob = Machine(program), place(program), pack(program)
        self.end = DATA + padded(len(self.memory.work), 8)

    def address(self, at: Pointer) -> int:
        """Where an operand points: the blob lies behind the work area."""
        program = self.memory.program
        if isinstance(at, Load):
            return self.end + self.blob.start(at.name) + program.constants[at.name].width * at.first
        return DATA + self.slots[at.name].start + program.buffers[at.name].width * at.first

    def argument(self, given: Operand, table: bytearray) -> int:
        """One operand as a number; the rows that ids pick are listed in `table`, which lies behind the blob."""
        operand = self.memory.found(given)
        if isinstance(operand, Rows):
            ids = self.memory.at(operand.ids, len(operand.firsts))
            rows = [self.address(Load(operand.table.name, operand.row * int(row))) for row in ids + operand.firsts]
            table += np.array(rows, "<u8").tobytes()
            return self.end + padded(len(self.blob.data), 8)
        if isinstance(operand, Places):
            table += np.array([self.address(place) for place in operand.pointers], "<u8").tobytes()
            return self.end + padded(len(self.blob.data), 8)
        if isinstance(operand, Pointer):
            return self.address(operand)
        assert isinstance(operand, int)
        return operand

    def run(self, call: Call) -> None:
        """One call."""
        if call.function == COPY:
            return self.memory.call(call)
        table, work = bytearray(), self.memory.work
        arguments = [self.argument(operand, table) for operand in call.operands]
        parts = (bytes(work), self.blob.data, bytes(table))
        processor = Processor(b"".join(part + bytes(-len(part) % 8) for part in parts))
        found = processor.run(kernel_named(call.function).text, arguments)
        assert processor.spent == call_cu(call), call.function
        if call.gives:
            self.memory.given[call.gives] = found
        work[:] = processor.areas[DATA][: len(work)]


@pytest.mark.parametrize("kind", sorted(op.kind for op in LOWERINGS))
def test_golden_vectors_through_assembly(kind: str) -> None:
    net, op, reads, writes = read(kind)
    lowered = program(net, op, reads)
    (routine,) = lowered.routines
    for world in range(4):
        assembled = Assembled(lowered)
        for name, values in one_world(reads, world).items():
            held = SESSION_START if name == SESSION_BIAS else name
            assembled.memory.put(held, np.array(values))
        _run(assembled, routine)
        for name, values in one_world(writes, world).items():
            assert assembled.memory.values(name, len(values)).tolist() == list(values), name


def _run(assembled: Assembled, routine: Routine) -> None:
    for call in routine.calls:
        assembled.run(call)
        assert all(isinstance(operand, Read | Write | Load | Rows | Places | Groups | int) for operand in call.operands)
