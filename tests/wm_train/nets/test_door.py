"""torchao's quantize_ prepares and converts a network; what it computes is the formula of the grid, to the last bit."""

from typing import Any

import numpy as np
import pytest

from tests.factories import random_checkpoint, small_mamba2, small_model
from wm_train.config import Mamba2Config, MLPConfig, ModelConfig
from wm_train.errors import WmTrainError
from wm_train.grid.arithmetic import CODE_MAX, requantize
from wm_train.grid.integer_mamba2 import integer_mamba2
from wm_train.grid.integer_mlp import IntegerDense, integer_mlp

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from wm_train.nets.ao import FqnToConfig, quantize_  # noqa: E402
from wm_train.nets.door import (  # noqa: E402
    GridConfig,
    GridLinearConfig,
    convert_config,
    converted,
    prepare_config,
    prepared,
)
from wm_train.nets.grid_linear import GridLinear, bits_of  # noqa: E402
from wm_train.nets.mamba2 import Mamba2  # noqa: E402
from wm_train.nets.matmul import use_exact_matmul  # noqa: E402
from wm_train.nets.mlp import FrameStackMLP  # noqa: E402
from wm_train.nets.network import from_arrays  # noqa: E402
from wm_train.nets.qat import QuantizedMLP  # noqa: E402
from wm_train.nets.qat_mamba2 import QuantizedMamba2  # noqa: E402

BITS = {"layer1": 16, "layer2": 4}
MLP = small_model(bits=BITS)
MAMBA2 = small_mamba2(bits={"layer1": 16, "blocks.1.out_proj": 4})
Both = pytest.mark.parametrize("model", [MLP, MAMBA2], ids=["mlp", "mamba2"])


def network(model: MLPConfig | Mamba2Config) -> Any:
    checkpoint = random_checkpoint(model)
    net = Mamba2(model) if isinstance(model, Mamba2Config) else FrameStackMLP(model)
    return from_arrays(net, checkpoint.arrays)


def read(model: ModelConfig, batch: int = 16) -> Any:
    """Codes, ids and session ids over their whole ranges."""
    encoding, rng = model.world.encoding, np.random.default_rng(1)
    ids, session = ([f.vocab for *_, f in part()] for part in (encoding.id_fields, encoding.session_fields))
    codes = torch.from_numpy(rng.integers(-128, 128, (batch, encoding.dense_columns))).float()
    return codes, *(torch.from_numpy(rng.integers(0, sizes, (batch, len(sizes)))) for sizes in (ids, session))


def formula(model: MLPConfig, arrays: Any, scales: Any, codes: Any, ids: Any, session: Any) -> Any:
    """Integer heads of an MLP in numpy, as grid/integer_mlp.py writes them down."""
    ints = integer_mlp(model.world, arrays, (scales["hidden1"], scales["hidden2"]), model.bits)
    encoding = model.world.encoding
    parts = encoding.id_fields, encoding.session_fields
    places = [np.cumsum([0, *(f.vocab for *_, f in part())])[:-1] for part in parts]

    def dense(layer: IntegerDense, x: Any) -> Any:
        return x @ layer.rows.T + layer.bias

    acc = dense(ints.layer1, codes.numpy())
    acc += ints.gather_k * ints.gather_rows[ids.numpy() + places[0]].astype(np.float64).sum(1)
    acc += ints.session_rows[session.numpy() + places[1]].astype(np.float64).sum(1)
    for layer, following in ((ints.layer1, ints.layer2), (ints.layer2, ints.heads)):
        hidden = np.clip(requantize(acc.astype(np.int64), layer.mult, layer.shift), 0, CODE_MAX)
        acc = dense(following, hidden.astype(np.float64))
    return requantize(acc.astype(np.int64), ints.heads.mult, ints.heads.shift)


def test_a_prepared_mlp_computes_the_formula() -> None:
    use_exact_matmul()
    scales, inputs = random_checkpoint(MLP).scales, read(MLP)
    through = prepared(network(MLP), MLP, scales)
    want = formula(MLP, random_checkpoint(MLP).arrays, scales, *inputs)
    assert isinstance(through, QuantizedMLP) and np.array_equal(through.heads(*inputs).numpy(), want)
    assert len(np.unique(want)) > 100


def same(one: Any, two: Any) -> bool:
    """Whether dataclasses of integers are equal, to the last bit."""
    if isinstance(one, np.ndarray):
        return np.array_equal(one, two)
    if isinstance(one, tuple):
        return len(one) == len(two) and all(map(same, one, two))
    return all(same(vars(one)[k], vars(two)[k]) for k in vars(one)) if hasattr(one, "__dict__") else bool(one == two)


def test_a_prepared_mamba2_computes_with_the_integers_of_the_grid() -> None:
    checkpoint = random_checkpoint(MAMBA2)
    through = converted(prepared(network(MAMBA2), MAMBA2, checkpoint.scales))
    assert isinstance(through, QuantizedMamba2) and through._frozen is not None
    assert same(through._frozen, integer_mamba2(MAMBA2, checkpoint.arrays, checkpoint.scales))
    other = integer_mamba2(small_mamba2(), checkpoint.arrays, checkpoint.scales)
    assert not same(through._frozen, other)


@Both
def test_a_prepared_network_has_the_parameters_that_it_had(model: MLPConfig | Mamba2Config) -> None:
    net = network(model)
    before = dict(net.named_parameters())
    through = prepared(net, model, random_checkpoint(model).scales)
    after = dict(net.named_parameters())
    assert list(after) == list(before) and all(after[name] is before[name] for name in before)
    layers = {name for name, layer in through.net.named_modules() if isinstance(layer, GridLinear)}
    assert layers == set(model.layers) and bits_of(net) == model.bits


@Both
def test_who_knows_torchao_prepares_layers_by_name_or_pattern(model: MLPConfig | Mamba2Config) -> None:
    holder = nn.ModuleDict({"net": network(model)})
    scales = random_checkpoint(model).scales
    asked = FqnToConfig({"net": GridConfig("prepare", scales), r"re:net\.(layer1|heads)": GridLinearConfig(16)})
    quantize_(holder, asked, filter_fn=None)
    assert bits_of(holder["net"].net) == {"layer1": 16, "heads": 16}  # type: ignore[arg-type]


@Both
def test_converted_integers_stay(model: MLPConfig | Mamba2Config) -> None:
    holder = nn.ModuleDict({"net": network(model)})
    quantize_(holder, prepare_config(model, random_checkpoint(model).scales), filter_fn=None)
    through: Any = holder["net"]
    assert through._frozen is None
    quantize_(holder, convert_config(), filter_fn=None)
    assert holder["net"] is through and through._frozen is not None


def test_what_cannot_be_prepared_or_converted_is_refused() -> None:
    cases = [
        (nn.Linear(2, 2), GridConfig("prepare"), "^prepare: got a Linear, expected a float FrameStackMLP or Mamba2$"),
        (network(MLP), GridConfig("convert"), "^convert: got a FrameStackMLP, expected a network that was prepared$"),
        (nn.ReLU(), GridLinearConfig(8), "^prepare: got a ReLU, expected a linear layer$"),
    ]
    for module, config, says in cases:
        with pytest.raises(WmTrainError, match=says):
            quantize_(nn.ModuleDict({"net": module}), FqnToConfig({"net": config}), filter_fn=None)
    with pytest.raises(WmTrainError, match=r"^GridLinearConfig: bits = 6, expected one of \[8, 4, 5, 10, 16\]$"):
        GridLinearConfig(6)
    with pytest.raises(WmTrainError, match=r"^GridConfig: step = 'train', expected prepare or convert$"):
        GridConfig("train")
