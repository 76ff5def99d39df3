"""The network through the grid: exact values forward, the float network's gradients back."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from wm_train.config import MLPConfig
from wm_train.errors import WmTrainError
from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.nets.door import prepared
from wm_train.nets.matmul import use_exact_matmul, use_fast_matmul
from wm_train.nets.mlp import FrameStackMLP
from wm_train.nets.observers import least_squares
from wm_train.nets.qat import QuantizedMLP, calibrate
from wm_train.world.encoding import Encoding

CONFIG = MLPConfig(slots=2, hidden=(64, 32))
Inputs = tuple[Tensor, Tensor, Tensor]


@pytest.fixture(autouse=True)
def exact_matmul() -> Iterator[None]:
    threads = torch.get_num_threads()
    use_exact_matmul()
    yield
    use_exact_matmul()
    torch.set_num_threads(threads)


def random_inputs(encoding: Encoding, batch: int = 48, low: int = -128, high: int = 128) -> Inputs:
    """Codes, ids and session ids over their whole ranges."""
    seed = torch.Generator().manual_seed(1)

    def numbers(fields: list[int]) -> Tensor:
        return (torch.rand(batch, len(fields), generator=seed) * torch.tensor(fields)).long()

    codes = torch.randint(low, high, (batch, encoding.dense_columns), generator=seed).float()
    ids = numbers([f.vocab for _, _, f in encoding.id_fields()])
    return codes, ids, numbers([f.vocab for _, f in encoding.session_fields()])


def random_net(config: MLPConfig = CONFIG, seed: int = 0) -> FrameStackMLP:
    """A float network whose value heads have left their rest."""
    torch.manual_seed(seed)
    net = FrameStackMLP(config)
    with torch.no_grad():
        for name, value in net.named_parameters():
            if name.startswith("heads"):
                value.normal_(0, 0.1)
    return net


def quantized(net: FrameStackMLP, inputs: Inputs, config: MLPConfig = CONFIG) -> QuantizedMLP:
    model = prepared(net, config, {"hidden1": 1.0, "hidden2": 1.0})
    assert isinstance(model, QuantizedMLP)
    model.hidden_scales = calibrate(net, inputs[0] * model.worth, *inputs[1:], least_squares)
    return model


def gradients(net: FrameStackMLP, loss: Tensor) -> dict[str, Tensor]:
    net.zero_grad()
    loss.backward()
    return {name: value.grad.clone() for name, value in net.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("bits", [{}, {"layer1": 16, "layer2": 4, "heads": 16}, {"layer2": 16}], ids=str)
@pytest.mark.parametrize("encoding", ["v1", "v2.1", "v2.2"])
@pytest.mark.parametrize("fast", [False, True])
def test_a_training_step_computes_the_exact_heads(encoding: str, fast: bool, bits: dict[str, int]) -> None:
    heads = "published" if encoding == "v1" else "integrated"
    config = MLPConfig(encoding=encoding, slots=2, heads=heads, hidden=(64, 32), bits=bits)
    net = random_net(config)
    inputs = random_inputs(net.world.encoding)
    model = quantized(net, inputs, config)
    if fast:
        use_fast_matmul(1)
    trained = model.train()(*inputs)
    use_exact_matmul()
    frozen = QuantizedMLP(net, model.hidden_scales).freeze().heads(*inputs)
    assert torch.equal(trained.double() * (1 << FRAC_BITS), frozen)
    assert frozen.unique().numel() > 1000


def test_the_integers_follow_the_parameters_unless_frozen() -> None:
    net = random_net()
    inputs = random_inputs(net.world.encoding)
    model, frozen = quantized(net, inputs), quantized(net, inputs).freeze()
    before = model(*inputs), frozen(*inputs)
    with torch.no_grad():
        net.layer1.weight.mul_(1.5)
    assert not torch.equal(model(*inputs), before[0])
    assert torch.equal(frozen(*inputs), before[1])


def test_gradients_are_those_of_the_layers_at_the_integers() -> None:
    """Autograd over the float layers, with each value put in place by hand, gives the same gradients."""
    net = random_net()
    inputs = random_inputs(net.world.encoding)
    model = quantized(net, inputs)
    model.hidden_scales = (0.5 * model.hidden_scales[0], 0.5 * model.hidden_scales[1])  # so that codes saturate too
    ints, (codes, ids, session) = model.freeze()._frozen, inputs
    assert ints is not None
    out = model(*inputs)
    weights = torch.linspace(-1, 1, out.numel()).view_as(out)
    got = gradients(net, (out * weights).sum())

    acc = ints.entry.accumulate(codes, ids + model.id_starts, session + model.session_starts)
    proxy = net.layer1(net.inputs(codes * model.worth, ids, session))
    for layer, following, linear, unit in ((ints.entry.layer1, ints.layer2, net.layer2, model.hidden_scales[0]),
                                           (ints.layer2, ints.heads, net.heads, model.hidden_scales[1])):  # fmt: skip
        scaled = layer.requantize(acc).float()
        open_ = (acc > 0) & (scaled <= 127)
        assert 0.1 < open_.float().mean() < 0.9
        assert (scaled > 127).any()
        code = scaled.clamp(0, 127)
        acc = following.accumulate(code)
        gated = proxy * open_
        proxy = linear(gated + (code * unit - gated).detach())
    want = gradients(net, (proxy * weights).sum())
    assert set(got) == set(want) == set(dict(net.named_parameters()))
    for name in want:
        torch.testing.assert_close(got[name], want[name], rtol=1e-4, atol=1e-5 * float(want[name].abs().max()))


@torch.no_grad()
def net_on_the_grid() -> tuple[FrameStackMLP, tuple[float, float]]:
    """A network that quantization leaves as it is: weights are small multiples of each row's scale, one unused 127 pins
    that scale, and accumulators are codes already."""
    net, seed = FrameStackMLP(CONFIG), np.random.default_rng(3)
    encoding, unit = CONFIG.world.encoding, 2.0**-6
    for value in net.parameters():
        value.zero_()
    places = list(encoding.dense_fields())
    columns = torch.tensor([encoding.offset(*place) for place in places])
    net.gain.copy_(torch.tensor([0.25 / (f.scale * f.step) for _, _, f in places]))

    def small(*shape: int) -> Tensor:
        return torch.from_numpy(seed.choice([-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], shape)).float()

    # Zero must be zero in float32 too, or a ReLU would open by rounding: only columns whose worth is a quarter exactly.
    worth = torch.tensor([f.scale * f.step for _, _, f in places])
    exact = worth * net.gain == 0.25
    assert exact[0]
    assert exact.float().mean() > 0.7

    net.layer1.weight.copy_(small(*net.layer1.weight.shape) * unit)
    net.layer1.weight[:, columns] = small(len(net.layer1.weight), len(columns)) * unit * 4 * exact
    net.layer1.weight[:, columns[0]] = 127 * unit * 4
    net.layer1.bias.copy_(small(len(net.layer1.bias)) * unit * 3)
    for name, value in net.named_parameters():
        if name.startswith("embeddings"):
            value.copy_(small(*value.shape))
    for layer in (net.layer2, net.heads):
        layer.weight.copy_(small(*layer.weight.shape) * unit)
        layer.weight[:, 0] = 127 * unit
        layer.bias.copy_(small(len(layer.bias)) * unit)
    # Column 0 of the codes is zero; hidden unit 0 never fires.
    for layer in (net.layer1, net.layer2):
        layer.weight[0] = 0.0
        layer.bias[0] = -1.0
    return net, (unit, unit * unit)


def test_on_the_grid_values_and_gradients_are_the_float_networks() -> None:
    net, scales = net_on_the_grid()
    codes, ids, session = random_inputs(net.world.encoding, low=-1, high=2)
    codes[:, 0] = 0
    model = QuantizedMLP(net, scales)
    through, plain = model(codes, ids, session), net(codes * model.worth, ids, session)
    assert float(torch.relu(net.layer1(net.inputs(codes * model.worth, ids, session))).max().detach()) < 127 * scales[0]
    # Heads are written with FRAC_BITS fractional bits; unit^3 is finer than that.
    torch.testing.assert_close(through, plain, rtol=0, atol=0.51 * 2.0**-FRAC_BITS)
    weights = torch.linspace(-1, 1, plain.numel()).view_as(plain)
    got, want = gradients(net, (through * weights).sum()), gradients(net, (plain * weights).sum())
    for name in want:
        torch.testing.assert_close(got[name], want[name], rtol=1e-4, atol=1e-5 * float(want[name].abs().max()))
    assert all(float(want[name].abs().max()) > 0 for name in want)


def test_training_through_the_grid_learns_and_repeats_to_the_bit() -> None:
    def run() -> tuple[list[float], dict[str, Tensor]]:
        net = random_net()
        inputs = random_inputs(net.world.encoding)
        model = quantized(net, inputs).train()
        target = torch.randn(len(inputs[0]), net.world.outputs, generator=torch.Generator().manual_seed(2))
        optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
        losses = []
        for _ in range(25):
            loss = (model(*inputs) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses, net.state_dict()

    (losses, first), (again, second) = run(), run()
    assert np.isfinite(losses).all()
    assert losses[-1] < 0.9 * losses[0]
    assert losses == again
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_calibrate_refuses_a_silent_layer() -> None:
    net = random_net()
    inputs = random_inputs(net.world.encoding)
    with torch.no_grad():
        net.layer2.weight.zero_()
        net.layer2.bias.fill_(-1)
    with pytest.raises(
        WmTrainError, match=r"^calibration: hidden2 is 0 on every .*; train anew with a lower train\.lea"
    ):
        calibrate(net, *inputs, least_squares)
