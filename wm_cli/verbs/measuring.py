"""`wmq evaluate`, `rollout`, `diagnose`, `speculate`: models measured on games that they were not trained on."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from wm_cli import output, project
from wm_cli.artifacts import newest_model
from wm_cli.json_keys import BASELINE_KEYS, DIFFERENCE_KEYS, FELT_KEYS, LAW_KEYS, METRIC_KEYS, MODEL_KEYS
from wm_cli.number_types import Whole
from wm_cli.opening import OpenedModel, held_out_window, open_games, open_model
from wm_cli.options import dataset_option, folder_argument, frames_limit_option, json_option, verb
from wm_cli.packaged import World
from wm_cli.verdicts import verdict
from wm_train.config import DEVICES
from wm_train.errors import WmTrainError
from wm_train.games.corpus import MEASURED_GAMES
from wm_train.measure.measures import measures_of
from wm_train.ranges import ENDLESS, SEEDS
from wm_train.world.encoding import Encoding
from wm_train.world.registry import find_game

if TYPE_CHECKING:
    from wm_train.games.corpus import Corpus
    from wm_train.games.store import Games
    from wm_train.world.definition import Game

#: Of the game whose keys --help lists.
ROLES = find_game().roles
EVENTS = measures_of(Encoding(find_game().editions[-1].name)).events

device_option = click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="cpu",
    show_default=True,
    help="Where the network of a run computes. A QNet is interpreted on the processor.",
)


@verb(
    "wmq evaluate\nwmq evaluate run --dataset other-games --horizon 60 --json\nwmq evaluate run qnet-ptq run-qat qnet",
    prints=f"{MODEL_KEYS} compute_units {METRIC_KEYS} {BASELINE_KEYS} {DIFFERENCE_KEYS} games models path differences",
    stopped="figures of the models that were done are kept in figures; the same command begins again",
)
@click.argument("models", nargs=-1, type=World())
@dataset_option
@frames_limit_option
@click.option(
    "--games",
    type=Whole(1, ENDLESS),
    default=MEASURED_GAMES,
    show_default=True,
    help="At most this many held-out games, evenly spread.",
)
@click.option(
    "--horizon", "horizons", type=Whole(1, 3600), multiple=True, help="A further rollout horizon; repeatable."
)
@device_option
@json_option
def evaluate(
    models: tuple[Path, ...],
    dataset: Path,
    limit: int | None,
    games: int,
    horizons: tuple[int, ...],
    device: str,
    as_json: bool,
) -> None:
    """Measure runs or QNets on games they were not trained on, beside baselines that know no model.

    MODELS are run or QNet folders; if none is given qnet, else run-qat, else run. Several are measured on the same
    frames, and each is compared with the first.
    """
    from wm_cli.tables.accuracy import differences_table, felt_tables, metrics_table

    models = models or (newest_model(),)
    with output.progress_bar("evaluate", len(models)) as (bar, task):
        told = partial(bar.advance, task)
        measured = evaluate_models(models, dataset, limit or 0, horizons, told, device, games)
    lost = differences(models, measured)
    if as_json:
        several = {"models": [{"path": str(p), **m} for p, m in zip(models, measured, strict=True)]}
        output.print_json(measured[0] if len(models) == 1 else several | {"differences": lost})
        return
    names = [figures["model"]["form"] for figures in measured] if len(models) == 1 else list(map(str, models))
    rows = dict(zip(names, measured, strict=True)) | measured[0]["baselines"]
    tables = [metrics_table(rows, f"{measured[0]['frames']:,} held-out frames"), *felt_tables(rows)]
    if lost:
        tables.append(differences_table(lost, BARS))
    output.print_tables(tables)
    for path, name, figures in zip(models, names, measured, strict=True):
        units = figures["model"]["compute_units"]
        cost = f" On chain a frame takes about {units:,} compute units (`wmq cu {path}`)." if units else ""
        output.out.print(f"\n{name}: {verdict(figures)}{cost}", soft_wrap=True)


#: What a model may lose against the one that it was made from: points of a percent, percent, percent.
BARS = {"action_change_points": -0.3, "k10_percent": 2.0, "k20_percent": 2.0}


def evaluate_models(
    models: Sequence[Path],
    dataset: Path,
    limit: int = 0,
    further: Sequence[int] = (),
    advance: Callable[[float], None] = lambda share: None,
    device: str = "cpu",
    games: int = MEASURED_GAMES,
) -> list[dict[str, Any]]:
    """Metrics of each model, and the baselines', on the same frames: of games that none of them was trained on, `games`
    at most. `advance` is called as models are measured, with the share of one."""
    from wm_cli.frame_cost import units_of
    from wm_train.measure.evaluate import evaluate as measure
    from wm_train.measure.recorded import recorded
    from wm_train.measure.window import baselines as baselines_of

    found = [open_model(path, device=device) for path in models]
    origin = _common([one.origin for one in found])
    past = max(one.world.encoding.span for one in found) if len(found) > 1 else 0
    metrics = partial(measure, limit=limit, further=further, past=past)
    worlds = {one.world.encoding: one.world for one in found}
    held_out = {encoding: open_games(world, origin, dataset, games) for encoding, world in worlds.items()}
    _same_games(list(held_out.values()))
    shown = {encoding: recorded(dataset, encoding, origin["split"], origin["holdout"]) for encoding in worlds}
    baselines = {
        encoding: {
            name: metrics(base, those, encoding, recorded=shown[encoding])
            for name, base in baselines_of(encoding.game).items()
        }
        for encoding, those in held_out.items()
    }
    measured = []
    for one in found:
        encoding = one.world.encoding
        figures = metrics(one.model, held_out[encoding], encoding, recorded=shown[encoding], advance=advance)
        model = one.about | {"compute_units": units_of(one.shape)}
        about = {"model": model, "games": len(held_out[encoding].names), "baselines": baselines[encoding]}
        measured.append(figures | about)
        # A float run's QNet stands beside the QAT run's in the report: that is what QAT is for.
        project.keep_figures(f"evaluate-{one.name}", measured[-1])
    return measured


def _common(origins: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """An origin whose held-out games are those of all `origins`."""
    from wm_train.games.corpus import common_kinds

    lists = [origin["split"] for origin in origins]
    trained = set().union(*(split.get("train", ()) for split in lists))
    valid = set(lists[0].get("valid", ())).intersection(*(split.get("valid", ()) for split in lists))
    split = {"train": sorted(trained), "valid": sorted(valid), "only": common_kinds(lists)}
    return {"split": split, "holdout": min(origin["holdout"] for origin in origins)}


def _same_games(held_out: Sequence["Games"]) -> None:
    if len({games.names for games in held_out}) > 1:
        counts = " and ".join(str(len(games.names)) for games in held_out)
        raise WmTrainError(
            f"evaluate: the models' encodings can read {counts} of the held-out games, expected the same ones; "
            "evaluate them one by one"
        )


def differences(paths: Sequence[Path], measured: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What each model lost or won against the first: points of a percent for accuracies, percent for errors."""
    first = measured[0]

    def percent(figures: Mapping[str, Any], *keys: str) -> float:
        a: Any = first
        b: Any = figures
        for key in keys:
            a, b = a[key], b[key]
        return float(100 * (b / a - 1)) if a else 0.0

    def points(figures: Mapping[str, Any], key: str) -> float | None:
        """None where there is nothing to measure."""
        return None if None in (figures[key], first[key]) else 100 * (figures[key] - first[key])

    rows = []
    for path, figures in zip(paths[1:], measured[1:], strict=True):
        row = {
            "action_points": points(figures, "action_acc"),
            "action_change_points": points(figures, "action_change_acc"),
            "position_percent": percent(figures, "position_mae"),
            "k10_percent": percent(figures, "rollout", "10", "position_mae_mean"),
            "k20_percent": percent(figures, "rollout", "20", "position_mae_mean"),
        }
        known = ((value, bar) for key, bar in BARS.items() if (value := row[key]) is not None)
        within = all(value >= bar if bar < 0 else value <= bar for value, bar in known)
        rows.append({"from": str(paths[0]), "to": str(path), **row, "within": within})
    return rows


@verb(
    "wmq rollout --frames 120\nwmq rollout qnet --start 5000 --json\nwmq rollout --starts 20 --seconds 60",
    prints=(
        f"{MODEL_KEYS} games start position_error predicted real frames starts frames_ahead position_p50 "
        f"position_p90 apart_after action_acc {ROLES.lives}_acc inside plausible mean usual habits moves "
        f"{ROLES.grounded} still actions_a_minute {ROLES.damage}_a_minute {ROLES.lives}_a_minute baselines persistence "
        f"another_start {' '.join(f'{name}_a_minute' for name in EVENTS)} {LAW_KEYS} breaches.*"
    ),
)
@click.argument("model", type=World(), required=False)
@dataset_option
@click.option("--start", type=Whole(0, ENDLESS), help="Number of the held-out window to start at.  [default: 0]")
@click.option("--frames", type=Whole(1, 100_000), help="Frames to run.  [default: 300]")
@click.option("--seconds", type=Whole(1, 1_000), help="The same in seconds of 60 frames.")
@click.option("--starts", type=Whole(2, 1_000), help="So many worlds, from seeded windows, instead of one.")
@click.option("--seed", type=Whole(0, int(SEEDS.most)), default=0, show_default=True, help="Of those windows.")
@device_option
@json_option
def rollout(
    model: Path | None,
    dataset: Path,
    start: int | None,
    frames: int | None,
    seconds: int | None,
    starts: int | None,
    seed: int,
    device: str,
    as_json: bool,
) -> None:
    """Let a world run by itself on true inputs, and follow how far it drifts from the real game.

    With --starts many worlds run: how fast they drift, and whether what they show could be the game.
    """
    from wm_cli.tables.drifting import drift_tables, law_tables, track_table

    if (frames and seconds) or (starts and start is not None):
        raise click.UsageError("--frames and --seconds, or --start and --starts, cannot be given together")
    model = model or newest_model()
    length = frames or (seconds * open_model(model).world.game.fps if seconds else 300)
    if starts:
        with output.progress_bar("rollout", length) as (bar, task):
            figures = free_runs(model, dataset, length, starts, seed, lambda: bar.advance(task), device)
        tables = drift_tables(figures)
    else:
        figures = one_rollout(model, dataset, start or 0, length, device)
        tables = [track_table(figures["position_error"]), *law_tables(figures)]
    if as_json:
        output.print_json(figures)
    else:
        output.print_tables(tables)


def one_rollout(model: Path, dataset: Path, start: int, frames: int, device: str) -> dict[str, Any]:
    """One world against its game, frame by frame."""
    from wm_train.measure.worlds import rollout as run

    one, corpus, t = held_out_window(model, dataset, start, frames, device)
    predicted = run(one.model, corpus, one.world.encoding, np.array([t]), frames)[0]
    true = corpus.frames[t + 1 : t + 1 + frames]
    tracks = _tracks(one.world.game, predicted, true)
    return {"model": one.about, "start": start, **tracks, **_world_laws(one, dataset, corpus, t, predicted, true)}


def _world_laws(one: OpenedModel, dataset: Path, corpus: "Corpus", t: int, predicted: Any, true: Any) -> dict[str, Any]:
    """Laws of one world beside its game, and the frames ahead at which it breaks each; {} where no law is known."""
    from wm_train.measure.footage import with_past
    from wm_train.measure.lawful import breaches, law_figures
    from wm_train.measure.recorded import recorded

    encoding, at = one.world.encoding, np.array([t])
    measures = measures_of(encoding)
    if not measures.laws:
        return {}
    known = recorded(dataset, encoding, one.origin["split"], one.origin["holdout"])
    runs = {
        name: with_past(encoding.game, corpus, at, frames[None], measures.past)
        for name, frames in (("predicted", predicted), ("real", true))
    }
    games, own = runs["predicted"]
    by_law = breaches(measures, known.known, games)
    return {
        "laws": {name: law_figures(measures, known.known, *run) for name, run in runs.items()},
        "breaches": {name: (np.flatnonzero(mask[own].any(1)) + 1).tolist() for name, mask in by_law.items()},
        "recorded": known.to_json(),
    }


def _tracks(game: "Game", predicted: Any, true: Any) -> dict[str, Any]:
    from wm_train.measure.one_step import error
    from wm_train.world.rule_ops import ONE

    at = game.at(*game.roles.position)
    return {
        "position_error": error(game, predicted, true, game.roles.position).mean((1, 2)).tolist(),
        "predicted": (predicted[..., at] / ONE).tolist(),
        "real": (true[..., at] / ONE).tolist(),
    }


def longest_game(model: Path, dataset: Path) -> int:
    """Frames of the longest game that a model was not trained on."""
    corpus = open_model(model).held_out(dataset)
    return int(np.bincount(corpus.game).max())


def free_runs(
    model: Path,
    dataset: Path,
    frames: int,
    starts: int,
    seed: int,
    advance: Callable[[], None],
    device: str = "cpu",
) -> dict[str, Any]:
    """Many worlds that run by themselves: how far they drift, and what happens in them beside the real games."""
    from wm_train.measure.drift import drift_figures
    from wm_train.measure.recorded import recorded

    one = open_model(model, device=device)
    corpus, encoding = one.held_out(dataset), one.world.encoding
    shown = recorded(dataset, encoding, one.origin["split"], one.origin["holdout"])
    figures = drift_figures(one.model, corpus, encoding, frames, starts, seed, advance, shown)
    figures = {"model": one.about, "games": len(corpus.names), **figures}
    project.keep_figures(f"rollout-{one.name}", figures)
    return figures


@verb(
    "wmq diagnose\nwmq diagnose run --dataset other-games --json",
    prints=(
        f"{MODEL_KEYS} games frames flags.* gates name opens measure compared value threshold suspect "
        f"ordinary suspect_frames ordinary_frames open heads ids width changes rare common {FELT_KEYS} "
        "action_acc action_change_acc position_mae velocity_mae damage_mae "
        "interventions starts same idle another runs reacts action apart other"
    ),
)
@click.argument("model", type=World(), required=False)
@dataset_option
@click.option("--limit", type=Whole(1, ENDLESS), default=None, help="At most this many frames, evenly spread.")
@device_option
@json_option
def diagnose(model: Path | None, dataset: Path, limit: int | None, device: str, as_json: bool) -> None:
    """Where a run or a QNet errs on games it was not trained on, and which flag of its encoding might help.

    Also which events it finds, how it does where training has shown little, and whether its worlds do what players say.

    MODEL is a run or a QNet folder; if not given qnet, else run-qat, else run.
    """
    from wm_cli.tables.drifting import diagnosis_tables

    figures = diagnose_model(model or newest_model(), dataset, limit or 0, device)
    if as_json:
        output.print_json(figures)
        return
    output.print_tables(diagnosis_tables(figures))


def diagnose_model(model: Path, dataset: Path, limit: int, device: str) -> dict[str, Any]:
    """Measures on held-out games, and which gate each of them opens."""
    from wm_train.measure.diagnose import aside_of, head_figures, predicted, verdicts
    from wm_train.measure.interventions import intervention_figures
    from wm_train.measure.one_step import Felt, compared
    from wm_train.measure.recorded import recorded

    one = open_model(model, device=device)
    corpus, encoding = one.held_out(dataset), one.world.encoding
    extras = aside_of(one.world.game, dataset, corpus, one.origin["split"], one.origin["holdout"])
    seen = predicted(one.model, encoding, corpus, extras, limit)
    shown = recorded(dataset, encoding, one.origin["split"], one.origin["holdout"])
    figures = {
        "model": one.about,
        "games": len(corpus.names),
        "frames": len(seen.t),
        "flags": encoding.flags.given,
        "gates": [verdict.to_json() for verdict in verdicts(seen)],
        "heads": list(head_figures(seen, encoding)),
        **Felt.of(compared(corpus, encoding, seen.t, seen.after), corpus, encoding, shown).figures(),
        "interventions": intervention_figures(one.model, corpus, encoding),
    }
    project.keep_figures(f"diagnose-{one.name}", figures)
    return figures


@verb(
    "wmq speculate\nwmq speculate qnet --windows 3000 --json",
    prints=(
        f"{MODEL_KEYS} delays games frames inputs outcome player0 player1 all right recomputed runs "
        "count mean p50 p90 longest windows inputs_right different jump_mean jump_p99"
    ),
)
@folder_argument("model", None)
@dataset_option
@click.option("--windows", type=Whole(1, 100_000), default=1000, show_default=True, help="Held-out windows to try.")
@click.option("--seed", type=Whole(0, int(SEEDS.most)), default=0, show_default=True, help="Of those windows.")
@json_option
def speculate(model: Path | None, dataset: Path, windows: int, seed: int, as_json: bool) -> None:
    """What it costs to compute frames before their inputs have come, as if inputs repeated, and to roll back.

    By inputs alone over games of the dataset, and by what the model makes of them over held-out games: 256 at most,
    evenly spread, of either.
    """
    from wm_cli.tables.drifting import speculation_tables

    with output.err.status("speculate"):
        figures = speculation(model or newest_model(), dataset, windows, seed)
    if as_json:
        output.print_json(figures)
    else:
        output.print_tables(speculation_tables(figures))


def speculation(model: Path, dataset: Path, windows: int, seed: int) -> dict[str, Any]:
    """By inputs over usable games, by outcome over those that are held out."""
    from wm_train.games.corpus import load_corpus, measured, only_of, usable_games
    from wm_train.measure.speculation import DELAYS, inputs_figures, outcome_figures

    one = open_model(model)
    encoding = one.world.encoding
    games = load_corpus(dataset, measured(usable_games(dataset, encoding, only_of(one.origin["split"]))), encoding)
    by_inputs = {"games": len(games.names), "frames": len(games.game), **inputs_figures(games)}
    corpus = one.held_out(dataset)
    by_outcome = {"games": len(corpus.names), **outcome_figures(one.model, corpus, encoding, windows, seed)}
    figures = {"model": one.about, "delays": list(DELAYS), "inputs": by_inputs, "outcome": by_outcome}
    project.keep_figures(f"speculate-{one.name}", figures)
    return figures
