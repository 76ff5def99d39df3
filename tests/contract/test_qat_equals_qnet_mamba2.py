"""The same of a network with a memory: frames of whole games, worlds that run by themselves, and the training pass."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.factories import random_checkpoint, random_corpus, small_mamba2
from wm_quant.convert import from_checkpoint
from wm_quant.interp import Interpreter
from wm_quant.ops.gate import Gate
from wm_quant.prove import prove
from wm_quant.qnet import validate
from wm_train.checkpoint import Checkpoint
from wm_train.config import Mamba2Config
from wm_train.fit.batches import WindowTensors
from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.grid.integer_mamba2 import CODE_ENDS, FINE_MAX, WIDE_MAX
from wm_train.measure.recurrent import Recurrent, Stretch
from wm_train.measure.worlds import begin, forced, rollout
from wm_train.nets.chunked_scan import chunk_of
from wm_train.nets.door import converted, prepared
from wm_train.nets.mamba2 import Mamba2
from wm_train.nets.matmul import use_exact_matmul
from wm_train.nets.network import from_arrays
from wm_train.nets.observers import least_squares
from wm_train.nets.predict import TorchMamba2
from wm_train.nets.qat_mamba2 import QuantizedMamba2, calibrate, gated

MODELS = {
    "small": small_mamba2(heads="lawful_grouped"),
    "odd sizes": small_mamba2(d_model=21, d_state=7, headdim=9, expand=3, n_layers=3),
    "one head, one cell": small_mamba2(d_model=16, d_state=1, headdim=32, n_layers=1),
    "a head for each channel": small_mamba2(d_model=12, headdim=1, n_layers=1),
    "4 bits": small_mamba2(bits={"layer1": 4, "blocks.0.in_proj": 4, "blocks.1.out_proj": 4}),
    "16 bits": small_mamba2(d_model=132, n_layers=1, bits=dict.fromkeys(("layer1", "blocks.0.in_proj", "heads"), 16)),
    "5 and 10 bits": small_mamba2(
        d_model=132, bits={"layer1": 10, "blocks.0.in_proj": 5, "blocks.1.out_proj": 5, "heads": 10}
    ),
    "v1 published": small_mamba2(encoding="v1", heads="published", n_layers=1),
    "heads in turn": small_mamba2(write_every=4),
    "two heads in turn": small_mamba2(write_every=2, d_state=6, bits={"heads": 16}),
    "in turn and in groups": small_mamba2(write_every=4, heads="lawful_grouped", bits={"layer1": 16, "heads": 16}),
    "wide": Mamba2Config(d_model=96, d_state=16, headdim=32, n_layers=2),
}
#: Games long enough for a memory to matter; one that ends at once.
CORPUS = random_corpus(5, (70, 2, 45))


def pair(checkpoint: Checkpoint) -> tuple[TorchMamba2, Recurrent]:
    """The QAT run and its QNet, as evaluation steps them."""
    use_exact_matmul()
    model = checkpoint.config.model
    assert isinstance(model, Mamba2Config)
    net = from_arrays(Mamba2(model), checkpoint.arrays)
    qnet = from_checkpoint(checkpoint, "")
    validate(qnet)
    prove(qnet)
    stepped = Interpreter(qnet).model()
    assert isinstance(stepped, Recurrent)
    through = converted(quantized_of(net, checkpoint))
    assert isinstance(through, QuantizedMamba2)
    return TorchMamba2(net, through), stepped


def quantized_of(net: Mamba2, checkpoint: Checkpoint) -> QuantizedMamba2:
    through = prepared(net, checkpoint.config.model, checkpoint.scales)
    assert isinstance(through, QuantizedMamba2)
    return through


@pytest.mark.parametrize("name", MODELS)
def test_forced_frames_are_equal(name: str) -> None:
    torch_net, qnet = pair(random_checkpoint(MODELS[name], seed=2))
    encoding = MODELS[name].world.encoding
    t = CORPUS.windows(encoding)
    seen = 0
    for (t1, one), (t2, two) in zip(*(forced(net, CORPUS, encoding, t) for net in (torch_net, qnet)), strict=True):
        assert (t1 == t2).all() and np.array_equal(one, two)
        seen += len(t1)
    assert seen == len(t)


@pytest.mark.parametrize("name", MODELS)
def test_heads_are_equal(name: str) -> None:
    """To the last bit, of which a Frame does not show all."""
    nets, encoding = pair(random_checkpoint(MODELS[name], seed=2)), MODELS[name].world.encoding
    at = np.array([[0], [20], [75]]) + np.arange(12)
    session = CORPUS.session(encoding, at[:, 0])
    stretch = Stretch(CORPUS.frames[at], CORPUS.inputs[at], CORPUS.inputs[at + 1], session)
    one, two = (net.run(net.start(len(at)), stretch)[0] for net in nets)
    assert np.array_equal(one, two) and len(np.unique(one)) > 1000


def test_gated_values_are_equal_to_the_last_bit() -> None:
    """Over the whole ranges: of a bit of v, norms and heads show next to nothing."""
    net = from_checkpoint(random_checkpoint(MODELS["small"]), "")
    op = next(op for op in net.ops if isinstance(op, Gate))
    rng = np.random.default_rng(0)
    shape = (64, op.size)
    y, gate = rng.integers(-WIDE_MAX, WIDE_MAX + 1, shape), rng.integers(-FINE_MAX, FINE_MAX + 1, shape)
    got = gated(*(torch.from_numpy(part).float() for part in (y, gate)))
    assert np.array_equal(got.numpy(), op.run(net, {op.source: y, op.by: gate})[op.out])


@pytest.mark.parametrize("name", ["small", "odd sizes", "4 bits", "5 and 10 bits", "16 bits", "heads in turn"])
def test_rollouts_are_equal_and_so_is_what_is_remembered(name: str) -> None:
    nets = pair(random_checkpoint(MODELS[name], seed=3))
    encoding, t = MODELS[name].world.encoding, np.array([3, 17, 75])
    one, two = (rollout(net, CORPUS, encoding, t, 8) for net in nets)
    assert np.array_equal(one, two) and (one[:, -1] != one[:, 0]).any()
    running: Any = [begin(net, CORPUS, encoding, t) for net in nets]
    kept = [worlds.memory for worlds in running]
    for i, block in enumerate(nets[0].quantized._frozen.blocks):  # type: ignore[union-attr]
        assert np.array_equal(_whole(MODELS[name], kept[0][f"{i}.h"], block.h_unit), kept[1][f"blocks.{i}.ssm"])
        assert np.array_equal(kept[0][f"{i}.conv"].reshape(3, -1), kept[1][f"blocks.{i}.conv"])
        assert kept[1][f"blocks.{i}.ssm"].any()


def _whole(model: Mamba2Config, kept: Any, h_unit: Any) -> Any:
    """(B, length) the integers of what QAT keeps of a recurrence, whose states and gains are real numbers."""
    if not (chunk := chunk_of(model)):
        return np.round(kept / h_unit[:, None, None]).reshape(len(kept), -1)
    per_head = (np.repeat(h_unit, np.prod(shape[1:])) for shape in (chunk.shapes["G"], chunk.shapes["S"]))
    unit = np.ones(chunk.size)
    unit[chunk.parts["G"]], unit[chunk.parts["S"]] = per_head
    return np.round(kept / unit)


@pytest.mark.parametrize("name", ["small", "odd sizes", "4 bits", "5 and 10 bits", "16 bits", "heads in turn"])
def test_the_training_pass_is_the_evaluation_pass(name: str) -> None:
    """In one call, or frame by frame, where whose game begins remembers nothing; and before the integers are frozen."""
    use_exact_matmul()
    model, lanes, length = MODELS[name], 3, 30
    checkpoint = random_checkpoint(model, seed=4)
    quantized = quantized_of(from_arrays(Mamba2(model), checkpoint.arrays), checkpoint).train()
    tensors = WindowTensors(random_corpus(6, [length] * lanes), model.world.encoding, as_codes=True)
    batch = tensors.batch(torch.arange(lanes * length))
    codes, ids, session = (part.unflatten(0, (lanes, length)) for part in (batch.dense, batch.ids, batch.session))
    reset = torch.rand(lanes, length, generator=torch.Generator().manual_seed(1)) < 0.1
    trained, after = quantized(codes, ids, session, quantized.start(lanes), reset)
    heads, exact = quantized.eval().freeze().heads(codes, ids, session, quantized.start(lanes), reset)
    assert torch.equal(trained.double() * (1 << FRAC_BITS), heads) and len(heads.unique()) > 1000
    memory = quantized.start(lanes)
    for t in range(length):
        at, begun = slice(t, t + 1), reset[:, t]
        for part in (part for layer in memory for part in layer):
            part[begun] = 0
        none = torch.zeros(lanes, 1, dtype=torch.bool)
        one, memory = quantized.heads(codes[:, at], ids[:, at], session[:, at], memory, none)
        assert torch.equal(one[:, 0], heads[:, t])
    for mine, theirs, frame_by_frame in zip(after, exact, memory, strict=True):
        assert torch.equal(mine.h, theirs.h) and torch.equal(mine.h, frame_by_frame.h) and mine.h.any()
        assert torch.equal(mine.conv, frame_by_frame.conv)


def test_every_activation_uses_the_codes_that_it_has() -> None:
    """A unit is that of the largest value seen, or up to seven times finer, where that squares less."""
    net, tensors = Mamba2(MODELS["small"]), WindowTensors(CORPUS, MODELS["small"].world.encoding, as_codes=False)
    batch, shape = tensors.batch(torch.arange(40)), (1, 40)
    dense, ids, session = (part.unflatten(0, shape) for part in (batch.dense, batch.ids, batch.session))
    reset = torch.zeros(shape, dtype=torch.bool)
    found: dict[str, torch.Tensor] = {}
    net(dense, ids, session, net.start(1), reset, found)
    for name, unit in calibrate(net, dense, ids, session, reset, least_squares).items():
        most = CODE_ENDS.get(name.rpartition(".")[2], WIDE_MAX / 2)
        assert 0.14 < unit * most / float(found[name].detach().abs().max()) < 1.001, name


def gradients(net: Mamba2, heads: torch.Tensor) -> dict[str, torch.Tensor]:
    net.zero_grad()
    heads.square().mean().backward()
    return {name: p.grad.flatten().clone() for name, p in net.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("model_name", ["small", "odd sizes", "wide"])
def test_gradients_through_the_grid_point_where_the_float_networks_do(model_name: str) -> None:
    """Calibrated on the same frames: cosines above 0.98, and lengths alike. Heads step as far as after some training:
    with the steps of the start hardly any gradient comes through the state."""
    use_exact_matmul()
    torch.manual_seed(0)
    model, lanes, length = MODELS[model_name], 4, 40
    net = Mamba2(model)
    with torch.no_grad():
        net.heads.weight.normal_(0, 0.1)
        for name, parameter in net.named_parameters():
            if name.endswith((".dt_bias", ".A_log")):
                parameter.uniform_(-2, 1)
    tensors = WindowTensors(random_corpus(7, [length] * lanes), model.world.encoding, as_codes=True)
    batch = tensors.batch(torch.arange(lanes * length))
    codes, ids, session = (part.unflatten(0, (lanes, length)) for part in (batch.dense, batch.ids, batch.session))
    reset = torch.zeros(lanes, length, dtype=torch.bool)
    reset[1, 13] = True
    dense = codes * QuantizedMamba2(net, {}).worth
    scales = calibrate(net, dense, ids, session, reset, least_squares)
    floating = gradients(net, net(dense, ids, session, net.start(lanes), reset)[0])
    quantized = QuantizedMamba2(net, scales)
    through = gradients(net, quantized(codes, ids, session, quantized.start(lanes), reset)[0])
    assert floating.keys() == through.keys() == dict(net.named_parameters()).keys()
    for key, want in floating.items():
        got = through[key]
        assert torch.nn.functional.cosine_similarity(got, want, dim=0) > 0.98, key
        assert 0.8 < got.norm() / want.norm() < 1.25, key


def test_the_memory_takes_part() -> None:
    """Heads of a frame differ with and without the game before it, or the tests above would say little."""
    _, qnet = pair(random_checkpoint(MODELS["small"]))
    encoding = MODELS["small"].world.encoding
    both: Any = [begin(qnet, CORPUS, encoding, np.array([40])) for _ in range(2)]
    with_past, without = both
    without.memory = qnet.start(1)
    assert (with_past.step(CORPUS.inputs[[41]]) != without.step(CORPUS.inputs[[41]])).any()
