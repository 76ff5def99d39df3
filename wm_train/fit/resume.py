"""What a run carries from step to step, kept in one file so that a killed run ends in the same bytes.

A step depends on its number, on the parameters and on what is carried, and on nothing else: chance is drawn anew for
each step. So the file holds those, and where in the run it is.
"""

import io
import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import torch

from wm_train.config import RunConfig
from wm_train.errors import WmTrainError
from wm_train.files import atomic_write_files
from wm_train.fit.average import Average
from wm_train.fit.learners import Learner
from wm_train.fit.ranks import Ranks

RESUME_FILE = "resume.pt"
#: Folder inside a run with the checkpoint of the least held-out loss.
BEST = "best"


@dataclass
class TrainState:
    """Where a run stands.

    step     optimizer steps taken; frames: frames seen by them; seconds: processor seconds, of all threads and ranks
    held_out newest held-out loss, None before the first; best: the least so far
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


def keep(run: Path, state: TrainState, config: RunConfig, ranks: Ranks, beside: Mapping[Path, bytes]) -> None:
    """Write what `take_up` needs into the run folder, with the files that go before it. Every rank calls it, the first
    one writes."""
    carried = ranks.whole(state.learner.carried())
    if not ranks.first:
        return
    buffer = io.BytesIO()
    torch.save(
        {
            "config": json.dumps(config.to_json()),
            "form": state.learner.form,
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


def forget_results(run: Path) -> None:
    """Take away what would pass for a result of a run that has begun here."""
    for path in (run / "run.json", run / BEST / "run.json"):
        path.unlink(missing_ok=True)


def forget(run: Path) -> None:
    """Take away the results of a run, and its state."""
    (run / RESUME_FILE).unlink(missing_ok=True)
    forget_results(run)


def take_up(run: Path, state: TrainState, config: RunConfig, ranks: Ranks) -> bool:
    """Go on from what `keep` wrote; whether there was something. WmTrainError if the run is finished or another one."""
    path = run / RESUME_FILE
    if not path.exists() and (run / "run.json").exists():
        raise WmTrainError(f"{run}: is finished, there is nothing to resume; train without --resume to start over")
    if not path.exists():
        return False
    try:
        kept = torch.load(path, weights_only=True)
        if kept["config"] != json.dumps(config.to_json()) or kept["form"] != state.learner.form:
            raise WmTrainError(
                f"{path}: was written with another config or form; resume with that one, or train without"
            )
        state.learner.net.load_state_dict(kept["net"])
        state.learner.carry_on(ranks.part(kept["carried"]))
        state.optimizer.load_state_dict(kept["optimizer"])
        state.average.load(kept["average"])
        for name in _NUMBERS:
            setattr(state, name, kept[name])
    except (KeyError, RuntimeError, ValueError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise WmTrainError(f"{path}: cannot be resumed from ({error}); train without --resume") from None
    return True
