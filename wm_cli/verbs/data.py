"""`wmq ingest`, `encode`, `overlap`: replays into datasets, datasets made faster to read, and games compared."""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wm_cli import output, project
from wm_cli.artifacts import DATASET, QNET, RUN, need
from wm_cli.experiments import ConfigFile, need_config
from wm_cli.number_types import Whole
from wm_cli.options import dataset_option, json_option, path_option, verb
from wm_cli.plain_text import plain

if TYPE_CHECKING:
    from wm_train.games.ingest import IngestReport
    from wm_train.games.overlap import Use

workers_option = click.option("--workers", type=Whole(1, 1_024), help="Processes; one per core if not given.")
ray_option = click.option(
    "--ray",
    "address",
    metavar="ADDRESS",
    help="Let the machines of a Ray cluster do it: host:port, or local for one on this machine.",
)


@verb(
    "wmq ingest ~/replays\nwmq ingest game1.slp game2.slp --json\nwmq ingest /shared/replays --ray head:6379",
    prints=(
        "games frames kinds.* rowless.* rounded parsed known duplicates sources fingerprint seconds "
        "rejected name reason detail"
    ),
    stopped="games that were read are kept and listed; the same command goes on",
)
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@path_option("--out", project.DATASET, "Dataset folder to write or add to.")
@workers_option
@ray_option
@json_option
def ingest(sources: tuple[Path, ...], out: Path, workers: int | None, address: str | None, as_json: bool) -> None:
    """Read .slp replays (files or folders) into a dataset. Files known already are not read again.

    Exit code 1 if the dataset has no game at all.
    """
    report = read_replays(sources, out, workers, address)
    lines = [
        f"{out}: {report.games} games, {report.frames:,} frames "
        f"({report.parsed} read now, {report.known} known, {report.duplicates} duplicates)"
    ]
    lines += [f"  {text}" for text in _told(report)]
    lines += [
        f"  left out: {plain(rejected.name)}: {rejected.reason}: {plain(rejected.detail)}"
        for rejected in report.rejected
    ]
    output.say(as_json, asdict(report), "\n".join(lines))
    sys.exit(0 if report.games else 1)


def _told(report: "IngestReport") -> list[str]:
    """What is worth knowing of the games before one trains on them, in words."""
    from wm_train.games.rowless import in_words
    from wm_train.world.definition import STANDARD

    told = []
    if set(report.kinds) - {STANDARD}:
        kinds = ", ".join(f"{count} {kind}" for kind, count in report.kinds.items())
        told.append(f"of kind {kinds}; `wmq train` takes {STANDARD} ones unless --only or --cpu say otherwise")
    if report.rowless:
        told.append(f"ids without a row of their own, taken for unknown ones: {in_words(report.rowless)}")
    if report.rounded:
        told.append(
            f"in {report.rounded} games inputs stand where no controller's can, and were rounded; see `meta.json`"
        )
    return told


def read_replays(
    sources: Sequence[Path], out: Path, workers: int | None = None, address: str | None = None
) -> "IngestReport":
    """Replays into the dataset `out`, under a progress bar."""
    from wm_train.games.ingest import find_sources
    from wm_train.games.ingest import ingest as read

    with output.progress_bar("ingest", len(find_sources(sources))) as (bar, task):
        return read(sources, out, workers, lambda done, total, outcome: bar.update(task, completed=done), address)


@verb(
    "wmq encode\nwmq encode --config mamba2-1.2m --dataset /shared/dataset --ray head:6379 --json",
    prints="games encoded known skipped removed bytes seconds",
    stopped="games that were encoded are kept; the same command goes on",
)
@dataset_option
@click.option(
    "--config", type=ConfigFile(), help="Name of an experiment, or YAML file, whose encoding it is for, as in train."
)
@workers_option
@ray_option
@json_option
def encode(dataset: Path, config: Path | None, workers: int | None, address: str | None, as_json: bool) -> None:
    """Write a dataset's games as integers that training maps instead of reading. Games known already are kept.

    They go into DATASET/encoded. Everything works without them, more slowly.
    """
    figures = encode_dataset(dataset, config, workers, address)
    output.say(
        as_json,
        figures,
        f"{dataset}: {figures['games']} games encoded ({figures['encoded']} now, {figures['known']} known), "
        f"{figures['bytes']:,} bytes",
    )


def encode_dataset(dataset: Path, config: Path | None, workers: int | None, address: str | None) -> dict[str, Any]:
    """The dataset's games as integers of the config's encoding, beside it."""
    from wm_train.config import load_config
    from wm_train.games.encoded import encode as write

    need(dataset, DATASET, option="--dataset")
    need_config(config)
    encoding = load_config(config).model.world.encoding
    with output.progress_bar("encode", None) as (bar, task):
        shown = lambda done, total: bar.update(task, completed=done, total=total)  # noqa: E731
        report = write(dataset, encoding, workers, shown, address)
        bar.update(task, completed=report.games, total=report.games)
    return asdict(report)


@verb(
    "wmq overlap run other-run\nwmq overlap qnet other-games --json",
    prints="games_a games_b shared ok pairs a b leak games",
)
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@json_option
def overlap(a: Path, b: Path, as_json: bool) -> None:
    """Games that two runs, QNets or datasets share, by what they are to either: train/valid and so on.

    Exit code 1 if one was trained on games that the other holds out.
    """
    figures = shared_games(a, b)
    lines = [f"{figures['shared']} games shared, of {figures['games_a']} of {a} and {figures['games_b']} of {b}"]
    for pair in figures["pairs"]:
        lines.append(
            f"  {pair['a']}/{pair['b']}: {len(pair['games'])}{'  trained on here, held out there' * pair['leak']}"
        )
    output.say(as_json, figures, "\n".join(lines))
    sys.exit(0 if figures["ok"] else 1)


def shared_games(first: Path, second: Path) -> dict[str, Any]:
    """Games that both use, by their use in either."""
    from wm_train.games.overlap import overlap as compare

    a, b = use_of(first), use_of(second)
    found = compare(a, b)
    pairs = [{"a": pair.first, "b": pair.second, "leak": pair.leak, "games": list(pair.games)} for pair in found]
    return {
        "games_a": len(a.roles),
        "games_b": len(b.roles),
        "shared": sum(len(pair.games) for pair in found),
        "ok": not any(pair.leak for pair in found),
        "pairs": pairs,
    }


def use_of(folder: Path) -> "Use":
    """The games of a run, a QNet or a dataset. Raises WmCliError if the folder is none of them."""
    from wm_cli.opening import open_qnet, open_run, origin_of
    from wm_train.games.dataset import read_meta
    from wm_train.games.overlap import use_of_dataset, use_of_split

    need(folder, QNET, RUN, DATASET)
    if DATASET.lies_at(folder):
        return use_of_dataset(str(folder), read_meta(folder))
    origin = origin_of(open_qnet(folder).provenance) if QNET.lies_at(folder) else open_run(folder).origin
    return use_of_split(str(folder), origin["split"], origin["holdout"])
