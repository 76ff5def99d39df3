"""Where networks compute: which device is taken, that all of a step is there, and that integers are the same there."""

import pytest

pytest.importorskip("torch")

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tests.factories import random_corpus, small_mamba2, small_model
from wm_train.config import LossConfig, ModelConfig, RunConfig, TrainConfig
from wm_train.errors import WmTrainError
from wm_train.fit import learners
from wm_train.fit.learners import PlacedLearner, StreamLearner, learner
from wm_train.fit.loss import losses
from wm_train.games.store import HeldGames
from wm_train.nets import device
from wm_train.nets.device import find_device, placed, present
from wm_train.nets.mamba2 import Mamba2
from wm_train.nets.mlp import FrameStackMLP

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
        (("mps", "cpu"), "mps", True, "no float64, which QAT needs; expected auto or cpu"),
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


def test_nothing_is_done_on_the_cpu() -> None:
    with placed(torch.device("cpu")):
        assert torch.zeros(1).device.type == "cpu"
        assert not torch.overrides._get_current_function_mode_stack()
