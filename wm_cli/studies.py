"""Studies: several runs that differ in one thing, trained and measured by one command.

A study that was interrupted goes on: runs that are finished and of the same config are taken as they are.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_cli import project
from wm_cli.errors import WmCliError
from wm_cli.measures import differences
from wm_train.dataset import open_dataset
from wm_train.files import atomic_write_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wm_train.checkpoint import Checkpoint
    from wm_train.config import RunConfig
    from wm_train.train import Progress
    from wm_train.windows import Corpus

#: Share of a character's games that neither run of a study trains on.
TEST_SHARE = 0.5
#: Games with and without a character that it must have to be one of "all".
MIN_GAMES = 6
#: Run of a study -> whether it trains on the character's other games.
ARMS = {"unseen": False, "seen": True}

Shown = Callable[[str, "Progress"], None]


@dataclass(frozen=True)
class Study:
    """What every run of a study has in common: where games come from, where runs go, and what they are."""

    dataset: Path
    out: Path
    config: "RunConfig"


def characters(dataset: Path, asked: str) -> list[int]:
    """Character-select ids to study: the one that is asked for, or all that have games enough. WmCliError if none."""
    games = open_dataset(dataset).games
    having = Counter(character for game in games for character in set(game.characters))
    if asked != "all":
        if not asked.isdecimal() or int(asked) not in having:
            known = ", ".join(map(str, sorted(having)))
            raise WmCliError(f"character {asked}: expected all, or one of those in {dataset}: {known}")
        return [int(asked)]
    enough = [one for one, count in sorted(having.items()) if min(count, len(games) - count) >= MIN_GAMES]
    if not enough:
        raise WmCliError(
            f"{dataset}: no character is in {MIN_GAMES} games and absent from {MIN_GAMES}; "
            "ingest more games, or name one with --character"
        )
    return enough


def character_study(study: Study, ids: Sequence[int], shown: Shown) -> dict[str, Any]:
    """`wmq study character`: for each character, a run that never saw it beside one of as many games that did."""
    figures = {"runs": str(study.out), "characters": [_one_character(study, character, shown) for character in ids]}
    project.keep_figures("study-character", figures)
    return figures


def _one_character(study: Study, character: int, shown: Shown) -> dict[str, Any]:
    from wm_train.evaluate import BASELINES
    from wm_train.predict import checkpoint_model
    from wm_train.windows import load_corpus

    runs = {arm: _trained(study, character, arm, shown) for arm in ARMS}
    encoding = study.config.model.world.encoding
    corpus = load_corpus(study.dataset, runs["unseen"].split["valid"], encoding)
    players = _players(study.dataset, corpus, character)
    arms = {arm: _measured(checkpoint_model(run), corpus, encoding, players) for arm, run in runs.items()}
    return {
        "character": character,
        "test_games": len(corpus.names),
        "train_games": {arm: len(run.split["train"]) for arm, run in runs.items()},
        "with_character": {arm: _having(study.dataset, run, character) for arm, run in runs.items()},
        "arms": arms,
        "baselines": {name: _measured(base, corpus, encoding, players) for name, base in BASELINES.items()},
    }


def _trained(study: Study, character: int, arm: str, shown: Shown) -> "Checkpoint":
    """A finished run of the study, trained now if it is not there."""
    from wm_train.checkpoint import load_checkpoint
    from wm_train.train import RESUME_FILE, Job, train

    held: dict[str, Any] = {"holdout": TEST_SHARE, "hold_character": character, "hold_seen": ARMS[arm]}
    config = replace(study.config, train=replace(study.config.train, **held))
    run = study.out / f"character-{character}-{arm}"
    if (run / "run.json").exists() and (kept := load_checkpoint(run)).config == config:
        return kept
    job = Job(study.dataset, run, config, resume=(run / RESUME_FILE).exists())
    return train(job, lambda progress: shown(run.name, progress))


def _players(dataset: Path, corpus: "Corpus", character: int) -> "NDArray[np.bool_]":
    """(T, 2) which player of each frame is the character."""
    games = {game.md5: game for game in open_dataset(dataset).games}
    each = np.array([[one == character for one in games[name].characters] for name in corpus.names])
    return np.asarray(each[corpus.game])


def _having(dataset: Path, run: "Checkpoint", character: int) -> int:
    """How many of a run's training games have the character."""
    trained = set(run.split["train"])
    return sum(game.md5 in trained and character in game.characters for game in open_dataset(dataset).games)


def _measured(model: Any, corpus: "Corpus", encoding: Any, players: "NDArray[np.bool_]") -> dict[str, Any]:
    """Metrics of both players, and of the character's alone."""
    from wm_train.evaluate import one_step, rollout_figures, window_ends

    errors = one_step(model, corpus, encoding, window_ends(corpus, encoding))
    return errors.figures() | {
        "own": errors.of(players[errors.t]),
        "rollout": rollout_figures(model, corpus, encoding),
    }


# -------------------------------------------------------------------------------------------------------------- QAT

#: Form of a study's models -> (run folder beside the QAT run, whether it goes through the grid).
FORMS = {"float": ("float", False), "ptq": ("float", True), "qat": (".", True)}


def qat_study(
    dataset: Path, out: Path, configs: "Mapping[str, RunConfig]", seeds: Sequence[int], limit: int, shown: Shown
) -> dict[str, Any]:
    """`wmq study qat`: each config with each seed, in float, rounded to the grid afterwards, and trained through it."""
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
    from wm_train.checkpoint import load_checkpoint
    from wm_train.shapes import parameter_count
    from wm_train.train import Job, train

    run, label = study.out, study.out.name
    if not (run / "run.json").exists():
        job = Job(study.dataset, run, study.config, qat=True, resume=run.exists())
        train(job, lambda progress: shown(label, progress))
    forms = {}
    for form, (folder, through_grid) in FORMS.items():
        checkpoint = load_checkpoint(run / folder)
        forms[form] = _kept(
            run / f"{form}.json", _through_grid(checkpoint) if through_grid else checkpoint, study, limit
        )
    model = study.config.model
    return {"config": name, "seed": study.config.train.seed, "parameters": parameter_count(model), "forms": forms}


def _through_grid(checkpoint: "Checkpoint") -> "Checkpoint":
    """The same parameters seen through the grid: what `wmq quantize` makes of them."""
    return replace(checkpoint, form="qat")


def _kept(path: Path, checkpoint: "Checkpoint", study: Study, limit: int) -> dict[str, Any]:
    """Held-out metrics of a model of the study; taken from its folder if they were measured before."""
    from wm_train.predict import held_out_figures

    if not path.exists():
        atomic_write_json(path, held_out_figures(checkpoint, study.dataset, limit) | dict(checkpoint.figures))
    kept: dict[str, Any] = json.loads(path.read_text())
    return kept


def _summary(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the seeds of one config, and what the others lost against float."""
    means = {form: _means([row["forms"][form] for row in rows]) for form in FORMS}
    others = [form for form in FORMS if form != "float"]
    lost = differences([Path("float"), *map(Path, others)], [means["float"], *(means[form] for form in others)])
    return {"config": name, "seeds": len(rows), "parameters": rows[0]["parameters"], "means": means, "lost": lost}


def _means(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean of every number that all of them have, objects in them included."""
    first = figures[0]
    means: dict[str, Any] = {}
    for key, value in first.items():
        if isinstance(value, Mapping):
            means[key] = _means([one[key] for one in figures])
        elif isinstance(value, int | float):
            means[key] = float(np.mean([one[key] for one in figures]))
    return means
