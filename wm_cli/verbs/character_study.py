"""`wmq study character`: what a model is worth on a character that it never saw."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from wm_cli import output, project
from wm_cli.artifacts import DATASET, need
from wm_cli.errors import WmCliError
from wm_cli.json_keys import BASELINE_KEYS, METRIC_KEYS
from wm_cli.number_types import minutes_type, steps_type
from wm_cli.options import config_option, dataset_option, json_option, path_option, seed_option, verb
from wm_cli.verbs.study_runs import GOES_ON, Shown, Study, progress_of, trained_run
from wm_cli.verbs.training import run_config
from wm_train.games.dataset import open_dataset
from wm_train.world.registry import find_game
from wm_train.writer import one_writer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wm_train.checkpoint import Checkpoint
    from wm_train.games.corpus import Corpus

GAME = find_game()
#: What the game calls who a player is, and a dataset's fact that lists who takes part.
CAST, LISTED = GAME.roles.cast, GAME.facts.cast
#: Share of a character's games that neither run of a study trains on.
TEST_SHARE = 0.5


#: Games with and without a character that it must have to be one of "all".
MIN_GAMES = 6


#: Run of a study -> whether it trains on the character's other games.
ARMS = {"unseen": False, "seen": True}


@verb(
    "wmq study character --character 9 --max-minutes 10\nwmq study character --character all --json",
    prints=(
        f"{METRIC_KEYS} {BASELINE_KEYS} runs {LISTED} {CAST} arms seen unseen own train_games with_{CAST} test_games"
    ),
    stopped=GOES_ON,
)
@click.option(f"--{CAST}", "asked", required=True, help="Character-select id, as in the dataset's meta.json, or all.")
@dataset_option
@path_option("--out", project.STUDY, "Folder of the study's runs.")
@config_option
@click.option("--max-minutes", type=minutes_type, help="Of each run.")
@click.option("--steps", type=steps_type, help="Of each run.")
@seed_option
@json_option
def character(
    asked: str,
    dataset: Path,
    out: Path,
    config: Path | None,
    max_minutes: float | None,
    steps: int | None,
    seed: int | None,
    as_json: bool,
) -> None:
    """What a model is worth on a character that it never saw, beside one trained on as many games that saw it.

    Half of the character's games are kept for measuring; neither run trains on them. Interrupted, it goes on with the
    run that it stopped in.
    """
    from wm_cli.tables.accuracy import character_table

    need(dataset, DATASET, option="--dataset")
    wanted = run_config(config, minutes=max_minutes, steps=steps, seed=seed)
    ids = characters(dataset, asked)
    with one_writer(out, "study character"), progress_of(2 * len(ids)) as shown:
        figures = character_study(Study(dataset, out, wanted), ids, shown)
    output.show(as_json, figures, *(character_table(one, CAST) for one in figures[LISTED]))


def characters(dataset: Path, asked: str) -> list[int]:
    """Character-select ids to study: the one that is asked for, or all that have games enough. WmCliError if none."""
    meta = open_dataset(dataset)
    having = Counter(character for game in meta.games for character in set(meta.cast(game)))
    if asked != "all":
        if asked not in map(str, having):
            known = ", ".join(map(str, sorted(having)))
            raise WmCliError(f"character {asked}: expected all, or one of those in {dataset}: {known}")
        return [int(asked)]
    enough = [one for one, count in sorted(having.items()) if min(count, len(meta.games) - count) >= MIN_GAMES]
    if not enough:
        raise WmCliError(
            f"{dataset}: no character is in {MIN_GAMES} games and absent from {MIN_GAMES}; "
            "ingest more games, or name one with --character"
        )
    return enough


def character_study(study: Study, ids: Sequence[int], shown: Shown) -> dict[str, Any]:
    """For each character, a run that never saw it beside one of as many games that did."""
    figures = {"runs": str(study.out), LISTED: [_one_character(study, character, shown) for character in ids]}
    project.keep_figures("study-character", figures)
    return figures


def _one_character(study: Study, character: int, shown: Shown) -> dict[str, Any]:
    from wm_train.games.corpus import load_corpus
    from wm_train.measure.window import baselines
    from wm_train.nets.predict import checkpoint_model

    runs = {arm: trained_run(_arm(study, character, arm), shown) for arm in ARMS}
    encoding = study.config.model.world.encoding
    corpus = load_corpus(study.dataset, runs["unseen"].split["valid"], encoding)
    players = _players(study.dataset, corpus, character)
    arms = {arm: _measured(checkpoint_model(run), corpus, encoding, players) for arm, run in runs.items()}
    return {
        CAST: character,
        "test_games": len(corpus.names),
        "train_games": {arm: len(run.split["train"]) for arm, run in runs.items()},
        f"with_{CAST}": {arm: _having(study.dataset, run, character) for arm, run in runs.items()},
        "arms": arms,
        "baselines": {
            name: _measured(base, corpus, encoding, players) for name, base in baselines(encoding.game).items()
        },
    }


def _arm(study: Study, character: int, arm: str) -> Study:
    """The study of one run."""
    held: dict[str, Any] = {"holdout": TEST_SHARE, "hold_character": character, "hold_seen": ARMS[arm]}
    config = replace(study.config, train=replace(study.config.train, **held))
    return replace(study, out=study.out / f"character-{character}-{arm}", config=config)


def _players(dataset: Path, corpus: "Corpus", character: int) -> "NDArray[np.bool_]":
    """(T, 2) which player of each frame is the character."""
    meta = open_dataset(dataset)
    each = np.array([[one == character for one in meta.cast(meta.stored(name))] for name in corpus.names])
    return np.asarray(each[corpus.game])


def _having(dataset: Path, run: "Checkpoint", character: int) -> int:
    """How many of a run's training games have the character."""
    trained, meta = set(run.split["train"]), open_dataset(dataset)
    return sum(game.match in trained and character in meta.cast(game) for game in meta.games)


def _measured(model: Any, corpus: "Corpus", encoding: Any, players: "NDArray[np.bool_]") -> dict[str, Any]:
    """Metrics of both players, and of the character's alone."""
    from wm_train.measure.evaluate import one_step
    from wm_train.measure.rollouts import rollout_figures
    from wm_train.measure.starts import window_ends

    errors = one_step(model, corpus, encoding, window_ends(corpus, encoding))
    return errors.errors().figures() | {
        "own": errors.of(players[errors.t]),
        "rollout": rollout_figures(model, corpus, encoding),
    }
