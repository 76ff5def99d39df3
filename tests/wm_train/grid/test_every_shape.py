"""Every shape that a config allows trains and quantizes, whatever its weights became; others are refused before."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.factories import random_checkpoint, small_mamba2, small_model, write_dataset
from tests.wm_train.grid.shapes import random_shape, wild
from wm_quant.convert import from_checkpoint, quantize
from wm_quant.prove import prove
from wm_train.checkpoint import MOST_PARAMETERS, need_storable
from wm_train.config import Mamba2Config, MLPConfig, RunConfig, TrainConfig
from wm_train.errors import WmTrainError

torch = pytest.importorskip("torch")

from wm_train.fit import learners  # noqa: E402
from wm_train.fit.train import Job, train  # noqa: E402

pytestmark = pytest.mark.usefixtures("exact_again")

#: Shapes that are tried; WMQ_SHAPES=500 tries as many as a release is tried with.
SHAPES = int(os.environ.get("WMQ_SHAPES", "3"))
#: Checkpoints made wild of each.
WILD = 3


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dataset")
    write_dataset(folder, [60, 64, 56])
    return folder


@pytest.mark.parametrize("seed", range(SHAPES))
def test_a_shape_trains_and_quantizes_or_is_refused_before(
    seed: int, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(learners, "CALIBRATION_STRETCHES", (2, 32))
    kind, shape = random_shape(seed)
    try:
        model = kind(**shape)
    except WmTrainError as error:
        assert re.fullmatch(r"config: model\.\w+ = \d+, expected [^\n]+", str(error))
        return
    config = RunConfig(model, TrainConfig(steps=20, batch=16, lanes=2, chunk=8, holdout=0.34))
    made = train(Job(dataset, tmp_path / "run", config, qat=True))
    assert quantize(tmp_path / "run").model == model
    for i in range(WILD):
        prove(from_checkpoint(wild(made, WILD * seed + i), ""))
    shutil.rmtree(tmp_path / "run")


@pytest.mark.parametrize(
    "model",
    [
        small_mamba2(d_state=192, n_layers=1),
        small_mamba2(d_model=1, headdim=1, d_state=1, expand=1),
        small_mamba2(n_layers=1, bits={"blocks.0.in_proj": 4, "blocks.0.out_proj": 16}),
        small_model(slots=21),
        small_model(bits={"layer1": 16, "layer2": 4}),
    ],
    ids=["many cells", "one of all", "bits", "many slots", "bits of an mlp"],
)
def test_no_weights_drive_an_integer_past_its_bound(model: Any) -> None:
    for seed in range(12):
        prove(from_checkpoint(wild(random_checkpoint(model, seed), seed), ""))


def test_a_wide_layer_leaves_its_accumulator_room() -> None:
    """Each lane fits, and there are many: their sum has to as well, with what ids, session and bias add."""
    model = MLPConfig(encoding="v2", slots=64, hidden=(64, 32))
    made = random_checkpoint(model)
    made.arrays["layer1.weight"][:8] = abs(made.arrays["layer1.weight"][:8]).max()
    proofs = {proof.what: proof for proof in prove(from_checkpoint(made, ""))}
    found = proofs["the accumulator acc1"]
    assert 0.9 * found.bound < found.value < found.bound


def test_the_skip_has_what_the_states_leave_of_y() -> None:
    made = random_checkpoint(small_mamba2(d_state=192, n_layers=1))
    made.arrays["blocks.0.D"][:] = [1, -1e4, 1e8, 0][: made.arrays["blocks.0.D"].size]
    (found,) = [proof for proof in prove(from_checkpoint(made, "")) if proof.what == "the accumulator of y"]
    assert 0.99 * found.bound < found.value < found.bound


def test_units_too_fine_for_a_norm_are_coarser() -> None:
    """Where next to nothing was seen: eps, in units so fine, would be past 2^53."""
    made = random_checkpoint(small_mamba2())
    for name in made.scales:
        if name == "residual" or name.endswith(".y"):
            made.scales[name] = 1e-30  # type: ignore[index]
    prove(from_checkpoint(made, ""))


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        (Mamba2Config, {"d_state": 193}, "model.d_state = 193, expected 1 to 192"),
        (
            Mamba2Config,
            {"d_model": 4096, "expand": 3},
            "model.expand = 3, expected at most 2: it times d_model 4096 is at most 8192",
        ),
        (
            MLPConfig,
            {"slots": 22},
            "model.slots = 22, expected at most 21 with this encoding and these flags: a slot has 12 ids, and 256 are "
            "read at most",
        ),
    ],
)
def test_what_no_bound_holds_is_refused_by_the_config(kind: Any, shape: dict[str, Any], message: str) -> None:
    with pytest.raises(WmTrainError, match=f"^config: {re.escape(message)}$"):
        kind(**shape)


def test_what_no_run_folder_holds_is_refused_before_training(dataset: Path, tmp_path: Path) -> None:
    model = Mamba2Config(d_model=4096, n_layers=64)
    with pytest.raises(WmTrainError, match=f"parameters, expected at most {MOST_PARAMETERS:,}; make model.d_model, "):
        train(Job(dataset, tmp_path / "run", RunConfig(model)))
    assert not (tmp_path / "run").exists()
    need_storable(Mamba2Config(d_model=4096, n_layers=1))
