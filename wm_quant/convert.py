"""Checkpoint -> QNet. For a QAT checkpoint nothing happens here: its integers are the ones it was trained with."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_quant.errors import WmQuantError
from wm_quant.ops.base import BIAS, CODES, IDS, SESSION_BIAS, Op
from wm_quant.ops.conv import Conv
from wm_quant.ops.dense import Matvec
from wm_quant.ops.gate import Gate
from wm_quant.ops.gather import Gather
from wm_quant.ops.norm import RMSNorm
from wm_quant.ops.requantize import Add, Requantize, RequantizeCode, RequantizeFine, RequantizeRelu, RequantizeWide
from wm_quant.ops.ssm import SSM
from wm_quant.ops.ssm_chunked import ChunkedSSM
from wm_quant.ops.table import Lut
from wm_quant.ops.within import Within
from wm_quant.prove import prove
from wm_quant.qnet import HEADS, QNet, expected_tensors, validate, vector_of
from wm_quant.side_by_side import Made, Parts, side_by_side
from wm_train.checkpoint import Checkpoint, digest, load_checkpoint
from wm_train.config import ComposedConfig, Mamba2Config, MLPConfig, ModelConfig
from wm_train.grid.arithmetic import within_floats
from wm_train.grid.integer_mamba2 import BLOCK, GATE_SHIFT, IntegerBlock, IntegerNorm, integer_mamba2
from wm_train.grid.integer_mlp import BLOCK_COLUMNS, IntegerDense, IntegerInput, integer_mlp
from wm_train.world.step import World


def mlp_ops(model: MLPConfig, shifts: tuple[int, int, int]) -> tuple[Op, ...]:
    """The ops of a FrameStackMLP."""
    wide, narrow = model.hidden
    always = model.world.always_read
    return (
        _matvec(model, "layer1", CODES, "acc1", wide, _blocks("layer1"), SESSION_BIAS),
        Gather("gather", IDS, "acc1", wide),
        RequantizeRelu("relu1", "acc1", "hidden1", wide, shift=shifts[0]),
        _matvec(model, "layer2", "hidden1", "acc2", narrow, _blocks("layer2")),
        RequantizeRelu("relu2", "acc2", "hidden2", narrow, shift=shifts[1]),
        _matvec(model, "heads", "hidden2", "acc3", always, _blocks("heads")),
        Requantize("scale", "acc3", HEADS, always, shift=shifts[2]),
        *_grouped_ops(model, "hidden2", _blocks("heads"), shifts[2]),
    )


def _blocks(layer: str) -> dict[int, int]:
    """Columns between two lane flushes of a FrameStackMLP's layer, by the bits of its weights."""
    return {bits: columns[layer] for bits, columns in BLOCK_COLUMNS.items()}


def _matvec(
    model: ModelConfig, name: str, source: str, out: str, size: int, blocks: Mapping[int, int], init: str = BIAS
) -> Matvec:
    """A matvec with the weights that the config gives it."""
    bits = model.bits.get(name, 8)
    return Matvec(name, source, out, size, init, block=blocks[bits], bits=bits)


def _grouped_ops(model: ModelConfig, source: str, blocks: Mapping[int, int], shift: int) -> Iterator[Within]:
    """The logits of one group's ids of each choice in groups."""
    world, bits = model.world, model.bits.get("heads", 8)
    for player, head in world.choices_in_groups:
        yield Within(
            vector_of(player, head),
            source,
            vector_of(player, head),
            head.members,
            by=HEADS,
            first=world.span(player, head.name).start,
            groups=head.groups,
            layer="heads",
            block=blocks[bits],
            shift=shift,
            bits=bits,
        )


def _heads(world: World, layer: IntegerDense) -> Iterator[Parts]:
    """The tensors of the ops of the last layer."""
    always = slice(world.always_read)
    yield {"rows": layer.rows[always], "bias": layer.bias[always]}
    yield {"mult": layer.mult[always]}
    for player, head in world.choices_in_groups:
        own, shape = world.ids_span(player, head.name), (head.groups, head.members)
        rows = layer.rows[own].reshape(*shape, -1)
        yield {"rows": rows, "bias": layer.bias[own].reshape(shape), "mult": layer.mult[own].reshape(shape)}


def _mlp(checkpoint: Checkpoint, model: MLPConfig) -> Iterator[Made]:
    scales = checkpoint.scales["hidden1"], checkpoint.scales["hidden2"]
    mlp = integer_mlp(model.world, checkpoint.deciding, scales, model.bits)
    ops = mlp_ops(model, (mlp.layer1.shift, mlp.layer2.shift, mlp.heads.shift))
    parts = (
        _first(mlp),
        _gather(mlp),
        _mult(mlp.layer1),
        _dense(mlp.layer2),
        _mult(mlp.layer2),
        *_heads(model.world, mlp.heads),
    )
    return zip(ops, parts, strict=True)


def _dense(layer: IntegerDense) -> Parts:
    return {"rows": layer.rows, "bias": layer.bias}


def _mult(layer: IntegerDense) -> Parts:
    return {"mult": layer.mult}


def _first(ints: IntegerInput) -> Parts:
    return {**_dense(ints.layer1), "session": ints.session_rows}


def _gather(ints: IntegerInput) -> Parts:
    return {"rows": ints.gather_rows, "k": ints.gather_k}


def _norm(norm: IntegerNorm) -> Parts:
    return {"table": norm.table, "eps": np.array([norm.eps])}


@dataclass(frozen=True)
class BlockShifts:
    """Shifts of the ops of one block of a Mamba2."""

    norm: int
    in_proj: int
    dt: int
    conv: int
    y: int
    gated_norm: int
    out_proj: int

    @staticmethod
    def of(ints: IntegerBlock) -> "BlockShifts":
        """Those of its integers."""
        return BlockShifts(
            ints.norm.shift,
            ints.in_proj.shift,
            ints.dt_shift,
            ints.conv.shift,
            ints.y_shift,
            ints.gated_norm.shift,
            ints.out_proj.shift,
        )


@dataclass(frozen=True)
class Mamba2Shifts:
    """Shifts of the ops of a Mamba2."""

    layer1: int
    blocks: tuple[BlockShifts, ...]
    norm: int
    heads: int


def mamba2_ops(model: Mamba2Config, shifts: Mamba2Shifts) -> tuple[Op, ...]:
    """The ops of a Mamba2."""
    width, always = model.d_model, model.world.always_read
    blocks = (op for i, own in enumerate(shifts.blocks) for op in _block_ops(model, f"blocks.{i}", own))
    return (
        _matvec(model, "layer1", CODES, "acc1", width, _blocks("layer1"), SESSION_BIAS),
        Gather("gather", IDS, "acc1", width),
        RequantizeWide("enter", "acc1", "residual", width, shift=shifts.layer1),
        *blocks,
        RMSNorm("norm", "residual", "n", width, shift=shifts.norm),
        _matvec(model, "heads", "n", "acc_heads", always, BLOCK),
        Requantize("scale", "acc_heads", HEADS, always, shift=shifts.heads),
        *_grouped_ops(model, "n", BLOCK, shifts.heads),
    )


def _block_ops(model: Mamba2Config, name: str, shifts: BlockShifts) -> Iterator[Op]:
    """One block: the residual stream to codes of z, x, B_, C and dt; convolution and recurrence; gate, norm, and back
    to the residual stream. Its vectors and ops carry its name."""
    inner, passed = model.d_inner, model.d_conv_in
    codes = inner + passed

    def at(part: str) -> str:
        return f"{name}.{part}"

    yield RMSNorm(at("norm"), "residual", at("u"), model.d_model, shift=shifts.norm)
    yield _matvec(model, at("in_proj"), at("u"), at("acc_in"), codes + model.n_heads, BLOCK)
    yield RequantizeFine(at("in_scale"), at("acc_in"), at("in"), codes, shift=shifts.in_proj)
    yield RequantizeCode(at("dt_scale"), at("acc_in"), at("dt"), model.n_heads, shift=shifts.dt, first=codes)
    yield Conv(at("conv"), at("in"), at("acc_conv"), passed, first=inner)
    yield RequantizeFine(at("conv_scale"), at("acc_conv"), at("pre"), passed, shift=shifts.conv)
    yield Lut(at("silu"), at("pre"), at("xbc"), passed)
    yield _recurrence(model, at("ssm"), at("xbc"), at("acc_y"), at("dt"))
    yield RequantizeWide(at("y_scale"), at("acc_y"), at("y"), inner, shift=shifts.y)
    yield Lut(at("gate_silu"), at("in"), at("gate"), inner)
    yield Gate(at("gate"), at("y"), at("gated"), inner, by=at("gate"), shift=GATE_SHIFT)
    yield RMSNorm(at("gated_norm"), at("gated"), at("n"), inner, shift=shifts.gated_norm)
    yield _matvec(model, at("out_proj"), at("n"), at("acc_out"), model.d_model, BLOCK)
    yield Add(at("add"), at("acc_out"), "residual", model.d_model, shift=shifts.out_proj)


def _recurrence(model: Mamba2Config, name: str, source: str, out: str, by: str) -> SSM:
    """The recurrence that the config asks for."""
    if model.write_every:
        return ChunkedSSM(name, source, out, model.d_inner, by=by, every=model.write_every)
    return SSM(name, source, out, model.d_inner, by=by)


def table_groups(model: Mamba2Config) -> dict[str, NDArray[np.int64]]:
    """Which of its tables each value of an op goes through, by the tensor's name: the shape alone decides it."""
    blocks = (f"blocks.{i}" for i in range(model.n_layers))
    return {
        name: group
        for block in blocks
        for name, group in (
            (f"{block}.silu.group", _silu_group(model)),
            (f"{block}.gate_silu.group", _gate_group(model)),
        )
    }


def _silu_group(model: Mamba2Config) -> NDArray[np.int64]:
    return np.repeat(np.arange(3), [model.d_inner, model.d_state, model.d_state])


def _gate_group(model: Mamba2Config) -> NDArray[np.int64]:
    return np.zeros(model.d_inner, np.int64)


def _block_parts(model: Mamba2Config, ints: IntegerBlock) -> tuple[Parts, ...]:
    """The tensors of each op of a block."""
    return (
        _norm(ints.norm),
        _dense(ints.in_proj),
        _mult(ints.in_proj),
        {"mult": ints.dt_mult},
        _dense(ints.conv),
        _mult(ints.conv),
        {"table": ints.silu, "group": _silu_group(model)},
        {"decay": ints.decay, "gain": ints.gain, "skip": ints.skip},
        {"mult": ints.y_mult},
        {"table": ints.gate[None], "group": _gate_group(model)},
        {},
        _norm(ints.gated_norm),
        _dense(ints.out_proj),
        _mult(ints.out_proj),
    )


def _mamba2(checkpoint: Checkpoint, model: Mamba2Config) -> Iterator[Made]:
    ints = integer_mamba2(model, checkpoint.deciding, checkpoint.scales)
    blocks = tuple(map(BlockShifts.of, ints.blocks))
    ops = mamba2_ops(model, Mamba2Shifts(ints.layer1.shift, blocks, ints.norm.shift, ints.heads.shift))
    parts = (
        _first(ints),
        _gather(ints),
        _mult(ints.layer1),
        *(parts for block in ints.blocks for parts in _block_parts(model, block)),
        _norm(ints.norm),
        *_heads(model.world, ints.heads),
    )
    return zip(ops, parts, strict=True)


def _ops_of(checkpoint: Checkpoint) -> Iterable[Made]:
    """Every op of a network, with its tensors."""
    model = checkpoint.config.model
    if isinstance(model, ComposedConfig):
        return side_by_side(model, {key: tuple(_ops_of(part)) for key, part in checkpoint.parts.items()})
    return _mamba2(checkpoint, model) if isinstance(model, Mamba2Config) else _mlp(checkpoint, model)


def _narrow(values: NDArray[Any], dtype: type[np.integer[Any]], name: str) -> NDArray[Any]:
    info = np.iinfo(dtype)
    outside = ~((values >= info.min) & (values <= info.max))  # which NaN is
    if outside.any():
        at = tuple(int(i) for i in np.argwhere(outside)[0])
        raise WmQuantError(f"quantize: {name}{list(at)} = {values[at]:.0f} does not fit {info.dtype}; train with --qat")
    return values.astype(dtype)


def quantize(run: Path) -> QNet:
    """The QNet of a run, proved.

    A QAT run's integers are those it was trained with; a float run is rounded to the grid with its calibrated
    activation scales. WmQuantError where a row cannot be proved, with its name and the number.
    """
    net = from_checkpoint(load_checkpoint(run), digest(run))
    prove(net)
    return net


def from_checkpoint(checkpoint: Checkpoint, parent: str) -> QNet:
    """Fold and quantize; validated, not proved yet. WmQuantError where weights or scales are beyond all bounds."""
    with within_floats(WmQuantError):
        net = _made(checkpoint, parent)
    validate(net)
    return net


def _made(checkpoint: Checkpoint, parent: str) -> QNet:
    model, made = checkpoint.config.model, list(_ops_of(checkpoint))
    wide = {f"{op.name}.{part}": values for op, parts in made for part, values in parts.items()}
    provenance = {
        "form": checkpoint.form,
        "split": dict(checkpoint.split),
        "figures": dict(checkpoint.figures),
        "seed": checkpoint.config.train.seed,
        "holdout": checkpoint.config.train.holdout,
    }
    net = QNet(model, tuple(op for op, _ in made), wide, parent, provenance)
    narrow = {name: _narrow(wide[name], tensor.dtype, name) for name, tensor in expected_tensors(net).items()}
    return replace(net, tensors=narrow)
