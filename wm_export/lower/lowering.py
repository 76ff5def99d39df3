"""QNet -> Program: the lowering of each class of op, and the frame that they make together."""

from collections.abc import Callable, Sequence
from typing import Any

from wm_export.errors import WmExportError
from wm_export.lower import (
    chunked_lowering,
    conv_lowering,
    dense_lowering,
    gate_lowering,
    gather_lowering,
    norm_lowering,
    put_lowering,
    ssm_lowering,
    table_lowering,
    within_lowering,
    world_lowering,
)
from wm_export.lower.builder import Builder
from wm_export.lower.fusion import fusions
from wm_export.lower.lowered_program import Buffer, Lifetime, Program, Routine
from wm_export.lower.memory import HASH_BYTES
from wm_export.lower.plan import cut
from wm_export.lower.requantize_lowering import scaling
from wm_quant.ops.base import Op
from wm_quant.ops.conv import Conv
from wm_quant.ops.dense import Matvec
from wm_quant.ops.gate import Gate
from wm_quant.ops.gather import Gather
from wm_quant.ops.norm import RMSNorm
from wm_quant.ops.put import Put
from wm_quant.ops.requantize import Add, Requantize, RequantizeCode, RequantizeFine, RequantizeRelu, RequantizeWide
from wm_quant.ops.ssm import SSM
from wm_quant.ops.ssm_chunked import ChunkedSSM
from wm_quant.ops.table import Lut
from wm_quant.ops.within import Within
from wm_quant.qnet import QNet
from wm_train.naming import misnamed

#: By class of op: op and builder in, routine out.
LOWERINGS: dict[type[Op], Callable[[Any, Builder], Routine]] = {
    Matvec: dense_lowering.matvec,
    RMSNorm: norm_lowering.rmsnorm,
    Conv: conv_lowering.conv,
    SSM: ssm_lowering.ssm,
    ChunkedSSM: chunked_lowering.ssm_chunked,
    Gather: gather_lowering.gather,
    Requantize: scaling("requantize"),
    RequantizeRelu: scaling("requantize_relu"),
    RequantizeCode: scaling("requantize_code"),
    RequantizeFine: scaling("requantize_fine"),
    RequantizeWide: scaling("requantize_wide"),
    Add: scaling("requantize_add"),
    Lut: table_lowering.lut,
    Gate: gate_lowering.gate,
    Put: put_lowering.put,
    Within: within_lowering.within,
}
#: Ops that have none yet: networks with one run in the interpreter only.
NOT_YET: tuple[type[Op], ...] = ()


def need_lowerings(net: QNet) -> None:
    """WmExportError naming the kinds of a network's ops that have no lowering."""
    if missing := dict.fromkeys(op.kind for op in net.ops if type(op) not in LOWERINGS):
        raise WmExportError(
            f"no kernel yet for {', '.join(missing)}: such a network runs in the interpreter only (evaluate, rollout, "
            "report)"
        )


def _check_names(net: QNet) -> None:
    """WmExportError where an op or a vector has the name of one of the world's, or becomes the same constant."""
    ops = [*world_lowering.ROUTINES, *(op.name for op in net.ops)]
    begun = [op.out for op in net.ops if op.begins]
    vectors = [*world_lowering.BUFFERS, *kept(net), *begun]
    for names in (ops, vectors):
        twice = next((name for name in names if names.count(name) > 1), "")
        if wrong := f"{twice} is a name of the world's own" if twice else misnamed(names):
            raise WmExportError(f"export: {wrong}; name the op or its vector otherwise")


def kept(net: QNet) -> dict[str, int]:
    """Length of the buffer of each op that keeps something from frame to frame, by the buffer's name."""
    return {op.kept: net.memories[op.name] for op in net.ops if op.name in net.memories}


def lower(net: QNet, cuts: Sequence[str | int] = (), compact: bool = False, fused: bool = True) -> Program:
    """The program of a network, its frame cut at `cuts` (plan.py); `compact`: vectors share bytes (placement.py); not
    `fused`: every op is a routine of its own, which is what fused ones (fusion.py) are tested against.

    WmExportError where an op has no lowering or a cut is wrong.
    """
    need_lowerings(net)
    _check_names(net)
    builder = Builder(net)
    routines = frame(builder, fused)
    assert builder.start is not None  # validate: one op starts from the session's ids
    program = Program(
        buffers=_ordered(builder),
        constants=builder.constants,
        routines=tuple(routines),
        start=builder.start,
        vectors={name: size for name, size in traced(net).items() if name in builder.buffers},
        slots=net.world.encoding.slots,
        compact=compact,
        game=net.world.game,
    )
    return cut(program, cuts)


def frame(builder: Builder, fused: bool = True) -> list[Routine]:
    """A routine for every op of a frame or for several, in order."""
    for name, count in kept(builder.net).items():
        builder.buffer(name, count, Lifetime.MEMORY)
    routines = [world_lowering.begin(builder)]
    found = {fusion.ops[0]: fusion for fusion in fusions(builder.net)} if fused else {}
    within = {op for fusion in found.values() for op in fusion.ops[1:]}
    for op in builder.net.ops:
        if op in found:
            routines.append(found[op].lower(builder))
        elif op not in within:
            routines.append(LOWERINGS[type(op)](op, builder))
    if turns := sum(len(it.turns.stretches) for it in builder.buffers.values() if it.turns):
        builder.buffer(world_lowering.HASHES, HASH_BYTES * turns, Lifetime.SESSION, "u8")
    return [*routines, world_lowering.decode(builder), world_lowering.push(builder)]


def _ordered(builder: Builder) -> dict[str, Buffer]:
    """What ops keep first, together; then what else stays; then those of a frame."""
    order = (Lifetime.MEMORY, Lifetime.SESSION, Lifetime.FRAME)
    return dict(sorted(builder.buffers.items(), key=lambda item: order.index(item[1].lifetime)))


def traced(net: QNet) -> dict[str, int]:
    """Length of every vector that ops write, and of what they keep from frame to frame."""
    return {op.out: op.size for op in net.ops} | kept(net)
