"""`python -m wm_cli.packing NAME --start RUN --qat RUN --dataset DATASET`: makes a world that comes with wmq.

It writes wm_cli/worlds/NAME (packaged.py says what lies there). --start is the float run that others train further;
with --qat, a QAT run of it, there is a QNet to be played too. The float run and the QNet are measured on the held-out
games of --dataset; manifest.json keeps what `wmq evaluate --limit 30000` and `wmq rollout --starts 24 --frames 1200`
say of them, the runs' configs, and the MD5s of the recordings.
"""

import contextlib
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import numpy as np

from wm_cli import output
from wm_cli.errors import WmCliError
from wm_cli.packaged import PARTS, START, VALUES, WORLDS, unpack
from wm_train.artifact import check_folder
from wm_train.checkpoint import RUN_JSON, digest, load_checkpoint
from wm_train.files import atomic_write_files, atomic_write_json
from wm_train.games.dataset import open_dataset
from wm_train.shapes import array_shapes

FORMAT = "wmq-world-1"
#: Bytes of one file at most, and values of a part of the parameters.
MOST_BYTES = (1 << 20) - 1
PART_VALUES = 500_000
#: Key of the figures of a world to be played.
QNET = "qnet"
#: Held-out frames that are measured one step ahead, at most.
LIMIT = 30_000
#: Worlds that are left alone, and for how many frames.
ALONE = (24, 1200)
#: What of the figures says how good a world is; the rest says how it was measured.
_ONE_STEP = ("frames", "games", "action_acc", "action_change_acc", "position_mae", "position_p50", "velocity_mae")
_AHEAD = ("position_mae_mean", "position_mae_last", "action_acc_last", "lawful")
_ALONE = ("starts", "frames", "apart_after", "usual", "habits", "laws")


@click.command()
@click.argument("name")
@click.option("--start", type=click.Path(path_type=Path), required=True, help="The float run.")
@click.option("--qat", type=click.Path(path_type=Path), help="A QAT run of it.")
@click.option("--dataset", type=click.Path(path_type=Path), required=True, help="The dataset that both trained on.")
def pack(name: str, start: Path, qat: Path | None, dataset: Path) -> None:
    """Make a world that comes with wmq."""
    folder, runs = WORLDS / name, {"float": start} | ({"qat": qat} if qat else {})
    folder.mkdir(parents=True, exist_ok=True)
    check_folder(folder, WmCliError, (START,))
    pack_start(start, folder / START)
    models = {"float": start.resolve()}
    if qat:
        models[QNET] = pack_qnet(qat, folder)
    made = manifest(runs, dataset) | {"figures": measured(models, dataset.resolve())}
    atomic_write_json(folder / "manifest.json", made)
    for path in (path for path in folder.rglob("*") if path.is_file() and path.stat().st_size > MOST_BYTES):
        raise WmCliError(f"{path}: {path.stat().st_size:,} bytes, expected at most {MOST_BYTES:,}")
    output.out.print(f"{folder}: {sum(path.stat().st_size for path in folder.rglob('*') if path.is_file()):,} bytes")


def pack_start(run: Path, start: Path) -> None:
    """The float run's run.json, and its parameters in float16, as one vector in files of PART_VALUES at most."""
    from safetensors.numpy import save

    checkpoint = load_checkpoint(run)
    if checkpoint.form != "float":
        raise WmCliError(f"{run}: is a run of form {checkpoint.form}, expected a float run")
    named = [checkpoint.arrays[name].ravel() for name in array_shapes(checkpoint.config.model)]
    values = np.concatenate(named).astype(np.float16)
    if not np.isfinite(values).all():
        raise WmCliError(f"{run}: has parameters beyond float16")
    start.mkdir(exist_ok=True)
    for old in start.glob(PARTS):
        old.unlink()
    pieces = np.array_split(values, -(-len(values) // PART_VALUES))
    files = {start / PARTS.replace("*", str(n)): save({VALUES: piece}) for n, piece in enumerate(pieces, 1)}
    atomic_write_files({**files, start / "run.json": RUN_JSON.read(run / "run.json")})
    with tempfile.TemporaryDirectory() as folder:
        unpack(start, Path(folder))


def pack_qnet(run: Path, folder: Path) -> Path:
    """The QAT run's integers, proved."""
    from wm_quant.convert import quantize
    from wm_quant.prove import prove
    from wm_quant.qnet import save_qnet

    net = quantize(run)
    prove(net)
    save_qnet(folder, net)
    return folder


def measured(models: Mapping[str, Path], dataset: Path) -> dict[str, Any]:
    """Figures of each model by its form, of worlds left alone where there is one to be played, and of baselines."""
    from wm_cli.verbs.measuring import evaluate_models, free_runs

    starts, frames = ALONE
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # verbs keep figures where they are called
        steps = dict(zip(models, evaluate_models(list(models.values()), dataset, LIMIT), strict=True))
        played = models if QNET in models else {}
        alone = {form: free_runs(path, dataset, frames, starts, 0, lambda: None) for form, path in played.items()}
    found = {form: one_step(steps[form]) for form in models}
    for form, figures in alone.items():
        found[form]["alone"] = _picked(figures, _ALONE)
    return found | {name: one_step(figures) for name, figures in next(iter(steps.values()))["baselines"].items()}


def one_step(figures: Mapping[str, Any]) -> dict[str, Any]:
    """What an evaluation says first."""
    rollout = {ahead: _picked(row, _AHEAD) for ahead, row in figures["rollout"].items()}
    return {**_picked(figures, _ONE_STEP), "rollout": rollout}


def _picked(figures: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: figures[key] for key in keys if key in figures}


def manifest(runs: Mapping[str, Path], dataset: Path) -> dict[str, Any]:
    """How the runs were made: configs, seeds and lengths, and the recordings' MD5s."""
    made = {form: load_checkpoint(run) for form, run in runs.items()}
    games, split = open_dataset(dataset).by_match, made["float"].split
    if missing := sorted({*split["train"], *split["valid"]} - set(games)):
        raise WmCliError(f"{dataset}: lacks game {missing[0]}, expected every game that the run was trained on")
    sides = {side: sorted(games[match].md5 for match in split[side]) for side in ("train", "valid")}
    return {
        "format": FORMAT,
        "wmq": version("wmq"),
        "runs": {
            form: {
                "config": run.config.to_json(),
                "figures": dict(run.figures),
                "sha256": digest(runs[form]),
                "parent": run.parent,
            }
            for form, run in made.items()
        },
        "md5": sides,
    }


if __name__ == "__main__":
    pack()
