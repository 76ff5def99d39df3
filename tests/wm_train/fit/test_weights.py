"""weights.py: a state_dict from elsewhere, in floats or as torchao quantizes it, is a start; others are refused."""

import io
import json
import os
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from tests.factories import random_checkpoint, small_mamba2, small_model, write_dataset
from wm_train.checkpoint import digest, load_checkpoint
from wm_train.config import ModelConfig, RunConfig, TrainConfig
from wm_train.errors import WmTrainError
from wm_train.grid.integer_mlp import integer_mlp
from wm_train.shapes import array_shapes

torch = pytest.importorskip("torch")

from torch.serialization import get_safe_globals  # noqa: E402

from wm_train.fit.train import Job, train  # noqa: E402
from wm_train.fit.weights import Weights, read_weights  # noqa: E402
from wm_train.nets import ao  # noqa: E402
from wm_train.nets.predict import trained_network  # noqa: E402

MLP, MAMBA2 = small_model(), small_mamba2(n_layers=1)
ROWS = ao.PerAxis(0)
BASE = ao.Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int8, weight_granularity=ROWS)


def _by(config: Any) -> Callable[[Any], None]:
    return lambda net: ao.quantize_(net, config)


def _trained(net: Any) -> None:
    """torchao's QAT, to its end."""
    with ao.quietly():
        ao.quantize_(net, ao.QATConfig(BASE, step="prepare"))
        ao.quantize_(net, ao.QATConfig(BASE, step="convert"))


def _in_groups(net: Any) -> None:
    config = ao.IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=ao.PerGroup(8))
    ao.quantize_(net, config, lambda module, name: isinstance(module, torch.nn.Linear) and module.in_features % 8 == 0)


RECIPES: dict[str, Callable[[Any], None]] = {
    "int8 weight-only": _by(ao.Int8WeightOnlyConfig(set_inductor_config=False)),
    "int8 dynamic": _by(ao.Int8DynamicActivationInt8WeightConfig(set_inductor_config=False)),
    "int8 static": _by(
        ao.Int8StaticActivationInt8WeightConfig(
            act_quant_scale=torch.ones(1, 1), granularity=[ao.PerTensor(), ao.PerRow()], set_inductor_config=False
        )
    ),
    "intx": _by(ao.IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=ROWS)),
    "intx asymmetric": _by(
        ao.IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=ROWS, mapping_type=ao.MappingType.ASYMMETRIC)
    ),
    "int4 in groups": _in_groups,
    "qat": _trained,
}


def network(model: ModelConfig, recipe: str = "") -> Any:
    net = trained_network(random_checkpoint(model))
    RECIPES.get(recipe, lambda net: None)(net)
    return net


def saved(path: Path, state: Any) -> Path:
    torch.save(state, path)
    return path


def read(path: Path, model: ModelConfig = MLP) -> Weights:
    """What it gives is what a checkpoint holds."""
    got = read_weights(path, model)
    assert {name: array.shape for name, array in got.arrays.items()} == array_shapes(model)
    assert all(array.dtype == np.float32 for array in got.arrays.values())
    assert got.sha256 == sha256(path.read_bytes()).hexdigest()
    return got


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("model", [MLP, MAMBA2], ids=["mlp", "mamba2"])
def test_what_torchao_quantized_is_read_as_it_dequantizes_it(tmp_path: Path, model: ModelConfig, recipe: str) -> None:
    net, known = network(model, recipe), set(get_safe_globals())
    got = read(saved(tmp_path / "w.pt", net.state_dict()), model)
    quantized = 0
    for name, value in net.state_dict().items():
        small = hasattr(value, "qdata")
        quantized += small
        assert np.array_equal(got.arrays[name], (value.dequantize() if small else value).numpy()), name
    assert quantized and set(get_safe_globals()) == known


@pytest.mark.parametrize("recipe", ["int8 weight-only", "intx", "qat"])
def test_rows_of_int8_have_the_same_codes_on_the_grid_where_its_scale_is_torchaos(tmp_path: Path, recipe: str) -> None:
    """The grid's codes end at 127, so its scale is that of a row whose largest code is 127. Where -128 is the largest
    the scale is 1/127 more, and a code one off at most. The layer that reads frames is folded with the columns' gain,
    and has other rows."""
    net, scales = network(MLP, recipe), random_checkpoint(MLP).scales
    arrays = read(saved(tmp_path / "w.pt", net.state_dict())).arrays
    ints = integer_mlp(MLP.world, arrays, (scales["hidden1"], scales["hidden2"]))
    for layer, dense in (("layer2", ints.layer2), ("heads", ints.heads)):
        codes = net.get_submodule(layer).weight.qdata.numpy().astype(int)
        alike = np.abs(codes).max(1) == 127
        assert alike.any() and np.array_equal(dense.rows[alike], codes[alike])
        assert np.abs(dense.rows - codes).max() <= 1


def _compressed(state: Any) -> bytes:
    out, raw = io.BytesIO(), io.BytesIO()
    torch.save(state, raw)
    with zipfile.ZipFile(raw) as given, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in given.namelist():
            packed.writestr(name, given.read(name))
    return out.getvalue()


def _changed(state: Any, old: bytes, new: bytes) -> bytes:
    """The file with other bytes in its pickle."""
    out, raw = io.BytesIO(), io.BytesIO()
    torch.save(state, raw)
    with zipfile.ZipFile(raw) as given, zipfile.ZipFile(out, "w") as packed:
        for name in given.namelist():
            entry = given.read(name)
            assert not name.endswith(".pkl") or old in entry
            packed.writestr(name, entry.replace(old, new) if name.endswith(".pkl") else entry)
    return out.getvalue()


def test_floats_of_any_width_and_wrapped_networks_are_read(tmp_path: Path) -> None:
    state, path = network(MLP).state_dict(), tmp_path / "w.pt"
    want = {name: value.numpy() for name, value in state.items()}
    for file in (
        lambda: saved(path, state),
        lambda: saved(path, {f"module.net.{name}": value for name, value in state.items()}),
        lambda: saved(path, {name: torch.nn.Parameter(value) for name, value in state.items()}),
        lambda: saved(path, {name: value.double() for name, value in state.items()}),
        lambda: path.write_bytes(save(want)),
        lambda: path.write_bytes(save({f"net.{name}": value for name, value in want.items()})),
    ):
        file()
        assert all(np.array_equal(read(path).arrays[name], value) for name, value in want.items())
    saved(path, {name: value.bfloat16() for name, value in state.items()})
    assert all(np.array_equal(read(path).arrays[name], value.bfloat16().float()) for name, value in state.items())


def test_what_was_saved_on_a_gpu_is_read_without_one(tmp_path: Path) -> None:
    state, path = network(MLP, "int8 weight-only").state_dict(), tmp_path / "w.pt"
    path.write_bytes(_changed(state, b"X\3\0\0\0cpu", b"X\6\0\0\0cuda:0"))
    got, want = read(path), read(saved(tmp_path / "cpu.pt", state))
    assert all(np.array_equal(got.arrays[name], array) for name, array in want.arrays.items())


class Hostile:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


def _with(name: str, value: Any, recipe: str = "") -> Any:
    return {**network(MLP, recipe).state_dict(), name: value}


def _part(part: str, value: Any) -> Any:
    """A network of torchao's whose second layer has another part."""
    state = network(MLP, "int8 weight-only").state_dict()
    setattr(state["layer2.weight"], part, value)
    return state


def _int4() -> Any:
    """A tensor of torchao's that holds two numbers in a byte."""
    from torchao.quantization import Int4Tensor

    return Int4Tensor(*[torch.zeros(2, 2)] * 3, [1, 2], torch.Size((2, 4)))


LAYER2 = array_shapes(MLP)["layer2.weight"]
SAVE = r"save the network's weights alone: torch\.save\(net\.state_dict\(\), FILE\)"
START = "give the run that they are of as --start"
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no file": (lambda: None, f"cannot be read: No such file or directory; {SAVE}"),
    "text": (lambda: b"weights", f"is neither a file of torch.save nor one of safetensors with floats; {SAVE}"),
    "a zip": (lambda: b"PK\3\4", f"expected a file of torch.save, got a zip that it did not write: .*; {SAVE}"),
    "too large": (
        lambda: b"PK\3\4" + bytes(1 << 23),
        f"cannot be read: expected at most [0-9]+ bytes, got 8388612; {SAVE}",
    ),
    "code": (lambda: {"layer1.weight": Hostile()}, f"it holds posix.mkdir, expected tensors alone, .*; {SAVE}"),
    "a whole network": (lambda: network(MLP), f"it holds .* and [0-9]+ more, expected tensors .*; {SAVE}"),
    "another class of torchao": (
        lambda: _with("layer2.weight", _int4()),
        f"it holds torchao.quantization.Int4Tensor, expected tensors alone, of torch or of torchao's Int.*; {SAVE}",
    ),
    "compressed": (lambda: _compressed(network(MLP).state_dict()), f".*: its entries are compressed; {SAVE}"),
    "a tensor": (lambda: torch.zeros(3), f"it holds one Tensor, expected the tensors of a network by .*; {SAVE}"),
    "a training's checkpoint": (
        lambda: {"model": network(MLP).state_dict(), "optimizer": {}},
        f"is of another network: it lacks embed.* and [0-9]+ more and has model and 1 more, .*; {START}, or {SAVE}",
    ),
    "no gain": (
        lambda: {k: v for k, v in network(MLP).state_dict().items() if k != "gain"},
        f"is of another network: it lacks gain, expected the 15 arrays of --start's network; {START}, or {SAVE}",
    ),
    "two prefixes": (
        lambda: {("a." if k == "gain" else "b.") + k: v for k, v in network(MLP).state_dict().items()},
        rf"is of another network: it lacks .* and 14 more and has a\.gain and 14 more, .*; {START}, or {SAVE}",
    ),
    "another architecture": (lambda: network(MAMBA2).state_dict(), f"is of another network: it lacks .*; {START}, .*"),
    "another shape": (
        lambda: trained_network(random_checkpoint(replace(MLP, hidden=(64, 16)))).state_dict(),
        rf"layer2\.weight is float32 \(16, 64\), expected \(32, 64\) of floats; {START}, or {SAVE}",
    ),
    "another shape of integers": (
        lambda: _with("layer2.weight", network(MAMBA2, "intx").state_dict()["layer1.weight"]),
        rf"layer2\.weight is int8 \(24, \d+\) in torchao's tensor, expected \(32, 64\) of int8; {START}",
    ),
    "whole numbers": (
        lambda: _with("layer2.weight", torch.zeros(LAYER2, dtype=torch.int32)),
        rf"layer2\.weight is int32 \(32, 64\), expected \(32, 64\) of floats; {START}, or {SAVE}",
    ),
    "enormous": (
        lambda: _with("layer2.weight", torch.zeros(1).expand(2**40)),
        rf"layer2\.weight is float32 \(1099511627776,\), expected \(32, 64\) of floats; {START}, or {SAVE}",
    ),
    "no tensor": (lambda: _with("layer2.bias", 3), rf"layer2\.bias is of type int, expected a tensor; {SAVE}"),
    "not finite": (
        lambda: _with("layer2.bias", torch.full((32,), float("nan"))),
        r"layer2\.bias has 32 of 32 numbers that are not finite float32; train it anew",
    ),
    "beyond float32": (
        lambda: _with("layer2.bias", torch.full((32,), 1e300, dtype=torch.float64)),
        r"layer2\.bias has 32 of 32 numbers that are not finite float32; train it anew",
    ),
    "scales that are not finite": (
        lambda: _part("scale", torch.full((32, 1), float("inf"))),
        r"layer2\.weight has \d+ of 2048 numbers that are not finite float32; train it anew",
    ),
    "scales of another shape": (
        lambda: _part("scale", torch.ones(3, 1)),
        rf"layer2\.weight has scales float32 \(3, 1\) and zero points int8 \(32, 1\), which do not fit .*; {SAVE}",
    ),
    "blocks of nothing": (lambda: _part("block_size", [1, 0]), rf"layer2\.weight has scales .* do not fit .*; {SAVE}"),
    "a tensor in a tensor": (
        lambda: _part("qdata", network(MLP, "intx").state_dict()["layer2.weight"]),
        rf"layer2\.weight is float32 \(32, 64\) in torchao's tensor, expected \(32, 64\) of int8; {START}",
    ),
    "scaled inputs": (
        lambda: _part("act_pre_scale", torch.ones(64)),
        r"layer2\.weight is for inputs that are scaled first \(act_pre_scale\), .*; quantize without it",
    ),
    "a storage that is longer than its file": (
        lambda: _changed({"a": torch.arange(16.0)}, b"K\x10tq", b"M\xff\xfftq"),
        rf"torch cannot read it \(RuntimeError\); {SAVE}",
    ),
    "integers in safetensors": (
        lambda: save({name: np.zeros(shape, np.int8) for name, shape in array_shapes(MLP).items()}),
        rf"embeddings\.\S+ is int8 .*, expected .* of floats; {START}, or {SAVE}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_start_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    make, says = REFUSED[what]
    made, path = make(), tmp_path / "w.pt"
    if isinstance(made, bytes):
        path.write_bytes(made)
    elif made is not None:
        saved(path, made)
    monkeypatch.chdir(tmp_path)
    before = set(get_safe_globals())
    with pytest.raises(WmTrainError) as refused:
        read_weights(path, MLP)
    assert re.fullmatch(f"{re.escape(str(path))}: {says}", str(refused.value)), str(refused.value)
    assert not Path("ran").exists() and set(get_safe_globals()) == before


CONFIG = RunConfig(MLP, TrainConfig(steps=2, batch=32, learning_rate=1e-6, seed=5, holdout=0.3))


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A float run, beside its dataset, and its network as torchao rounds it."""
    folder = tmp_path_factory.mktemp("parent")
    write_dataset(folder / "dataset", [50, 40, 60, 45])
    train(Job(folder / "dataset", folder / "run", CONFIG))
    net = trained_network(load_checkpoint(folder / "run"))
    saved(folder / "float.pt", net.state_dict())
    RECIPES["int8 weight-only"](net)
    saved(folder / "int8.pt", net.state_dict())
    return folder


def job(parent: Path, run: Path, weights: str, **about: Any) -> Job:
    return Job(parent / "dataset", run, CONFIG, start=parent / "run", weights=parent / weights, **about)


@pytest.mark.usefixtures("exact_again")
@pytest.mark.parametrize("qat", [False, True])
def test_training_begins_with_them_and_says_so(parent: Path, tmp_path: Path, qat: bool) -> None:
    got = train(job(parent, tmp_path / "run", "int8.pt", qat=qat))
    want, kept = read_weights(parent / "int8.pt", MLP), load_checkpoint(tmp_path / "run")
    assert (got.form, got.parent) == ("qat" if qat else "float", digest(parent / "run"))
    for name, array in want.arrays.items():
        assert np.abs(got.arrays[name] - array).max() < 1e-4, name
    assert kept.weights == got.weights == want.sha256
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["weights"] == want.sha256
    assert kept.split == load_checkpoint(parent / "run").split
    if not qat:  # what begins with the run's own weights again does not name these
        after = train(Job(parent / "dataset", tmp_path / "after", CONFIG, start=tmp_path / "run"))
        assert after.weights is None and "weights" not in json.loads((tmp_path / "after" / "run.json").read_text())


@pytest.mark.usefixtures("exact_again")
def test_qat_finds_the_scales_of_their_activations(parent: Path, tmp_path: Path) -> None:
    """With the run's own weights they are the run's; other weights have others."""
    own, first = train(job(parent, tmp_path / "own", "float.pt", qat=True)), load_checkpoint(parent / "run")
    assert own.scales == pytest.approx(dict(first.scales))
    state = trained_network(first).state_dict()
    state["layer1.weight"], state["layer1.bias"] = 8 * state["layer1.weight"], 8 * state["layer1.bias"]
    saved(parent / "eight.pt", state)
    wide = train(job(parent, tmp_path / "wide", "eight.pt", qat=True))
    assert wide.scales["hidden1"] == pytest.approx(8 * first.scales["hidden1"])


@pytest.mark.usefixtures("exact_again")
def test_a_killed_run_goes_on_with_the_same_weights_only(parent: Path, tmp_path: Path) -> None:
    asked = job(parent, tmp_path / "run", "int8.pt", qat=True)

    def stop(progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(asked, stop)
    for other in (None, parent / "float.pt"):
        with pytest.raises(WmTrainError, match=r"is of another run: weights was '[0-9a-f]{50,}, now"):
            train(replace(asked, weights=other, resume=True))
    assert train(replace(asked, resume=True)).weights == sha256((parent / "int8.pt").read_bytes()).hexdigest()


def test_weights_without_a_run_are_refused(parent: Path, tmp_path: Path) -> None:
    with pytest.raises(WmTrainError, match=r"int8\.pt: weights take the place of a run's, and none is named"):
        train(replace(job(parent, tmp_path / "run", "int8.pt"), start=None))
