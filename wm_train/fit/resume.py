"""What a run carries from step to step, kept in one file so that a killed run ends in the same bytes.

A step depends on its number, on the parameters and on what is carried, and on nothing else: chance is drawn anew for
each step. So the file holds those, and where in the run it is; and what the run is made of, so that nothing else is
taken up under its name.
"""

import io
import pickle
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import torch

from wm_train.artifact import check_folder, foreign
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_files
from wm_train.fit.average import Average
from wm_train.fit.curves import CURVES
from wm_train.fit.learners import Learner
from wm_train.fit.ranks import Ranks
from wm_train.fit.record import MANIFEST
from wm_train.measure.compare import first_difference
from wm_train.reading import Artifact, one_line

RESUME_FILE = "resume.pt"
#: Folder inside a run with the checkpoint of the least held-out loss, or parts of it (train.best).
BEST = "best"
#: Folder inside the QAT run with the float run that it began from, if it was given none.
FLOAT = "float"
#: All that a run folder holds.
_OWN = {"run.json", "model.safetensors", MANIFEST, CURVES, RESUME_FILE, BEST, FLOAT}

STATE = Artifact(WmTrainError, "cannot be resumed from; begin anew with --overwrite", max_bytes=1 << 32)
#: What torch raises for a file that it did not write, and what its values do that are not of a run.
DAMAGED = (
    *(KeyError, RuntimeError, ValueError, TypeError, AttributeError, IndexError, OverflowError, AssertionError),
    *(EOFError, OSError, MemoryError, pickle.UnpicklingError, struct.error),
)


@dataclass
class TrainState:
    """Where a run stands.

    step     optimizer steps taken; frames: frames seen by them; seconds: processor seconds, of all threads and ranks
    held_out newest held-out loss, None before the first; best: the least so far, of the parts that decide
    sums     losses by name, summed over the `summed` steps since the last report
    reported frames and seconds at the last report
    """

    learner: Learner
    optimizer: torch.optim.Optimizer
    average: Average
    step: int = 0
    frames: int = 0
    seconds: float = 0.0
    held_out: float | None = None
    best: float = inf
    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    summed: int = 0
    reported: tuple[int, float] = (0, 0.0)


_NUMBERS = ("step", "frames", "seconds", "held_out", "best", "sums", "summed", "reported")


def keep(run: Path, state: TrainState, made_of: Mapping[str, Any], ranks: Ranks, beside: Mapping[Path, bytes]) -> None:
    """Write what `take_up` needs into the run folder, with the files that go before it. Every rank calls it, the first
    one writes. `made_of`: what the run is made of, as plain values."""
    carried = ranks.whole(state.learner.carried())
    if not ranks.first:
        return
    buffer = io.BytesIO()
    torch.save(
        {
            "made_of": dict(made_of),
            "net": state.learner.net.state_dict(),
            "carried": carried,
            "optimizer": state.optimizer.state_dict(),
            "average": state.average.weights,
            **{name: getattr(state, name) for name in _NUMBERS},
        },
        buffer,
    )
    atomic_write_files({**beside, run / RESUME_FILE: buffer.getvalue()})


def finished(run: Path) -> bool:
    """Whether a run has come to its end here, and no other has begun since."""
    return (run / "run.json").exists() and not (run / RESUME_FILE).exists()


def interrupted(run: Path) -> bool:
    """Whether a run was begun here that has not come to its end, and can be gone on with."""
    begun = (run / RESUME_FILE).exists() or (run / FLOAT / RESUME_FILE).exists()
    return begun or (finished(run / FLOAT) and not (run / "run.json").exists())


def settled(run: Path) -> bool:
    """Whether the run has come to its end here, in all its parts, and no other has begun since."""
    return finished(run) and not interrupted(run)


def check_place(run: Path, resume: bool, overwrite: bool) -> None:
    """WmTrainError if what lies in a run folder is in the way: a link; or, unless it is to be overwritten, anything but
    the run that `resume` goes on with."""
    check_folder(run, WmTrainError, (BEST, FLOAT, f"{FLOAT}/{BEST}"))
    if overwrite:
        return
    if (held := foreign(run, _OWN)) is not None:
        raise WmTrainError(f"{run}: holds {held}, which is no part of a run; name another folder with --out")
    if resume:
        return
    if interrupted(run):
        raise WmTrainError(f"{run}: holds an interrupted run; go on with --resume, or begin anew with --overwrite")
    if (run / "run.json").exists():
        raise WmTrainError(f"{run}: holds a finished run; name another folder with --out, or replace it: --overwrite")


def forget_results(run: Path) -> None:
    """Take away what would pass for a result of a run that has begun here."""
    for path in (run / "run.json", run / BEST / "run.json"):
        path.unlink(missing_ok=True)


def forget(run: Path) -> None:
    """Take away the results of a run, and its state."""
    (run / RESUME_FILE).unlink(missing_ok=True)
    forget_results(run)


def need_same(path: Path, kept: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """WmTrainError, naming the first difference, unless what is kept at `path` is made of what is asked for now."""
    if found := first_difference(kept, asked):
        next_step = "resume with what it was made of, or begin anew with --overwrite"
        raise WmTrainError(f"{path}: is of another run: {one_line(found)}; {next_step}")


def take_up(run: Path, state: TrainState, made_of: Mapping[str, Any], ranks: Ranks) -> bool:
    """Go on from what `keep` wrote; whether there was something. WmTrainError if the run is finished, or made of
    anything else than `made_of`."""
    path = run / RESUME_FILE
    if not path.exists() and (run / "run.json").exists():
        raise WmTrainError(f"{run}: is finished, there is nothing to resume; train with --overwrite to start over")
    if not path.exists():
        return False
    raw = STATE.read(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # what torch says of a pickle that is none
            kept = torch.load(io.BytesIO(raw), weights_only=True, map_location="cpu")
        need_same(path, kept["made_of"], made_of)
        state.learner.net.load_state_dict(kept["net"])
        state.learner.carry_on(ranks.part(kept["carried"]))
        _check_optimizer(state.optimizer, kept["optimizer"])
        state.optimizer.load_state_dict(kept["optimizer"])
        state.average.load(kept["average"])
        for name in _NUMBERS:
            setattr(state, name, kept[name])
        _check_numbers(state)
    except DAMAGED as error:
        raise STATE.refuse(path, repr(error)) from None
    return True


def _check_optimizer(own: torch.optim.Optimizer, kept: Mapping[str, Any]) -> None:
    """ValueError unless what was kept is of an optimizer like our own, its rates aside, which are set at each step."""
    groups = [{**group, "lr": 0.0} for group in kept["param_groups"]]
    if groups != [{**group, "lr": 0.0} for group in own.state_dict()["param_groups"]]:
        raise ValueError("it is of another optimizer")
    parameters = [one for group in own.param_groups for one in group["params"]]
    for number, moments in kept["state"].items():
        shape = parameters[number].shape
        expected = {"step": torch.Size(), "exp_avg": shape, "exp_avg_sq": shape}
        if {name: one.shape for name, one in moments.items() if one.dtype == torch.float32} != expected:
            raise ValueError("its optimizer's moments are not those of the parameters")


def _check_numbers(state: TrainState) -> None:
    """ValueError unless the numbers of a state are such as a run comes to."""
    counts = (state.step, state.frames, state.summed, state.reported[0])
    reals = (state.seconds, state.best, state.reported[1], *([] if state.held_out is None else [state.held_out]))
    if not all(type(count) is int and 0 <= count < 1 << 53 for count in counts):
        raise ValueError("its counts are not whole numbers")
    if not all(type(real) in (int, float) for real in reals) or len(state.reported) != 2:
        raise ValueError("its measures are not numbers")
    if not all(isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.sums.items()):
        raise ValueError("its sums are not tensors")
