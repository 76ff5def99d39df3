"""wm_quant/ops/: `run` is `ref` is the golden vectors, results lie in their bounds, and each op by hand."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wm_quant.golden_vectors import GOLDEN, read
from tests.wm_quant.single import CASES, both, single
from wm_quant.errors import WmQuantError
from wm_quant.interp import one_world
from wm_quant.ops.conv import Conv
from wm_quant.ops.dense import Matvec
from wm_quant.ops.gate import Gate
from wm_quant.ops.gather import Gather
from wm_quant.ops.kinds import OPS
from wm_quant.ops.norm import RMSNorm
from wm_quant.ops.put import Put
from wm_quant.ops.requantize import Add, Requantize, RequantizeRelu
from wm_quant.ops.ssm import SSM
from wm_quant.ops.ssm_chunked import ChunkedSSM
from wm_quant.ops.table import Lut
from wm_train.grid.arithmetic import requantize
from wm_train.grid.integer_mamba2 import STATE_MAX, WIDE_MAX

RNG_SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("kind", OPS)
@given(seed=RNG_SEEDS)
@settings(max_examples=60, deadline=None)
def test_run_is_ref_and_what_they_give_lies_in_its_bounds(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = CASES[kind](rng)
    net, op, values = case.net, case.op, case.values(rng)
    given_before = {name: value.copy() for name, value in values.items()}
    many = op.run(net, values)
    interval, proofs = op.bounds(net, case.intervals)
    for i in range(len(next(iter(values.values())))):
        one = op.ref(net, one_world(values, i))
        assert {name: value[i].tolist() for name, value in many.items()} == one
    out = many[op.out]
    assert out.dtype == np.int64 and out.shape[1] == op.size and set(many) <= {op.out, op.kept}
    assert (interval.low <= out).all() and (out <= interval.high).all()
    assert np.square(out.astype(float)).sum(1).max() <= interval.energy
    assert all(0 <= proof.value < proof.bound for proof in proofs)
    assert all((values[name] == value).all() for name, value in given_before.items())
    assert op.clamp is None or ((op.clamp[0] <= out).all() and (out <= op.clamp[1]).all())


@given(seed=RNG_SEEDS)
@settings(max_examples=100, deadline=None)
def test_a_state_inside_its_range_stays_there(seed: int) -> None:
    rng = np.random.default_rng(seed)
    case = CASES["ssm"](rng)
    for _ in range(4):
        values = case.values(rng)
        assert np.abs(case.op.run(case.net, values)[case.op.kept]).max() <= STATE_MAX


def test_every_op_has_cases_and_golden_vectors() -> None:
    assert set(CASES) == set(OPS) == {path.stem for path in GOLDEN.glob("*.safetensors")}
    assert all(op.kind == kind for kind, op in OPS.items()) and len(set(OPS.values())) == len(OPS)


@pytest.mark.parametrize("kind", OPS)
def test_golden_vectors(kind: str) -> None:
    net, op, values, wanted = read(kind)
    assert op.kind == kind and wanted.keys() <= {op.out, op.kept}
    many = op.run(net, values)
    for i in range(len(wanted[op.out])):
        one = op.ref(net, one_world(values, i))
        for name, value in wanted.items():
            assert many[name][i].tolist() == one[name] == value[i].tolist(), name


def test_matvec_by_hand() -> None:
    rows = np.array([[1, -2, 3], [127, -128, 0]], np.int8)
    op = Matvec("op", "in", "out", 2, block=32)
    assert both(op, {"rows": rows}, {"in": [10, 20, -30], "out": [5, -6]})["out"] == [5 - 120, -6 + 1270 - 2560]


def test_gather_by_hand() -> None:
    """One row of each field's table; the first field's first and second, every other field's first."""
    net = single(Gather("op", "ids", "out", 2), {}, {})
    vocab = [field.vocab for _, _, field in net.world.encoding.id_fields()]
    rows = np.zeros((sum(vocab), 2), np.int8)
    rows[0], rows[1], rows[vocab[0]] = (1, -2), (3, 4), (-128, 127)
    tensors = {"rows": rows, "k": np.array([2, 3], np.int32)}
    for first, picked in ((0, (1, -2)), (1, (3, 4))):
        values = {"ids": [first] + [0] * (len(vocab) - 1), "out": [100, 200]}
        got = both(Gather("op", "ids", "out", 2), tensors, values)["out"]
        assert got == [100 + 2 * (picked[0] - 128), 200 + 3 * (picked[1] + 127)]


@given(
    st.lists(st.tuples(st.integers(-(2**31), 2**31), st.integers(0, 2**31 - 1)), min_size=1, max_size=8),
    st.integers(1, 62),
)
def test_requantize_is_the_nearest_integer(pairs: list[tuple[int, int]], shift: int) -> None:
    acc, mult = (np.array(part, np.int64) for part in zip(*pairs, strict=True))
    exact = [math.floor(Fraction(a * m, 2**shift) + Fraction(1, 2)) for a, m in pairs]
    tensors, values = {"mult": mult.astype(np.int32)}, {"in": acc}
    assert both(Requantize("op", "in", "out", len(pairs), shift=shift), tensors, values)["out"] == exact
    assert (requantize(acc, mult, shift) == exact).all()
    relu = both(RequantizeRelu("op", "in", "out", len(pairs), shift=shift), tensors, values)["out"]
    assert relu == [min(max(v, 0), 127) for v in exact]


def test_ties_and_the_relus_ends() -> None:
    acc, half = [-3, -1, 1, 3, 253, 254, 255, 9999], {"mult": np.full(8, 1 << 30, np.int32)}
    plain = both(Requantize("op", "in", "out", 8, shift=31), half, {"in": acc})["out"]
    relu = both(RequantizeRelu("op", "in", "out", 8, shift=31), half, {"in": acc})["out"]
    assert plain == [-1, 0, 1, 2, 127, 127, 128, 5000] and relu == [0, 0, 1, 2, 127, 127, 127, 127]


def test_add_by_hand() -> None:
    """Kept inside +-(2^20 - 1) after it was added, not before."""
    op, one = Add("op", "in", "out", 4, shift=1, first=1), {"mult": np.full(4, 2, np.int32)}
    values = {"in": [9, 5, 1, -1, 2 * WIDE_MAX], "out": [7, WIDE_MAX, -WIDE_MAX, -WIDE_MAX]}
    assert both(op, one, values)["out"] == [12, WIDE_MAX, -WIDE_MAX, WIDE_MAX]


def test_what_does_not_fit_64_bits_is_an_error() -> None:
    def ref(op: Any, tensors: Any, values: Any) -> Any:
        return op.ref(single(op, tensors, {}), values)["out"]

    scale = Requantize("op", "in", "out", 1, shift=1)
    with pytest.raises(WmQuantError, match=r"requantize: \d+ does not fit 64 bits"):
        ref(scale, {"mult": [4]}, {"in": [2**62]})
    assert ref(scale, {"mult": [1]}, {"in": [2**62]}) == [2**61]
    with pytest.raises(WmQuantError, match="matvec"):
        ref(Matvec("op", "in", "out", 1, block=32), {"rows": [[2]]}, {"in": [2**62], "out": [0]})
    with pytest.raises(WmQuantError, match="matvec"):
        ref(Matvec("op", "in", "out", 1, block=32), {"rows": [[1]]}, {"in": [2**62], "out": [2**62]})
    with pytest.raises(WmQuantError, match="rmsnorm"):
        norm = RMSNorm("op", "in", "out", 2, shift=20)
        ref(norm, {"table": np.ones(768, int), "eps": [1]}, {"in": [2**32, 2**32]})


def test_conv_by_hand() -> None:
    """Oldest tap first; the frame just read becomes the newest of what is kept."""
    tensors = {"rows": np.array([[1, 2, 3, 4], [-1, 0, 0, 5]], np.int8), "bias": np.array([1000, -1])}
    op = Conv("op", "in", "out", 2, first=1)
    got = both(op, tensors, {"in": [99, 7, -8], "op.memory": [10, 20, 30, 40, 50, 60]})
    assert got["out"] == [1000 + 10 + 60 + 150 + 28, -1 - 20 - 40] and got["op.memory"] == [30, 40, 50, 60, 7, -8]


def test_lut_by_hand() -> None:
    table = np.stack([np.arange(-2048, 2048), -np.arange(-2047, 2049)]).astype(np.int16)
    tensors, op = {"table": table, "group": np.array([0, 1, 0, 1], np.int8)}, Lut("op", "in", "out", 4)
    assert both(op, tensors, {"in": [-2047, -2047, 2047, 5]})["out"] == [-2047, 2046, 2047, -6]
    with pytest.raises(WmQuantError, match=r"lut: codes -3\.\.2048, expected -2047\.\.2047"):
        op.ref(single(op, tensors, {"in": 4}), {"in": [-3, 2048, 0, 0]})


def test_ssm_by_hand() -> None:
    """Two heads of one channel, two cells: h decays, is written, rounded by the tie rule, and then read. What is
    written was rounded before, once for all cells: 3 * 2^14 - 1/2 goes up."""
    decay, gain = np.zeros((2, 256), np.int32), np.zeros((2, 256), np.int32)
    decay[0, 128 + 3], gain[0, 128 + 3], decay[1, 128 - 4], gain[1, 128 - 4] = 1 << 14, 1 << 30, 0, (3 << 16) - 2
    tensors = {"decay": decay, "gain": gain, "skip": np.array([7, -1])}
    values = {"in": [4, 1 << 14, 5, -5, 10, 1], "dt": [3, -4], "op.memory": [101, -101, 9, 9]}
    got = both(SSM("op", "in", "out", 2, by="dt"), tensors, values)
    # 101 / 2 + 10 = 60.5 goes up to 61, and -60.5 up to -60; 3 * 2^14 * 5 / 2^15 = 7.5 the same way.
    assert got["op.memory"] == [61, -60, 8, -7]
    assert got["out"] == [610 - 60 + 28, 80 - 7 - (1 << 14)]


def test_gate_by_hand() -> None:
    op = Gate("op", "in", "out", 3, by="by", shift=7)
    assert both(op, {}, {"in": [3, -3, 100], "by": [64, 64, -128]})["out"] == [2, -1, -100]


def test_put_by_hand() -> None:
    first, then = (Put("op", "in", "out", 5, first=1, at=at, count=2) for at in (0, 2))
    assert both(first, {}, {"in": [1, 2, 3]})["out"] == [2, 3, 0, 0, 0]
    assert both(then, {}, {"in": [1, 2, 3], "out": [7, 8, 9, 9, 9]})["out"] == [7, 8, 2, 3, 9]


@pytest.mark.parametrize("size", [1, 200, 30_000])
def test_rmsnorm_is_a_division_by_the_root(size: int) -> None:
    """With the table that says what it is for: shift 20 and one code for 1/32."""
    rng = np.random.default_rng(size)
    values = rng.integers(-size, size + 1, 12)
    values[0] = size
    table = np.round(32 * math.sqrt(12) / np.sqrt(np.arange(256, 1024) + 0.5) * 2**13).astype(np.int64)
    got = both(RMSNorm("op", "in", "out", 12, shift=13), {"table": table, "eps": [1]}, {"in": values})["out"]
    want = 32 * values / math.sqrt(((values.astype(float) ** 2).sum() + 1) / 12)
    assert np.abs(got - np.clip(want, -127, 127)).max() < 0.8


@given(seed=RNG_SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_head_that_is_written_now_and_then_holds_what_it_may(seed: int) -> None:
    """Frame after frame from nothing, at the ends of all ranges: `run` is `ref`, and states stay in their range."""
    rng = np.random.default_rng(seed)
    case = CASES["ssm_chunked"](rng)
    assert isinstance(case.op, ChunkedSSM)
    shape, interval = case.op.chunk(case.net), case.op.bounds(case.net, case.intervals)[0]
    kept = np.zeros((1, shape.size), np.int64)
    for _ in range(3 * case.op.every + 1):
        values = case.values(rng, worlds=1) | {case.op.kept: kept}
        many = case.op.run(case.net, values)
        assert {name: value[0].tolist() for name, value in many.items()} == case.op.ref(case.net, one_world(values, 0))
        kept = many[case.op.kept]
        assert np.abs(kept[0, shape.parts["S"]]).max() <= STATE_MAX
        assert (interval.low <= many[case.op.out]).all() and (many[case.op.out] <= interval.high).all()
