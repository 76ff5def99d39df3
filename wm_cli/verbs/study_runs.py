"""The runs of a study: trained, taken up where they stopped, or taken as they are where they are finished.

A run of another config, or of other games, is an error: nothing that is finished is trained anew.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wm_cli import output
from wm_cli.errors import WmCliError
from wm_train.games.dataset import open_dataset

if TYPE_CHECKING:
    from wm_train.checkpoint import Checkpoint
    from wm_train.config import RunConfig
    from wm_train.fit.train import Progress

Shown = Callable[[str, "Progress"], None]


@contextmanager
def progress_of(count: int) -> Iterator[Shown]:
    """A bar over `count` runs, named after the one that trains."""
    runs: list[str] = []
    with output.progress_bar("study", count) as (bar, task):

        def shown(name: str, progress: "Progress") -> None:
            runs.extend([name] * (name not in runs))
            bar.update(task, completed=len(runs) - 1 + progress.share, description=name)

        yield shown


@dataclass(frozen=True)
class Study:
    """What a study, or one run of it, is made of: where games come from, the folder of the runs, and what they are."""

    dataset: Path
    out: Path
    config: "RunConfig"


def trained_run(study: Study, shown: Shown, qat: bool = False) -> "Checkpoint":
    """A study of one run, in the folder itself: trained, or taken up where it stopped, unless it is finished."""
    from wm_train.fit.train import FLOAT, Job, phases, train

    run, config = study.out, study.config
    every = zip((run / FLOAT, run), phases(config), strict=True) if qat else ((run, config),)
    kept = [_finished(folder, asked, study.dataset) for folder, asked in every]
    if kept[-1]:
        return kept[-1]
    return train(Job(study.dataset, run, config, qat, resume=True), lambda progress: shown(run.name, progress))


def _finished(run: Path, config: "RunConfig", dataset: Path) -> "Checkpoint | None":
    """What a run ended in, None if it has not. WmCliError if it is of another config, or of other games."""
    from wm_train.checkpoint import load_checkpoint
    from wm_train.measure.compare import config_differences

    if not (run / "run.json").exists():
        return None
    kept = load_checkpoint(run)
    advice = "give another --out, or delete that run"
    for row in config_differences(kept.config, config):
        raise WmCliError(f"{run}: was trained with {row['key']} = {row['first']}, expected {row['second']}; {advice}")
    if kept.split.get("fingerprint") != open_dataset(dataset).fingerprint:
        raise WmCliError(f"{run}: was trained on other games than those of {dataset}; {advice}")
    return kept
