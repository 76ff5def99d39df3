"""Studies: several runs that differ in one thing, trained and measured by one command.

A study that was interrupted goes on: runs that are finished are taken as they are, and so are figures of such a run. A
run of another config, or of other games, is an error: nothing that is finished is trained anew.
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
    """What a study, or one run of it, is made of: where games come from, the folder of the runs, and what they are."""

    dataset: Path
    out: Path
    config: "RunConfig"


def _trained(study: Study, shown: Shown, qat: bool = False) -> "Checkpoint":
    """A study of one run, in the folder itself: trained, or taken up where it stopped, unless it is finished."""
    from wm_train.train import FLOAT, Job, phases, train

    run, config = study.out, study.config
    every = zip((run / FLOAT, run), phases(config), strict=True) if qat else ((run, config),)
    kept = [_finished(folder, asked, study.dataset) for folder, asked in every]
    if kept[-1]:
        return kept[-1]
    return train(Job(study.dataset, run, config, qat, resume=True), lambda progress: shown(run.name, progress))


def _finished(run: Path, config: "RunConfig", dataset: Path) -> "Checkpoint | None":
    """What a run ended in, None if it has not. WmCliError if it is of another config, or of other games."""
    from wm_train.checkpoint import load_checkpoint
    from wm_train.compare import config_differences

    if not (run / "run.json").exists():
        return None
    kept = load_checkpoint(run)
    advice = "give another --out, or delete that run"
    for row in config_differences(kept.config, config):
        raise WmCliError(f"{run}: was trained with {row['key']} = {row['first']}, expected {row['second']}; {advice}")
    if kept.split.get("fingerprint") != open_dataset(dataset).fingerprint:
        raise WmCliError(f"{run}: was trained on other games than those of {dataset}; {advice}")
    return kept


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

    runs = {arm: _trained(_arm(study, character, arm), shown) for arm in ARMS}
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


def _arm(study: Study, character: int, arm: str) -> Study:
    """The study of one run."""
    held: dict[str, Any] = {"holdout": TEST_SHARE, "hold_character": character, "hold_seen": ARMS[arm]}
    config = replace(study.config, train=replace(study.config.train, **held))
    return replace(study, out=study.out / f"character-{character}-{arm}", config=config)


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

#: Rollouts of each form. A single wrong teleport is worth 5 % of the mean over the 300 of an evaluation: too much for
#: differences of 2 %.
STARTS = 1500
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
    from wm_train.shapes import parameter_count

    _trained(study, shown, qat=True)
    forms = {form: _form_figures(study, form, limit) for form in FORMS}
    model = study.config.model
    return {"config": name, "seed": study.config.train.seed, "parameters": parameter_count(model), "forms": forms}


def _form_figures(study: Study, form: str, limit: int) -> dict[str, Any]:
    """Held-out metrics of one form of the study's model, kept beside it with what they are of."""
    from wm_train.checkpoint import digest, load_checkpoint
    from wm_train.predict import held_out_figures

    folder, through_grid = FORMS[form]
    run = study.out / folder
    checkpoint = load_checkpoint(run)
    model = _through_grid(checkpoint) if through_grid else checkpoint

    def measured() -> dict[str, Any]:
        return held_out_figures(model, study.dataset, limit, STARTS) | dict(checkpoint.figures)

    of = {"run": digest(run), "form": model.form, "limit": limit, "starts": STARTS}
    return _kept(study.out / f"{form}.json", of, measured)


def _through_grid(checkpoint: "Checkpoint") -> "Checkpoint":
    """The same parameters seen through the grid: what `wmq quantize` makes of them."""
    return replace(checkpoint, form="qat")


def _kept(path: Path, of: Mapping[str, Any], measured: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `path` holds, if it is of the same; else it is measured, and held there from now on."""
    try:
        kept = json.loads(path.read_text())
        if kept["of"] == of:
            return dict(kept["figures"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or not what was written: measured like what was never measured
    figures = measured()
    atomic_write_json(path, {"of": of, "figures": figures})
    return figures


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
