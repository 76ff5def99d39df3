"""integer_mamba2.py: tables that are what they stand for, and a state that no sequence of inputs drives out."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.factories import random_arrays, random_checkpoint, small_mamba2
from wm_quant.convert import from_checkpoint
from wm_quant.ops.ssm import SSM
from wm_train.grid.arithmetic import CODE_MAX
from wm_train.grid.integer_mamba2 import (
    CODE_ENDS,
    DECAY_BITS,
    DT_CODES,
    FINE_CODES,
    FINE_MAX,
    GAIN_BITS,
    NORM_MANTISSAS,
    NORM_UNIT,
    STATE_MAX,
    Y_MULT_BITS,
    IntegerBlock,
    IntegerMamba2,
    integer_mamba2,
    norm_codes,
    silu,
)

ONE = 1 << DECAY_BITS
#: Heads from one that forgets at once to one that remembers for tens of thousands of frames.
EXTREMES = {"A_log": (-9.0, 4.0), "dt_bias": (-9.0, 6.0)}


def checkpoint(seed: int = 0, wild: bool = False, **more: Any) -> Any:
    made = random_checkpoint(small_mamba2(d_model=32, headdim=8, **more), seed)
    rng = np.random.default_rng(seed)
    for name in made.arrays if wild else ():
        for ending, ends in EXTREMES.items():
            if name.endswith(ending):
                made.arrays[name][:] = rng.uniform(*ends, made.arrays[name].shape)
    return made


def integers(made: Any) -> IntegerMamba2:
    return integer_mamba2(made.config.model, made.arrays, made.scales)


def blocks(seed: int = 0, wild: bool = False) -> tuple[IntegerBlock, ...]:
    return integers(checkpoint(seed, wild)).blocks


# --------------------------------------------------------------------------------------------------------- the state


def worst(block: IntegerBlock) -> tuple[float, float]:
    """The largest |x| and |B_| that their tables let through."""
    return float(np.abs(block.silu[0]).max()), float(np.abs(block.silu[1]).max())


def written(block: IntegerBlock, x: float) -> Any:
    """(H, 256) what one x adds to the cells, per code of B_, for each entry of each head's table."""
    return np.floor(x * block.gain / 2**GAIN_BITS + 0.5)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("seed", range(4))
def test_no_constant_input_drives_the_state_out_of_its_range(seed: int, sign: int) -> None:
    """The worst x and B_ for ever, for each entry of each head's tables: the state stands still inside its range, and
    near its end for the entry that is worst."""
    for block in blocks(seed, wild=True):
        x, B_ = worst(block)
        h = np.zeros_like(block.decay)
        for _ in range(5000):
            h = np.floor((h * block.decay + written(block, sign * x) * B_ + ONE / 2) / ONE)
            assert np.abs(h).max() <= STATE_MAX
        # From the end of the range as well, where rounding could carry it over.
        for start in (STATE_MAX, -STATE_MAX):
            after = np.floor((start * block.decay + written(block, np.sign(start) * x) * B_ + ONE / 2) / ONE)
            assert np.abs(after).max() <= STATE_MAX
        assert ((STATE_MAX * block.decay + written(block, x) * B_).max(1) > 0.99 * STATE_MAX * ONE).all()


@pytest.mark.parametrize("seed", range(3))
def test_no_sequence_of_inputs_does_either(seed: int) -> None:
    """Whatever the step sizes do: always the entry that takes |h| furthest, and at random, through the interpreter."""
    made = checkpoint(seed, wild=True)
    net, ints = from_checkpoint(made, ""), integers(made)
    op = next(op for op in net.ops if isinstance(op, SSM))
    x, B_ = worst(ints.blocks[0])
    rng = np.random.default_rng(seed)
    h, heads = np.zeros((2, op.size * op.cells(net)), np.int64), len(ints.blocks[0].skip)
    xBC = np.concatenate([np.full(op.size, x), np.full(2 * op.cells(net), B_)]).astype(np.int64)
    for _ in range(2000):
        before = h.reshape(2, heads, -1)[0, :, 0]
        ahead = before[:, None] * ints.blocks[0].decay + written(ints.blocks[0], x) * B_
        dt = np.stack([ahead.argmax(1) - CODE_MAX - 1, rng.integers(-CODE_MAX, CODE_MAX + 1, heads)])
        signs = np.stack([np.ones(len(xBC)), rng.choice([1, 1, 1, -1], len(xBC))]).astype(np.int64)
        after = op.run(net, {op.source: xBC * signs, op.by: dt, op.kept: h})
        y, h = after[op.out], after[op.kept]
        assert np.abs(h).max() <= STATE_MAX and np.abs(y).max() < 2**31
    assert np.abs(h).max() > STATE_MAX / 2


@pytest.mark.parametrize("wild", [False, True])
def test_decay_falls_and_gain_rises_with_the_step(wild: bool) -> None:
    for block in blocks(1, wild):
        assert (np.diff(block.decay, axis=1) <= 0).all() and (np.diff(block.gain, axis=1) >= 0).all()
        assert block.decay.min() >= 0 and block.decay.max() <= ONE - 1 and block.gain.min() >= 0
        assert (block.decay == np.floor(block.decay)).all() and (block.gain == np.floor(block.gain)).all()


def test_tables_are_what_they_stand_for() -> None:
    made = checkpoint(2)
    for i, block in enumerate(integers(made).blocks):
        name = f"blocks.{i}"
        unit = {key.rpartition(".")[2]: value for key, value in made.scales.items() if key.startswith(name)}
        dt = np.logaddexp(0, DT_CODES * unit["dt"] + made.arrays[f"{name}.dt_bias"].astype(np.float64)[:, None])
        A = -np.exp(made.arrays[f"{name}.A_log"].astype(np.float64))
        assert np.abs(block.decay / ONE - np.exp(dt * A[:, None])).max() < 1 / ONE
        real = dt * unit["x"] * unit["B"] / block.h_unit[:, None]
        assert np.abs(block.gain / ONE / 2**GAIN_BITS - real).max() <= 0.5 / ONE / 2**GAIN_BITS * (1 + 1e-6)
        assert np.abs(block.skip * block.y_unit - made.arrays[f"{name}.D"] * unit["x"]).max() <= block.y_unit.max()
        assert np.abs(block.y_mult / 2.0**block.y_shift * unit["y"] / np.repeat(block.y_unit, 8) - 1).max() < 1e-5
        assert block.y_mult.max() < 1 << Y_MULT_BITS
        for table, letter in zip(block.silu, "xBC", strict=True):
            most = CODE_ENDS[letter]
            assert most == (CODE_MAX if letter == "C" else FINE_MAX)
            wanted = np.clip(silu(FINE_CODES * unit[f"{letter}_pre"]) / unit[letter], -most, most)
            assert np.abs(table - wanted).max() <= 0.5
        assert (np.diff(block.gate[FINE_MAX + 13 :]) >= 0).all()


# -------------------------------------------------------------------------------------------------------------- norms


MADE = checkpoint(3)
NET = from_checkpoint(MADE, "")
NORM = integers(MADE).norm


def normed(values: Any) -> Any:
    op = next(op for op in NET.ops if op.name == "norm")
    return op.run(NET, {op.source: values})[op.out]


@pytest.mark.parametrize("size", [1, 3, 60, 1_000, 32_767])
def test_a_norm_is_the_real_one_at_every_size_of_its_input(size: int) -> None:
    """Within 0.2 %, half a mantissa of 256, and half a code."""
    rng = np.random.default_rng(size)
    values = rng.integers(-size, size + 1, (50, 32))
    real = values * MADE.scales["residual"]
    want = real / np.sqrt((real**2).mean(1, keepdims=True) + 1e-5) / NORM_UNIT
    got = normed(values)
    assert (np.abs(got - want) <= 0.5 + 0.002 * np.abs(want)).all()


@given(st.lists(st.integers(-32767, 32767), min_size=32, max_size=32), st.integers(0, 14))
@example([32767] + [0] * 31, 0)
@example([1] * 32, 0)
def test_codes_of_a_norm_lie_in_a_ball(values: list[int], down: int) -> None:
    codes = norm_codes(NORM.table, NORM.shift, 32)
    got = normed(np.array([values]) >> down)
    assert np.abs(got).max() <= codes.high and np.square(got).sum() <= codes.energy


def test_one_value_alone_reaches_the_edge_of_the_ball() -> None:
    codes = norm_codes(NORM.table, NORM.shift, 32)
    alone = normed(np.eye(32, dtype=np.int64)[:1] * 20_000)
    assert 0.995 * codes.high < alone.max() <= codes.high and codes.low == -codes.high
    assert codes.high == pytest.approx(np.sqrt(32) / NORM_UNIT, rel=0.005)


def test_nothing_in_nothing_out() -> None:
    assert not normed(np.zeros((2, 32), np.int64)).any()


def test_a_norms_table_falls_and_spans_one_power_of_four() -> None:
    assert len(NORM.table) == NORM_MANTISSAS[1] - NORM_MANTISSAS[0] and (np.diff(NORM.table) < 0).all()
    assert NORM.table[0] / NORM.table[-1] == pytest.approx(2, rel=0.01) and NORM.eps >= 1
    assert 1 << 15 <= NORM.table[0] < 1 << 16


# ------------------------------------------------------------------------------------------------------------- layers


def test_norms_gains_lie_in_the_layer_behind() -> None:
    """Twice the gain and half the weight are the same integers."""
    made = checkpoint(4)
    want = integers(made)
    for name, layer in (("norm", "in_proj"), ("gated_norm", "out_proj")):
        made.arrays[f"blocks.0.{name}.weight"][:] *= 2
        made.arrays[f"blocks.0.{layer}.weight"][:] /= 2
    made.arrays["norm.weight"][:] *= 4
    made.arrays["heads.weight"][:] /= 4
    got = integers(made)
    assert (got.heads.rows == want.heads.rows).all() and (got.heads.mult == want.heads.mult).all()
    for layer in ("in_proj", "out_proj"):
        one, two = getattr(got.blocks[0], layer), getattr(want.blocks[0], layer)
        assert (one.rows == two.rows).all() and (one.mult == two.mult).all() and one.shift == two.shift


def test_rows_are_close_to_their_weights_in_8_and_in_4_bits() -> None:
    wide, narrow = (integers(checkpoint(5, bits=bits)).blocks[0].in_proj for bits in ({}, {"blocks.0.in_proj": 4}))
    arrays = random_arrays(small_mamba2(d_model=32, headdim=8), 5)
    weight = arrays["blocks.0.in_proj.weight"] * arrays["blocks.0.norm.weight"]
    # INT8: half a step. INT4 rows clip what is beyond 7 of 8.75 steps.
    for layer, most, share in ((wide, 127, 0.51 / 127), (narrow, 7, 1.75 / 8.75)):
        assert np.abs(layer.rows).max() == most
        error = np.abs(layer.rows * layer.scale[:, None] / NORM_UNIT - weight).max(1)
        assert (error <= 1.001 * share * np.abs(weight).max(1)).all()
