"""The runs of a study: trained, taken up where they stopped, or taken as they are where they are finished.

A run of another config, or of other games, is an error: nothing that is finished is trained anew.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wm_cli import output, project
from wm_cli.errors import WmCliError
from wm_cli.kept_schemas import STUDIED

if TYPE_CHECKING:
    from wm_train.checkpoint import Checkpoint
    from wm_train.config import RunConfig

#: What Ctrl-C leaves of a study.
GOES_ON = "its runs are kept as they are; the same command goes on with the one that it stopped in"
#: Rollouts of each form. A single wrong teleport is worth 5 % of the mean over the 300 of an evaluation: too much for
#: differences of 2 %.
STARTS = 1500
Shown = Callable[[str, float], None]


@contextmanager
def progress_of(count: int) -> Iterator[Shown]:
    """A bar over `count` runs, named after the one that trains."""
    runs: list[str] = []
    with output.progress_bar("study", count) as (bar, task):

        def shown(name: str, share: float) -> None:
            runs.extend([name] * (name not in runs))
            bar.update(task, completed=len(runs) - 1 + share, description=name)

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
    return train(Job(study.dataset, run, config, qat, resume=True), moved=lambda share: shown(run.name, share))


def started_run(study: Study, start: Path, shown: Shown, stock: bool = False) -> "Checkpoint":
    """A QAT run from the float run at `start`, through the grid or, if `stock`, through torchao's own fake quantizers:
    trained, or taken up where it stopped, unless it is finished."""
    from wm_train.fit.train import Job, train

    run, config = study.out, study.config
    if kept := _finished(run, start, config, study.dataset):
        return kept
    job = Job(study.dataset, run, config, qat=True, start=start, resume=True, stock=stock)
    return train(job, moved=lambda share: shown(run.name, share))


def through_grid(checkpoint: "Checkpoint") -> "Checkpoint":
    """The same parameters seen through the grid: what `wmq quantize` makes of them."""
    return replace(checkpoint, form="qat")


def figures_kept(path: Path, of: Mapping[str, Any], measured: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `path` holds, if it is of the same; else it is measured, and held there from now on."""
    kept = project.kept(path, STUDIED)
    if kept is not None and kept["of"] == of:
        return dict(kept["figures"])
    figures = measured()
    project.keep(path, {"of": of, "figures": figures})
    return figures


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
