"""Studies: several runs that differ in one thing, trained and measured by one command.

A study that was interrupted goes on: runs that are finished and of the same config are taken as they are.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wm_cli import project
from wm_cli.errors import WmCliError
from wm_train.dataset import open_dataset

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
