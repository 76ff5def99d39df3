"""Where networks compute: which device is taken, that all of a step is there, and that integers are the same there."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.factories import random_checkpoint, random_corpus, small_mamba2, small_model
from wm_quant.convert import from_checkpoint
from wm_quant.interp import Interpreter
from wm_train.config import LossConfig, ModelConfig, RunConfig, TrainConfig
from wm_train.errors import WmTrainError
from wm_train.fit import learners
from wm_train.fit.feed import FedChunk
from wm_train.fit.learners import PlacedLearner, StreamLearner, learner
from wm_train.fit.loss import losses
from wm_train.games.store import HeldGames
from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.measure.worlds import forced, rollout
from wm_train.nets import device
from wm_train.nets.device import find_device, placed, present
from wm_train.nets.mamba2 import Mamba2
from wm_train.nets.matmul import use_exact_matmul
from wm_train.nets.mlp import FrameStackMLP
from wm_train.nets.predict import checkpoint_model

CORPUS = random_corpus(3, (41, 30))
ELSEWHERE = torch.device("cuda")


def config_of(model: ModelConfig, kind: str = "cpu") -> RunConfig:
    return RunConfig(model, TrainConfig(batch=8, lanes=2, chunk=8, device=kind, losses=LossConfig(category=1.0)))


@pytest.mark.parametrize(
    ("there", "asked", "exact", "found"),
    [
        (("cuda", "cpu"), "auto", True, "cuda"),
        (("mps", "cpu"), "auto", False, "mps"),
        (("mps", "cpu"), "auto", True, "cpu"),
        (("cuda", "cpu"), "cpu", False, "cpu"),
        (("cpu",), "auto", True, "cpu"),
    ],
)
def test_a_device_is_found(
    there: tuple[str, ...], asked: str, exact: bool, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "present", lambda: there)
    assert find_device(asked, exact).type == found


@pytest.mark.parametrize(
    ("there", "asked", "exact", "said"),
    [
        (("cpu",), "cuda", False, "finds none here; expected auto or cpu"),
        (("mps", "cpu"), "mps", True, "no float64, which integers need; expected auto or cpu"),
        (("cuda", "cpu"), "mps", False, "finds none here; expected auto or cuda or cpu"),
    ],
)
def test_a_device_that_is_not_there_is_refused(
    there: tuple[str, ...], asked: str, exact: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "present", lambda: there)
    with pytest.raises(WmTrainError, match=said):
        find_device(asked, exact)


def test_a_config_names_a_device() -> None:
    with pytest.raises(WmTrainError, match=r"train\.device = 'gpu', expected auto or cpu or cuda or mps"):
        TrainConfig(device="gpu")


def parts_of_a_step(made: PlacedLearner) -> dict[str, torch.Tensor]:
    """Of a recurrent network all frames of the step count: which do is among what is not computed."""
    if isinstance(made.net, FrameStackMLP):
        return made.losses(0)[0]
    assert isinstance(made.net, Mamba2) and isinstance(made._made, StreamLearner)
    with placed(ELSEWHERE):
        fed = made._made._feed.at(0, slice(None))
        heads, _ = made.net(*learners._lanes(fed.batch, fed.reset), made.net.start(len(fed.reset)), fed.reset)
        return losses(made.net.world, fed.batch.now, fed.batch.after, heads.flatten(0, 1), LossConfig())


@pytest.mark.parametrize("model", [small_model(), small_mamba2()], ids=["mlp", "mamba2"])
def test_every_tensor_of_a_step_is_on_the_device(model: ModelConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes and devices alone are computed, so no such device is needed: what is elsewhere is an error."""
    monkeypatch.setattr(learners, "find_device", lambda asked, exact: ELSEWHERE)
    monkeypatch.setattr(torch.Tensor, "__bool__", lambda value: True)  # their values are not there to ask for
    with FakeTensorMode(allow_non_fake_inputs=True):
        made = learner(config_of(model, "cuda"), HeldGames(CORPUS), None)
        assert isinstance(made, PlacedLearner)
        parts = parts_of_a_step(made)
    assert {part.device.type for part in parts.values()} == {"cuda"}
    assert {value.device.type for value in made.net.state_dict().values()} == {"cuda"}
    assert {part.device.type for part in made.carried().values()} <= {"cuda"}


@pytest.mark.skipif(present() == ("cpu",), reason="no device beside the CPU")
@pytest.mark.parametrize("model", [small_model(), small_mamba2()], ids=["mlp", "mamba2"])
def test_a_step_elsewhere_is_close_to_one_on_the_cpu(model: ModelConfig) -> None:
    here, there = (learner(config_of(model, kind), HeldGames(CORPUS), None) for kind in ("cpu", "auto"))
    there.net.load_state_dict(here.net.state_dict())
    for (name, one), other in zip(here.losses(0)[0].items(), there.losses(0)[0].values(), strict=True):
        assert float(one) == pytest.approx(float(other), rel=2e-2), name  # bfloat16 and TF32 hold 8 and 10 bits


DEVICES = [
    pytest.param(kind, marks=pytest.mark.skipif(kind not in present(), reason=f"torch finds no {kind} here"))
    for kind in ("cpu", "cuda")
]
#: Of every way of computing: windows, a state written in each frame, heads written in turn.
SHAPES = {
    "mlp": small_model(heads="lawful"),
    "mamba2": small_mamba2(heads="lawful"),
    "in turn": small_mamba2(write_every=4),
}


@pytest.mark.parametrize("model", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("kind", DEVICES)
def test_a_run_through_the_grid_gives_its_qnets_integers_on_any_device(model: ModelConfig, kind: str) -> None:
    """Frame by frame along true games, and far ahead: so a QNet's figures do not depend on where they were made."""
    checkpoint = random_checkpoint(model)
    qnet, run = Interpreter(from_checkpoint(checkpoint, parent="ab" * 32)).model(), checkpoint_model(checkpoint, kind)
    encoding = model.world.encoding
    t = CORPUS.windows(encoding)
    ahead, apart = (list(forced(world, CORPUS, encoding, t)) for world in (qnet, run))
    for one, other in zip(ahead, apart, strict=True):
        assert np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])
    here, there = (rollout(world, CORPUS, encoding, t[:2], 12) for world in (qnet, run))
    assert np.array_equal(here, there)


@pytest.mark.parametrize("kind", DEVICES)
@pytest.mark.parametrize("model", [small_model(), small_mamba2()], ids=["mlp", "mamba2"])
def test_training_sees_the_same_integers(model: ModelConfig, kind: str) -> None:
    """The forward pass of QAT, which gradients go through, is what is measured afterwards."""
    checkpoint = replace(random_checkpoint(model), form="float")
    config = config_of(model, kind)
    through = learner(config, HeldGames(CORPUS), replace(checkpoint, config=config))
    own: Any = through._made if isinstance(through, PlacedLearner) else through
    use_exact_matmul()
    with placed(find_device(kind, exact=True)):
        fed = own._feed.at(0, slice(None))
        read: tuple[Any, ...] = (fed.batch.dense, fed.batch.ids, fed.batch.session)
        if isinstance(fed, FedChunk):
            read = (*learners._lanes(fed.batch, fed.reset), own._model.start(len(fed.reset)), fed.reset)
        trained, measured = own._model(*read), own._model.heads(*read)
        if isinstance(fed, FedChunk):
            trained, measured = trained[0], measured[0]
    assert (trained.double() * 2.0**FRAC_BITS == measured).all() and measured.abs().max() > 0


def test_nothing_is_done_on_the_cpu() -> None:
    with placed(torch.device("cpu")):
        assert torch.zeros(1).device.type == "cpu"
        assert not torch.overrides._get_current_function_mode_stack()
