"""`wmq study rivals`: the grid beside torchao's own ways to small integers, on one float run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wm_cli import output, project
from wm_cli.artifacts import DATASET, FLOAT_RUN, need
from wm_cli.json_keys import DIFFERENCE_KEYS, METRIC_KEYS
from wm_cli.number_types import minutes_type, steps_type
from wm_cli.options import dataset_option, frames_limit_option, json_option, path_option, verb
from wm_cli.verbs.measuring import differences
from wm_cli.verbs.study_runs import (
    GOES_ON,
    STARTS,
    Shown,
    Study,
    figures_kept,
    progress_of,
    started_run,
    through_grid,
)
from wm_train.writer import one_writer

if TYPE_CHECKING:
    from wm_train.checkpoint import Checkpoint
    from wm_train.config import RunConfig

#: Work of a QAT run, of its float run's: `train --qat` from nothing divides its time so.
QAT_SHARE = 2 / 3
#: QAT runs of a study -> whether through torchao's own fake quantizers.
QAT_RUNS = {"wmq_qat": False, "torchao_qat": True}


@verb(
    "wmq study rivals\nwmq study rivals runs/mamba2-1.2m --minutes 10 --limit 12000 --json",
    prints=(
        f"{METRIC_KEYS} {DIFFERENCE_KEYS} run parameters forms float wmq_ptq wmq_qat torchao_int8_dynamic "
        "torchao_int8_static torchao_int4_weight_only torchao_int4_unpacked torchao_qat why lost steps held_out"
    ),
    stopped=GOES_ON,
)
@click.argument("run", type=click.Path(path_type=Path), default=project.RUN)
@dataset_option
@path_option("--out", project.STUDY, "Folder for the QAT runs.")
@click.option("--minutes", type=minutes_type, help="Processor minutes of each QAT run.  [default: two thirds of RUN's]")
@click.option("--steps", type=steps_type, help="Steps of each QAT run.  [default: two thirds of RUN's]")
@frames_limit_option
@json_option
def rivals(
    run: Path,
    dataset: Path,
    out: Path,
    minutes: float | None,
    steps: int | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """What exactness costs or wins: RUN, a float run, rounded and trained on by wmq and by torchao's own quantizers.

    Interrupted, it goes on with the run that it stopped in.
    """
    from wm_cli.tables.accuracy import rivals_table
    from wm_train.checkpoint import load_checkpoint

    need(dataset, DATASET, option="--dataset")
    need(run, FLOAT_RUN)
    floating = load_checkpoint(run)
    study = Study(dataset, out, _qat_config(floating.config, minutes, steps))
    with one_writer(out, "study rivals"), progress_of(len(QAT_RUNS)) as shown:
        figures = rivals_study(study, run, floating, limit or 0, shown)
    output.show(as_json, figures, rivals_table(figures))


def _qat_config(config: "RunConfig", minutes: float | None, steps: int | None) -> "RunConfig":
    """The config of a study's QAT runs; a limit that is given is the only one."""
    from wm_train.ranges import ENDLESS

    train = config.train
    if minutes is None and steps is None:
        few = train.steps if train.steps == ENDLESS else max(1, round(train.steps * QAT_SHARE))
        minutes, steps = train.minutes * QAT_SHARE, few
    return replace(config, train=replace(train, minutes=minutes or 0.0, steps=steps or ENDLESS))


def rivals_study(study: Study, run: Path, floating: "Checkpoint", limit: int, shown: Shown) -> dict[str, Any]:
    """Every form of a float run, measured on the same frames and rollouts, and what each lost against float."""
    from wm_train.nets.rivals import RIVALS
    from wm_train.shapes import parameter_count

    trained = {name: study.out / f"{run.name}-{name}" for name in QAT_RUNS}
    for name, stock in QAT_RUNS.items():
        started_run(replace(study, out=trained[name]), run, shown, stock)
    of = {form: trained.get(form, run) for form in ("float", "wmq_ptq", "wmq_qat", *RIVALS)}
    forms = {form: _form_figures(study, run.name, form, folder, limit) for form, folder in of.items()}
    figures = {
        "run": str(run),
        "parameters": parameter_count(floating.config.model),
        "forms": forms,
        "lost": _lost(forms),
    }
    project.keep_figures(f"study-rivals-{run.name}", figures)
    return figures


def _form_figures(study: Study, name: str, form: str, folder: Path, limit: int) -> dict[str, Any]:
    """Held-out metrics of one form of the run in a folder, kept beside the study's runs with what they are of."""
    from wm_train.checkpoint import digest, load_checkpoint
    from wm_train.nets.predict import held_out_figures
    from wm_train.nets.rivals import RIVALS, rival_figures

    checkpoint = load_checkpoint(folder)

    def measured() -> dict[str, Any]:
        if form in RIVALS:
            return rival_figures(checkpoint, form, study.dataset, limit, STARTS) | dict(checkpoint.figures)
        model = checkpoint if form == "float" else through_grid(checkpoint)
        return held_out_figures(model, study.dataset, limit, STARTS) | dict(checkpoint.figures)

    of = {"run": digest(folder), "form": form, "limit": limit, "starts": STARTS}
    return figures_kept(study.out / f"{name}-{form}.json", of, measured)


def _lost(forms: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    measured = {form: figures for form, figures in forms.items() if "why" not in figures}
    return differences([Path(form) for form in measured], list(measured.values()))
