"""`wmq study qat`: what INT8 costs, over configs and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from wm_cli import output, project
from wm_cli.artifacts import DATASET, need
from wm_cli.experiments import ConfigFile
from wm_cli.json_keys import DIFFERENCE_KEYS, METRIC_KEYS
from wm_cli.number_types import SeedList, minutes_type
from wm_cli.options import dataset_option, frames_limit_option, json_option, path_option, verb
from wm_cli.verbs.measuring import differences
from wm_cli.verbs.study_runs import GOES_ON, STARTS, Shown, Study, figures_kept, progress_of, through_grid, trained_run
from wm_cli.verbs.training import run_config
from wm_train.writer import one_writer

if TYPE_CHECKING:
    from wm_train.config import RunConfig

#: Form of a study's models -> (run folder beside the QAT run, whether it goes through the grid).
FORMS = {"float": ("float", False), "ptq": ("float", True), "qat": (".", True)}


@verb(
    "wmq study qat --config experiments/mlp-v22.yaml --config experiments/mamba2-1.2m.yaml\n"
    "wmq study qat --config mine.yaml --seeds 0,1,2,3,4 --json",
    prints=(
        f"{METRIC_KEYS} {DIFFERENCE_KEYS} runs configs config seed seeds parameters forms means float "
        "ptq qat lost steps held_out"
    ),
    stopped=GOES_ON,
)
@click.option(
    "--config", "configs", type=ConfigFile(), multiple=True, required=True,
    help="Name of an experiment, or YAML file of a model and its training; repeatable.",
)  # fmt: skip
@dataset_option
@path_option("--out", project.STUDY, "Folder for the runs.")
@click.option("--seeds", type=SeedList(), default="0,1,2", show_default=True, help="Seeds, with commas between.")
@click.option(
    "--minutes",
    type=minutes_type,
    help="Processor minutes of each, QAT included, not the config's.",
)
@frames_limit_option
@json_option
def qat(
    configs: tuple[Path, ...],
    dataset: Path,
    out: Path,
    seeds: list[int],
    minutes: float | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """What INT8 costs: each config with each seed in float, rounded afterwards (PTQ), and trained through the grid.

    Interrupted, it goes on with the run that it stopped in.
    """
    from wm_cli.tables.accuracy import qat_table

    need(dataset, DATASET, option="--dataset")
    wanted = {path.stem: run_config(path, minutes=minutes, steps=None, seed=None) for path in configs}
    with one_writer(out, "study qat"), progress_of(len(wanted) * len(seeds)) as shown:
        figures = qat_study(dataset, out, wanted, seeds, limit or 0, shown)
    output.show(as_json, figures, *map(qat_table, figures["configs"]))


def qat_study(
    dataset: Path, out: Path, configs: "Mapping[str, RunConfig]", seeds: Sequence[int], limit: int, shown: Shown
) -> dict[str, Any]:
    """Each config with each seed, in float, rounded to the grid afterwards, and trained through it."""
    rows = [
        _one_seed(Study(dataset, out / f"{name}-{seed}", _seeded(config, seed)), name, limit, shown)
        for name, config in configs.items()
        for seed in seeds
    ]
    figures = {"runs": rows, "configs": [_summary(name, [r for r in rows if r["config"] == name]) for name in configs]}
    project.keep_figures("study-qat", figures)
    return figures


def _seeded(config: "RunConfig", seed: int) -> "RunConfig":
    return replace(config, train=replace(config.train, seed=seed))


def _one_seed(study: Study, name: str, limit: int, shown: Shown) -> dict[str, Any]:
    from wm_train.shapes import parameter_count

    trained_run(study, shown, qat=True)
    forms = {form: _form_figures(study, form, limit) for form in FORMS}
    model = study.config.model
    return {"config": name, "seed": study.config.train.seed, "parameters": parameter_count(model), "forms": forms}


def _form_figures(study: Study, form: str, limit: int) -> dict[str, Any]:
    """Held-out metrics of one form of the study's model, kept beside it with what they are of."""
    from wm_train.checkpoint import digest, load_checkpoint
    from wm_train.nets.predict import held_out_figures

    folder, rounded = FORMS[form]
    run = study.out / folder
    checkpoint = load_checkpoint(run)
    model = through_grid(checkpoint) if rounded else checkpoint

    def measured() -> dict[str, Any]:
        return held_out_figures(model, study.dataset, limit, STARTS) | dict(checkpoint.figures)

    of = {"run": digest(run), "form": model.form, "limit": limit, "starts": STARTS}
    return figures_kept(study.out / f"{form}.json", of, measured)


def _summary(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the seeds of one config, and what the others lost against float."""
    means = {form: _means([row["forms"][form] for row in rows]) for form in FORMS}
    others = [form for form in FORMS if form != "float"]
    lost = differences([Path("float"), *map(Path, others)], [means["float"], *(means[form] for form in others)])
    return {"config": name, "seeds": len(rows), "parameters": rows[0]["parameters"], "means": means, "lost": lost}


def _means(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of every number that all of them have, objects in them included."""
    means: dict[str, Any] = {}
    for key in figures[0]:
        values: list[Any] = [one.get(key) for one in figures]
        if all(isinstance(value, Mapping) for value in values):
            means[key] = _means(values)
        elif all(isinstance(value, int | float) for value in values):
            means[key] = float(np.mean(values))
    return means
