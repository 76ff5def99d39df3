"""A QNet that could overflow is refused, with the op, the row and the number."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.factories import small_mamba2, small_model, small_qnet
from wm_quant.errors import WmQuantError
from wm_quant.ops.requantize import Requantize
from wm_quant.prove import prove
from wm_quant.qnet import QNet
from wm_train.config import Mamba2Config
from wm_train.grid.arithmetic import INT8
from wm_train.grid.integer_mamba2 import WIDE_MAX


def tampered(name: str, change: Any) -> QNet:
    """A proved network with one tensor changed in place by `change`."""
    net = small_qnet()
    tensor = net.tensors[name].copy()
    change(tensor)
    return replace(net, tensors={**net.tensors, name: tensor})


def set_row(row: int, value: int) -> Any:
    def change(tensor: Any) -> None:
        tensor[row] = value

    return change


def set_column(column: int, value: int) -> Any:
    def change(tensor: Any) -> None:
        tensor[:, column] = value

    return change


def test_a_whole_network_is_proved_below_every_bound() -> None:
    proofs = prove(small_qnet())
    assert {p.op for p in proofs} == {"layer1", "gather", "relu1", "layer2", "relu2", "heads", "scale"}
    assert all(0 < p.value < p.bound for p in proofs)


def test_rows_multiplied_until_a_lane_overflows_are_refused_by_name() -> None:
    def multiply(rows: Any) -> None:
        rows[7] = np.clip(rows[7].astype(np.int32) * 100, -127, 127)

    reach = int(np.abs(tampered("layer1.rows", multiply).tensors["layer1.rows"][7].astype(int)).sum() * 128)
    assert reach >= INT8.lane_bound
    with pytest.raises(
        WmQuantError, match=rf'"layer1": a lane of row 7 reaches \d+, must stay below {INT8.lane_bound}'
    ):
        prove(tampered("layer1.rows", multiply))


def test_accumulators_of_int16_weights_have_their_own_bound() -> None:
    """Beyond 2^22, where INT8 ends: a product with a multiplier of 22 bits is still exact."""
    net = small_qnet(small_model(bits={"layer2": 16}))
    (acc,) = [p for p in prove(net) if p.what == "the accumulator acc2"]
    assert INT8.acc_bound < acc.value < acc.bound == 1 << 31
    for name, message in (
        ("layer2.bias", r'"relu2": the accumulator acc2 of row \d+ reaches \d+, must stay below 2147483648'),
        ("relu2.mult", r'"relu2": the product of acc2 and its multiplier of row \d+ reaches'),
    ):
        most = np.full_like(net.tensors[name], 2**31 - 1)
        with pytest.raises(WmQuantError, match=message):
            prove(replace(net, tensors={**net.tensors, name: most}))


def test_lanes_of_int4_weights_have_their_own_bound() -> None:
    net = small_qnet(small_model(bits={"layer1": 4}))
    rows = net.tensors["layer1.rows"].copy()
    rows[5] = 7
    reach = int(min(rows.shape[1], net.tensors and vars(net.ops[0])["block"])) * 7 * 128
    assert 1 << 15 <= reach < INT8.lane_bound
    with pytest.raises(WmQuantError, match=rf'"layer1": a lane of row 5 reaches {reach}, must stay below 32768'):
        prove(replace(net, tensors={**net.tensors, "layer1.rows": rows}))


@pytest.mark.parametrize(
    ("tensor", "change", "op", "row"),
    [
        ("layer1.bias", set_row(9, INT8.acc_bound), "relu1", 9),
        ("layer1.session", set_column(5, INT8.acc_bound), "relu1", 5),
        ("gather.k", set_row(3, 1 << 20), "relu1", 3),
        ("layer2.bias", set_row(2, -INT8.acc_bound), "relu2", 2),
        ("heads.bias", set_row(11, INT8.acc_bound), "scale", 11),
    ],
)
def test_an_accumulator_that_overflows_is_refused_by_name(tensor: str, change: Any, op: str, row: int) -> None:
    with pytest.raises(WmQuantError, match=rf'"{op}": the accumulator acc\d of row {row} reaches'):
        prove(tampered(tensor, change))


def test_what_is_added_to_the_residual_stream_may_meet_its_end() -> None:
    """The norm behind an add reads the whole stream, not just what was added."""
    net = small_qnet(small_mamba2(n_layers=1))
    width = net.model.d_model if isinstance(net.model, Mamba2Config) else 0
    (norm,) = [p for p in prove(net) if (p.op, p.what) == ("norm", "the sum of squares")]
    assert norm.value == width * WIDE_MAX**2 + net.tensors["norm.eps"][0]


def test_a_head_outside_int32_is_refused_by_name() -> None:
    net = small_qnet()
    ops = tuple(replace(op, shift=1) if isinstance(op, Requantize) else op for op in net.ops)
    with pytest.raises(WmQuantError, match=r'"scale": the result of row \d+ reaches'):
        prove(replace(net, ops=ops))
