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

if TYPE_CHECKING:
    from wm_train.checkpoint import Checkpoint
    from wm_train.config import RunConfig
    from wm_train.fit.train import Progress

#: What Ctrl-C leaves of a study.
GOES_ON = "its runs are kept as they are; the same command goes on with the one that it stopped in"
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
    from wm_train.fit.resume import FLOAT
    from wm_train.fit.train import Job, phases, train

    run, config = study.out, study.config
    floating = run / FLOAT
    every = zip((floating, run), (None, floating), phases(config), strict=True) if qat else ((run, None, config),)
    kept = [_finished(folder, start, asked, study.dataset) for folder, start, asked in every]
    if kept[-1]:
        return kept[-1]
    return train(Job(study.dataset, run, config, qat, resume=True), lambda progress: shown(run.name, progress))


def _finished(run: Path, start: Path | None, config: "RunConfig", dataset: Path) -> "Checkpoint | None":
    """What a run ended in, None if it has not. WmCliError if it is of another config, of other games, or of another
    float run than the one at `start`."""
    from wm_train.checkpoint import digest, load_checkpoint
    from wm_train.games.corpus import split_games
    from wm_train.measure.compare import config_differences, first_difference

    if not (run / "run.json").exists():
        return None
    kept = load_checkpoint(run)
    advice = "give another --out, or delete that run"
    for row in config_differences(kept.config, config):
        raise WmCliError(f"{run}: was trained with {row['key']} = {row['first']}, expected {row['second']}; {advice}")
    split = split_games(dataset, config.model.world.encoding, **config.train.split)
    if first_difference(kept.split, split.to_json()):
        raise WmCliError(f"{run}: was trained on other games than those of {dataset}; {advice}")
    if kept.parent != (digest(start) if start else None):
        raise WmCliError(f"{run}: was trained from another float run than the one in {start}; {advice}")
    return kept
