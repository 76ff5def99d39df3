"""How often players hit who do not see each other: what a free run on recorded inputs can show at best.

    python benchmarks/blind_players.py DATASET

In a free run the inputs go on as they were recorded, wherever the players come to stand. So even in a perfect world
hits are rarer than in the game it began in. This counts how often a move of one player begins to reach the other, by
the rule of wm_train/melee/reach.py: in each recorded game, and with the players of two games of one stage put together.
"""

from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus, load_corpus, usable_games
from wm_train.melee.field_table import STATE_INDEX
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.melee.sights import SIGHTS
from wm_train.melee.stances import WAITING
from wm_train.world.encoding import Encoding
from wm_train.world.rule_ops import NumpyOps

#: Games that each game's players are put together with.
PARTNERS = 3
FRAMES_A_MINUTE = 3600
ENCODING = Encoding("v2.2", 1, MeleeFlags(reach=True))
#: What moves reach does not depend on the stage.
_NO_PLACE: dict[str, int] = {}


def hits_begun(me: NDArray[np.int32], other: NDArray[np.int32]) -> int:
    """Frames in which a player begins to reach the other one, who can be hit; (T, fields) states of both."""
    mine, theirs = ({name: frames[:, i].astype(np.int64) for name, i in STATE_INDEX.items()} for frames in (me, other))
    seen = SIGHTS["reach"].rule(NumpyOps(), mine.__getitem__, theirs.__getitem__, _NO_PLACE.__getitem__)
    plays = (mine["action"] > WAITING) & (theirs["action"] > WAITING) & (theirs["hurtbox"] == 0)
    reaches = (seen["strikes"] < 0) & plays
    return int((reaches[1:] & ~reaches[:-1]).sum())


def a_minute(pairs: list[tuple[NDArray[np.int32], NDArray[np.int32]]]) -> float:
    """Hits that begin in a player's minute, over pairs of players."""
    frames = sum(len(me) for me, _ in pairs)
    return sum(hits_begun(me, other) for me, other in pairs) * FRAMES_A_MINUTE / frames


def paired(corpus: Corpus, rng: np.random.Generator) -> tuple[list[tuple[NDArray[np.int32], NDArray[np.int32]]], ...]:
    """(who played each other, who did not): players of a game, and of two games of the same stage."""
    ends = np.flatnonzero(np.diff(corpus.game, append=-1)) + 1
    starts = np.concatenate([[0], ends[:-1]])
    stage = corpus.session(ENCODING, starts)[:, 0]
    games = [corpus.frames[start:end] for start, end in zip(starts, ends, strict=True)]
    met, strangers = [], []
    for number, game in enumerate(games):
        met += [(game[:, 0], game[:, 1]), (game[:, 1], game[:, 0])]
        same = np.setdiff1d(np.flatnonzero(stage == stage[number]), [number])
        for chosen in rng.permutation(same)[:PARTNERS]:
            length = min(len(game), len(games[chosen]))
            one, two = game[:length, 0], games[chosen][:length, 1]
            strangers += [(one, two), (two, one)]
    return met, strangers


@click.command(help=__doc__.partition("\n")[0])
@click.argument("dataset", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--seed", default=0, show_default=True, help="Which games are put together.")
def main(dataset: Path, seed: int) -> None:
    """Print both rates, and their ratio."""
    try:
        corpus = load_corpus(dataset, usable_games(dataset, ENCODING), ENCODING)
    except WmTrainError as error:
        raise click.ClickException(str(error)) from None
    met, strangers = (a_minute(pairs) for pairs in paired(corpus, np.random.default_rng(seed)))
    print(f"{len(corpus.names)} games; moves that begin to reach the other player, a minute of a player:")
    print(f"  players of one game   {met:.1f}")
    print(f"  players of two games  {strangers:.1f}  ({strangers / met:.0%})")


if __name__ == "__main__":
    main()
