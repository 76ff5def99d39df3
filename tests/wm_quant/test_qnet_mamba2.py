"""A QNet with a memory: saved and loaded whole, and refused where an op reads what is not there or could overflow."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.factories import small_mamba2, small_model, small_qnet
from wm_export.errors import WmExportError
from wm_export.lower.lowering import LOWERINGS, lower
from wm_quant.errors import WmQuantError
from wm_quant.ops.base import Tensor
from wm_quant.ops.norm import RMSNorm
from wm_quant.ops.requantize import Requantize, RequantizeWide, Scaling
from wm_quant.ops.ssm import SSM
from wm_quant.prove import prove
from wm_quant.qnet import QNet, expected_tensors, load_qnet, save_qnet, validate
from wm_train.grid.integer_mamba2 import STATE_MAX

NET = small_qnet(small_mamba2(n_layers=1))


def with_op(op_name: str, /, **changes: Any) -> QNet:
    assert op_name in {op.name for op in NET.ops}
    return replace(NET, ops=tuple(replace(op, **changes) if op.name == op_name else op for op in NET.ops))


def as_kind(op_name: str, kind: type[Scaling]) -> QNet:
    """One op of the network replaced by one of another class with the same fields."""
    return replace(NET, ops=tuple(kind(**vars(op)) if op.name == op_name else op for op in NET.ops))


def with_tensor(name: str, change: Any) -> QNet:
    """One tensor changed in place by `change`."""
    values = NET.tensors[name].copy()
    change(values)
    return replace(NET, tensors={**NET.tensors, name: values})


def put(at: Any, value: int) -> Any:
    def change(tensor: Any) -> None:
        tensor[at] = value

    return change


def test_round_trip(tmp_path: Path) -> None:
    save_qnet(tmp_path, NET)
    loaded = load_qnet(tmp_path)
    assert replace(loaded, tensors={}) == replace(NET, tensors={}) and loaded.memories == NET.memories
    assert all((loaded.tensors[name] == tensor).all() for name, tensor in NET.tensors.items())


def test_tensors_follow_from_the_ops() -> None:
    shapes = expected_tensors(NET)
    assert shapes["blocks.0.ssm.decay"] == Tensor((4, 256), np.int32)
    assert shapes["blocks.0.conv.rows"] == Tensor((58, 4), np.int8)
    assert shapes["blocks.0.silu.table"] == Tensor((3, 4096), np.int16)
    assert shapes["norm.eps"] == Tensor((1,), np.int64, low=1)
    assert shapes.keys() == NET.tensors.keys()


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (with_op("blocks.0.conv", first=49), r'"blocks\.0\.conv": 58 values from 49 on, of 106'),
        (with_op("blocks.0.conv", first=-1), r"58 values from -1 on"),
        (with_op("blocks.0.dt_scale", first=107), r"4 values from 107 on, of 110"),
        (with_op("blocks.0.ssm", size=50), r"50 channels of 4 heads do not fit 58 values"),
        (with_op("blocks.0.ssm", size=58), r"58 channels of 4 heads do not fit 58 values"),
        (with_op("blocks.0.ssm", size=47), r"47 channels of 4 heads do not fit"),
        (with_op("blocks.0.ssm", by="blocks.0.in"), r"48 channels of 106 heads do not fit"),
        (with_op("blocks.0.ssm", by=""), r"reads '' too"),
        (with_op("blocks.0.ssm", by="blocks.0.y"), r"reads 'blocks\.0\.y' too"),
        (with_op("blocks.0.gate", by="blocks.0.xbc"), r"`blocks\.0\.xbc` has 58 values, expected 48"),
        (with_op("blocks.0.gate", by="nothing"), r"reads 'nothing' too"),
        (with_op("blocks.0.silu", size=59), r"59 values from 0 on, of 58"),
        (with_op("blocks.0.norm", source="acc1"), r"a rmsnorm of the sum `acc1`; expected what a requantize"),
        (with_op("blocks.0.silu", source="blocks.0.acc_in"), r"a lut of the sum `blocks\.0\.acc_in`"),
        (with_op("blocks.0.conv", source="blocks.0.acc_in"), r"a conv of the sum"),
        (with_op("blocks.0.in_proj", source="acc1"), r"a matvec of the sum"),
        (with_op("blocks.0.in_proj", source="ids"), r"a matvec of `ids`; ids are read by gathers only"),
        (with_op("gather", source="codes"), r"a gather of `codes`; ids are read by gathers only"),
        (with_op("blocks.0.norm", shift=4), r'"blocks\.0\.norm": shift 4, expected 5\.\.62'),
        (with_op("blocks.0.gate", shift=0), r'"blocks\.0\.gate": shift 0, expected 1\.\.62'),
        (with_op("blocks.0.add", out="blocks.0.n9"), r"`blocks\.0\.n9` has no start"),
        (with_op("blocks.0.in_proj", init="session_bias"), r"2 ops start from session_bias, expected one"),
        (with_op("layer1", init="bias"), r"0 ops start from session_bias, expected one"),
        (replace(NET, model=small_model(slots=2)), r"2 slots, expected 1 of a network with a memory"),
        (with_tensor("blocks.0.norm.eps", put(0, 0)), r"blocks\.0\.norm\.eps\[0\] = 0, expected 1\.\."),
        (with_tensor("blocks.0.silu.group", put(3, -1)), r"blocks\.0\.silu\.group\[3\] = -1, expected 0\.\.127"),
        (with_tensor("blocks.0.silu.group", put(3, 3)), r"expected int16 \(4, 4096\)"),
        (with_tensor("blocks.0.y_scale.mult", put(3, -1)), r"y_scale\.mult\[3\] = -1, expected 0\.\.2147483647"),
    ],
)  # fmt: skip
def test_what_the_format_does_not_say_is_refused(net: QNet, message: str) -> None:
    with pytest.raises(WmQuantError, match=message):
        validate(net)


def test_a_table_of_another_size_is_refused() -> None:
    for name, value in (("blocks.0.ssm.decay", NET.tensors["blocks.0.ssm.decay"][:, :255]),
                        ("norm.table", NET.tensors["norm.table"][:767]),
                        ("blocks.0.conv.rows", NET.tensors["blocks.0.conv.rows"][:, :3])):  # fmt: skip
        with pytest.raises(WmQuantError, match=rf"{name} is int\d+ \("):
            validate(replace(NET, tensors={**NET.tensors, name: value}))


# -------------------------------------------------------------------------------------------------------------- proofs


def test_every_op_is_proved_below_every_bound() -> None:
    proofs = prove(NET)
    assert {p.op for p in proofs} == {op.name for op in NET.ops}
    assert all(0 <= p.value < p.bound for p in proofs)
    (state,) = [p for p in proofs if p.what == "a state times its decay"]
    assert state.bound == (STATE_MAX + 1) << 15 and state.value > 0.99 * state.bound


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (with_tensor("blocks.0.ssm.decay", put((2, 7), 1 << 15)),
         r'"blocks\.0\.ssm": a state times its decay of row 2 reaches \d+, must stay below 2147483648'),
        (with_tensor("blocks.0.ssm.decay", put((1, 7), -(1 << 15))), r"a state times its decay of row 1"),
        (with_tensor("blocks.0.ssm.gain", put((3, 200), 1 << 30)), r"a state times its decay of row 3"),
        (with_tensor("blocks.0.ssm.gain", put((0, 0), -(1 << 30))), r"a state times its decay of row 0"),
        (with_tensor("blocks.0.ssm.skip", put(1, 1 << 25)), r'"blocks\.0\.ssm": the accumulator of y of row 12'),
        (with_tensor("blocks.0.y_scale.mult", put(5, (1 << 31) - 1)),
         r'"blocks\.0\.y_scale": the product of blocks\.0\.acc_y and its multiplier of row 5'),
        (with_op("blocks.0.gate_silu", source="blocks.0.y"), r'"blocks\.0\.gate_silu": an index of blocks\.0\.y'),
        (as_kind("blocks.0.in_scale", Requantize), r'"blocks\.0\.conv": a code that it keeps of row \d+ reaches \d+'),
        (as_kind("blocks.0.dt_scale", RequantizeWide),
         r'"blocks\.0\.ssm": an index of blocks\.0\.dt of row \d reaches \d+, must stay below 128'),
        (with_op("blocks.0.norm", shift=62), r'"blocks\.0\.norm": the shift of row 0 reaches \d+, must stay below 63'),
        (with_tensor("blocks.0.norm.eps", put(0, 1 << 54)), r'"blocks\.0\.norm": the sum of squares'),
        (with_tensor("layer1.bias", put(4, 1 << 22)), r'"enter": the accumulator acc1 of row 4'),
        (with_tensor("blocks.0.conv.bias", put(4, 1 << 22)), r'"blocks\.0\.conv_scale": the accumulator .* of row 4'),
        (with_tensor("blocks.0.out_proj.bias", put(4, 1 << 22)), r'"blocks\.0\.add": the accumulator .* of row 4'),
    ],
)  # fmt: skip
def test_what_could_overflow_is_refused_by_op_and_number(net: QNet, message: str) -> None:
    with pytest.raises(WmQuantError, match=message):
        prove(net)


@pytest.mark.parametrize("entry", [2**31 - 1, -(2**31)])
def test_a_norms_entries_below_zero_reach_as_far_as_those_above(entry: int) -> None:
    with pytest.raises(WmQuantError, match=r'"blocks\.0\.gated_norm": a code of row 0 reaches 168099\d\d, must stay'):
        prove(with_tensor("blocks.0.gated_norm.table", put(0, entry)))


def test_what_lies_behind_a_norm_is_bounded_by_its_ball() -> None:
    """A row that meets every code at its largest would leave the lanes; no frame has such codes."""
    wide = with_tensor("heads.rows", put(0, 127))
    (lane,) = [p for p in prove(wide) if (p.op, p.what) == ("heads", "a lane")]
    norm = next(p for p in prove(wide) if (p.op, p.what) == ("norm", "a code"))
    columns = wide.tensors["heads.rows"].shape[1]
    assert norm.value * columns * 127 > 3 * lane.value and lane.value > norm.value * np.sqrt(columns) * 127


# ------------------------------------------------------------------------------------------------------------- kernels


def test_kinds_without_a_kernel_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for op in (RMSNorm, SSM):
        monkeypatch.delitem(LOWERINGS, op)
    with pytest.raises(WmExportError, match=r"no kernel yet for rmsnorm, ssm: such a network runs in the interpreter"):
        lower(NET)
    lower(small_qnet())
