"""How long the actions of Melee last, and what comes then, as recorded games show: the rows of wm_train/melee/stays.py.

    python benchmarks/stays.py DATASET

Prints a row for each action that is no character's own and that players left LEAST times or more: (action, the greatest
age of its animation in whole frames, what comes after that age most often), from every usable game of the dataset. What
comes is the action itself where the animation begins anew, and standing or falling where that is not rare: the others
are then what players chose.
"""

from collections import Counter
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus, load_corpus, usable_games
from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.melee.field_table import STATE_INDEX
from wm_train.melee.stances import FALLING, SPECIAL, STANDING, WAITING
from wm_train.world.encoding import Encoding

#: Times that players left an action, that a row needs; frames before the greatest age from which it counts as over.
LEAST, NEAR = 20, 2.0
#: Standing and falling: what comes without an input, and the share of what comes from which they stand for it.
AT_REST, NOT_RARE = (STANDING, FALLING), 0.2
ENCODING = Encoding("v2.1")


def pairs(corpus: Corpus) -> tuple[NDArray[np.int64], ...]:
    """(N, 3) character, action and age in fixed point of every player in every Frame, and (N, 3) the same one later."""
    at = corpus.pairs()
    wanted = [STATE_INDEX[name] for name in ("character", "action", "state_age")]
    now, after = (corpus.frames[t][..., wanted].reshape(-1, 3).astype(np.int64) for t in (at, at + 1))
    return now, after


def row(action: int, now: NDArray[np.int64], after: NDArray[np.int64]) -> tuple[int, int, int] | None:
    """The row of an action, from every Frame that shows it; None where there is no age or too little of it."""
    character, age = now[:, 0], now[:, 2] / (1 << FRAC_BITS)
    leaves, greatest = after[:, 1] != action, float(age.max(initial=-1))
    if leaves.sum() < LEAST or greatest < 0:
        return None
    oldest = np.full(character.max() + 1, -np.inf)
    np.maximum.at(oldest, character, age)  # animations of one action last as long as the character's
    over = (age > oldest[character] - NEAR) & (leaves | (after[:, 2] < now[:, 2]))
    following = Counter(after[over, 1].tolist())
    most = following.most_common(1)[0][0]
    rest = next((one for one in AT_REST if following[one] >= NOT_RARE * over.sum()), most)
    return action, int(np.ceil(greatest)), most if most == action else rest


def rows(corpus: Corpus) -> list[tuple[int, int, int]]:
    """Every row, by action."""
    now, after = pairs(corpus)
    found = []
    for action in range(WAITING + 1, SPECIAL):
        shown = now[:, 1] == action
        found.append(row(action, now[shown], after[shown]) if shown.any() else None)
    return [one for one in found if one]


@click.command(help=__doc__.partition("\n")[0])
@click.argument("dataset", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(dataset: Path) -> None:
    """Print the rows, ten to a line."""
    try:
        found = rows(load_corpus(dataset, usable_games(dataset, ENCODING), ENCODING))
    except WmTrainError as error:
        raise click.ClickException(str(error)) from None
    for start in range(0, len(found), 8):
        print(", ".join(map(str, found[start : start + 8])) + ",")


if __name__ == "__main__":
    main()
