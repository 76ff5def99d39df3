"""mamba2.py: the chunked recurrence is the obvious one, and streaming a game is seeing it whole."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from tests.factories import random_arrays, random_corpus, small_mamba2, small_model
from wm_train.config import Mamba2Config
from wm_train.shapes import D_CONV, array_shapes, parameter_count, scale_names

torch = pytest.importorskip("torch")

from wm_train.fit.batches import WindowTensors  # noqa: E402
from wm_train.nets.mamba2 import (  # noqa: E402
    NORM_EPS,
    SCAN_CHUNK,
    Mamba2,
    Memory,
    RMSNorm,
    causal_conv,
    scan,
    scan_ref,
    step,
)
from wm_train.nets.matmul import use_exact_matmul  # noqa: E402
from wm_train.nets.network import from_arrays, to_arrays  # noqa: E402

LANES, HEADS, WIDTH, CELLS = 3, 2, 5, 4
#: Float32, sums of some hundred terms of size 1.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
#: The same through two layers with norms, over thousands of frames.
NET_CLOSE = {"rtol": 1e-3, "atol": 1e-3}


@pytest.fixture(autouse=True)
def exact() -> None:
    """Another test may have left products in bfloat16."""
    use_exact_matmul()
    torch.manual_seed(0)


#: Called with all that `recurrence` gives.
LOOP: Any = scan_ref
SCAN: Any = scan


def recurrence(length: int) -> Any:
    """x, dt, A, B_, C, D_ and h of a random recurrence; dt * A from nearly nothing to whole lives."""
    A, D_ = -torch.rand(HEADS) * 15 - 0.1, torch.randn(HEADS)
    x, dt = torch.randn(LANES, length, HEADS, WIDTH), torch.rand(LANES, length, HEADS) ** 3
    B_, C = torch.randn(LANES, length, CELLS), torch.randn(LANES, length, CELLS)
    return [x, dt, A, B_, C, D_, torch.randn(LANES, HEADS, WIDTH, CELLS)]


def resets(kind: str, length: int) -> Any:
    """(LANES, length) bool."""
    reset = torch.zeros(LANES, length, dtype=torch.bool)
    if kind == "at frame 0":
        reset[0, 0] = True
    if kind == "at random":
        reset |= torch.rand(LANES, length) < 0.1
    if kind == "at the last frame":
        reset[1, -1] = True
    return reset


@pytest.mark.parametrize("kind", ["nowhere", "at frame 0", "at random", "at the last frame"])
@pytest.mark.parametrize("length", [1, 50, 131])
def test_scan_is_the_loop_is_the_steps(length: int, kind: str) -> None:
    """Chunks of one frame, of odd sizes that do not divide the length, and of more than all of it."""
    arguments, reset = recurrence(length), resets(kind, length)
    want, want_h = LOOP(*arguments, reset)
    x, dt, A, B_, C, D_, h = arguments
    for t in range(length):
        h = torch.where(reset[:, t, None, None, None], torch.zeros(()), h)
        y, h = step(x[:, t], dt[:, t], A, B_[:, t], C[:, t], D_, h)
        torch.testing.assert_close(y, want[:, t], rtol=0, atol=0)
    torch.testing.assert_close(h, want_h, rtol=0, atol=0)
    for chunk in (1, 7, 16, SCAN_CHUNK, length + 3):
        got, got_h = SCAN(*arguments, reset, chunk)
        torch.testing.assert_close(got, want, **CLOSE)
        torch.testing.assert_close(got_h, want_h, **CLOSE)


@pytest.mark.parametrize("large", [1e3, 1e6, 1e20])
@pytest.mark.parametrize("at", [0, 10, 19, 20, 40])
def test_a_frame_that_forgets_everything_costs_no_precision(at: int, large: float) -> None:
    """In float32, of frames behind it in the same game and of games behind it, as of all others."""
    arguments = recurrence(SCAN_CHUNK)
    arguments[1][:, at] = large
    reset = resets("none", SCAN_CHUNK)
    reset[:, 20] = True
    narrow = [part.float() for part in arguments]
    for got, want in zip(SCAN(*narrow, reset), LOOP(*arguments, reset), strict=True):
        assert (got - want).abs().max() < 2e-6 * want.abs().max()


def test_one_step_by_hand() -> None:
    one = torch.ones(1, 1)
    y, h = step(
        3 * one[None], 0.5 * one, torch.tensor([-2.0]), 5 * one, 7 * one, torch.tensor([11.0]), 13 * one[None, None]
    )
    state = 13 * np.exp(-1) + 0.5 * 3 * 5
    assert h.item() == pytest.approx(state) and y.item() == pytest.approx(7 * state + 33)


def test_gradients_of_scan_are_those_of_the_loop() -> None:
    reset, gradients = resets("at random", 23), list[Any]()
    arguments: Any = recurrence(23)
    functions: tuple[Any, ...] = (LOOP, partial(SCAN, chunk=7))
    for function in functions:
        leaves = [part.clone().requires_grad_() for part in arguments]
        y, h = function(*leaves, reset)
        (y.square().sum() + h.square().sum()).backward()
        gradients.append([leaf.grad for leaf in leaves])
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3)


def obvious_conv(x: Any, weight: Any, bias: Any, before: Any, reset: Any) -> tuple[Any, Any]:
    """A list of what each lane has seen of its game, emptied at resets; missing frames count as zeros."""
    out, last = torch.zeros_like(x), torch.zeros_like(before)
    for lane in range(len(x)):
        seen = list(before[lane])
        for t in range(x.shape[1]):
            seen = [*([torch.zeros(x.shape[2])] * (D_CONV - 1) if reset[lane, t] else seen), x[lane, t]][-D_CONV:]
            out[lane, t] = bias + sum(weight[:, k] * seen[k] for k in range(D_CONV))
            seen = seen[1:]
        last[lane] = torch.stack(seen)
    return out, last


@pytest.mark.parametrize("kind", ["nowhere", "at frame 0", "at random", "at the last frame"])
@pytest.mark.parametrize("length", [1, 2, 3, 40])
def test_the_convolution_sees_the_last_frames_of_its_game(length: int, kind: str) -> None:
    x, weight, bias = torch.randn(LANES, length, 6), torch.randn(6, D_CONV), torch.randn(6)
    before, reset = torch.randn(LANES, D_CONV - 1, 6), resets(kind, length)
    for got, want in zip(
        causal_conv(x, weight, bias, before, reset), obvious_conv(x, weight, bias, before, reset), strict=True
    ):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["nowhere", "at random"])
def test_gradients_that_are_written_out_are_those_of_small_steps(kind: str) -> None:
    def doubles(*shape: int) -> Any:
        return torch.randn(*shape, dtype=torch.float64, requires_grad=True)

    reset = resets(kind, 5)
    leaves = doubles(LANES, 5, 3), doubles(3, D_CONV), doubles(3), doubles(LANES, D_CONV - 1, 3)
    assert torch.autograd.gradcheck(lambda x, w, b, before: causal_conv(x, w, b, before, reset), leaves)
    norm = RMSNorm(3).double()
    assert torch.autograd.gradcheck(lambda x, weight: torch.func.functional_call(norm, {"weight": weight}, x),
                                    (doubles(2, 4, 3), doubles(3)))  # fmt: skip
    x = doubles(2, 4, 3)
    # What torch's own gives.
    expected = torch.nn.functional.rms_norm(x, (3,), norm.weight, NORM_EPS)
    torch.testing.assert_close(norm(x), expected)


# ------------------------------------------------------------------------------------------------------- the network


def network(config: Mamba2Config | None = None) -> Mamba2:
    config = config or small_mamba2()
    return from_arrays(Mamba2(config), random_arrays(config)).eval()


def frames(config: Mamba2Config, lanes: int, length: int) -> tuple[Any, Any, Any]:
    """dense, ids and session (lanes, length, ·) of games without sense."""
    corpus = random_corpus(1, [length] * lanes)
    tensors = WindowTensors(corpus, config.world.encoding, as_codes=False)
    batch = tensors.batch(torch.arange(lanes * length))
    return tuple(part.unflatten(0, (lanes, length)) for part in (batch.dense, batch.ids, batch.session))


def streamed(net: Mamba2, seen: tuple[Any, Any, Any], reset: Any, sizes: list[int]) -> tuple[Any, list[Memory]]:
    """Heads of all frames, in chunks of these sizes, over and over."""
    memory, out, start, turn = net.start(len(reset)), [], 0, 0
    while start < reset.shape[1]:
        part = slice(start, start + sizes[turn % len(sizes)])
        heads, memory = net(*(array[:, part] for array in seen), memory, reset[:, part])
        out.append(heads)
        start, turn = part.stop, turn + 1
    return torch.cat(out, 1), memory


@torch.no_grad()
def test_streaming_is_seeing_the_game_whole() -> None:
    """10,000 frames in one call, and in chunks of odd sizes with the memory handed on."""
    net = network()
    seen = frames(net.config, 1, 10_000)
    reset = torch.zeros(1, 10_000, dtype=torch.bool)
    reset[0, ::3001] = True
    want, want_memory = net(*seen, net.start(1), reset)
    assert want.std() > 0.1
    got, memory = streamed(net, seen, reset, [1, 64, 7, 300, 129])
    torch.testing.assert_close(got, want, **NET_CLOSE)
    for mine, theirs in zip(memory, want_memory, strict=True):
        torch.testing.assert_close(mine.conv, theirs.conv, **NET_CLOSE)
        torch.testing.assert_close(mine.h, theirs.h, **NET_CLOSE)


@torch.no_grad()
def test_dropout_acts_in_training_only_and_is_no_parameter() -> None:
    config = small_mamba2(dropout=0.5)
    net, seen = network(config), frames(config, 2, 9)
    reset = torch.zeros(2, 9, dtype=torch.bool)
    net.train()
    assert not torch.equal(net(*seen, net.start(2), reset)[0], net(*seen, net.start(2), reset)[0])
    net.eval()
    assert torch.equal(net(*seen, net.start(2), reset)[0], net(*seen, net.start(2), reset)[0])
    assert net.state_dict().keys() == network(small_mamba2()).state_dict().keys()


@torch.no_grad()
def test_what_was_long_ago_still_counts() -> None:
    """Else the test above would hold for a network without memory."""
    net = network()
    seen, other = frames(net.config, 1, 60), frames(net.config, 1, 60)
    other[0][:, :20] *= -1
    reset = torch.zeros(1, 60, dtype=torch.bool)
    (one, _), (two, _) = (net(*each, net.start(1), reset) for each in (seen, other))
    assert (one[:, -1] - two[:, -1]).abs().max() > 1e-3


@pytest.mark.parametrize("at", [0, 1, 17, 39])
@torch.no_grad()
def test_a_reset_hides_the_past_entirely(at: int) -> None:
    """Not almost: a past of millions leaves no trace."""
    net = network()
    seen = frames(net.config, 2, 40)
    reset = torch.zeros(2, 40, dtype=torch.bool)
    reset[0, at] = True
    wild = [Memory(memory.conv + 1e6, memory.h + 1e6) for memory in net.start(2)]
    heads, memory = net(*seen, wild, reset)
    alone, fresh = net(*(part[:1, at:] for part in seen), net.start(1), reset[:1, at:] & False)
    torch.testing.assert_close(heads[:1, at:], alone, **NET_CLOSE)
    for mine, own in zip(memory, fresh, strict=True):
        torch.testing.assert_close(mine.conv[:1], own.conv, **NET_CLOSE)
        torch.testing.assert_close(mine.h[:1], own.h, **NET_CLOSE)


@torch.no_grad()
def test_lanes_do_not_touch_each_other() -> None:
    net = network()
    seen = frames(net.config, 3, 30)
    reset = resets("at random", 30)
    heads, _ = net(*seen, net.start(3), reset)
    for lane in range(3):
        one = slice(lane, lane + 1)
        alone, _ = net(*(part[one] for part in seen), net.start(1), reset[one])
        torch.testing.assert_close(heads[one], alone, **NET_CLOSE)


@torch.no_grad()
def test_the_next_inputs_enter_before_the_state() -> None:
    """What a player presses for the frame to come is remembered, not only answered."""
    net = network()
    dense, ids, session = frames(net.config, 1, 5)
    pressed = dense.clone()
    pressed[:, 0, -1] += 1
    reset = torch.zeros(1, 1, dtype=torch.bool)
    first = slice(0, 1)
    (_, one), (_, two) = (
        net(d[:, first], ids[:, first], session[:, first], net.start(1), reset) for d in (dense, pressed)
    )
    assert (one[0].h != two[0].h).any() and (one[1].h != two[1].h).any()


# ------------------------------------------------------------------------------------------------------------- sizes


@pytest.mark.parametrize("encoding", ["v1", "v2", "v2.1", "v2.2"])
@pytest.mark.parametrize("sizes", [{}, {"expand": 3, "headdim": 9, "d_state": 7, "n_layers": 1}], ids=str)
def test_shapes_are_the_modules(encoding: str, sizes: dict[str, int]) -> None:
    config = small_mamba2(encoding=encoding, **sizes)
    shapes = {name: value.shape for name, value in to_arrays(Mamba2(config)).items()}
    assert shapes == array_shapes(config)
    assert sum(p.numel() for p in Mamba2(config).parameters()) == parameter_count(config)


@pytest.mark.parametrize(
    ("heads", "blocks", "whole"), [("published", 3_776_656, 4_190_726), ("integrated", 3_776_656, 4_280_816)]
)
def test_parameters_of_the_published_size_are_pinned(heads: str, blocks: int, whole: int) -> None:
    """d_model 384, 4 layers: the four blocks are alike whatever stands around them; input and heads are ours."""
    config = Mamba2Config(heads=heads, d_model=384, d_state=64, headdim=64, n_layers=4)
    d, inner, cells, count = 384, 768, 64, 12
    block = d + d * (2 * inner + 2 * cells + count) + 5 * (inner + 2 * cells) + 3 * count + inner + inner * d
    assert 4 * block == blocks and parameter_count(config) == whole


def test_every_scale_is_seen_once() -> None:
    """What the network shows of its inside is what its integer form needs a unit for."""
    config = small_mamba2()
    net, seen = network(config), dict[str, Any]()
    net(*frames(config, 2, 9), net.start(2), torch.zeros(2, 9, dtype=torch.bool), seen)
    assert sorted(seen) == sorted(scale_names(config))
    assert seen["residual"].shape == (3, 2, 9, 24) and seen["blocks.1.B"].shape == (2, 9, 5)


def test_an_untrained_network_keeps_its_velocities() -> None:
    net = Mamba2(small_mamba2())
    heads, _ = net(*frames(net.config, 1, 4), net.start(1), torch.zeros(1, 4, dtype=torch.bool))
    still = [net.world.span(p, h.name) for p in range(2) for h in net.world.heads if h.kind == "value"]
    assert all((heads[..., rows] == 0).all() for rows in still) and (heads != 0).any()


def test_the_same_seed_starts_the_same_network() -> None:
    one, two = (to_arrays((torch.manual_seed(3), Mamba2(small_mamba2()))[1]) for _ in range(2))
    assert all((one[name] == two[name]).all() for name in one)
    bias = torch.from_numpy(one["blocks.0.dt_bias"])
    assert ((torch.nn.functional.softplus(bias) > 0.0009) & (torch.nn.functional.softplus(bias) < 0.11)).all()


def test_a_window_network_has_no_blocks() -> None:
    assert not any("blocks" in name for name in array_shapes(small_model()))
