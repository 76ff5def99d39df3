"""At which ages actions of Melee leave the ground and come back to it: the rows of wm_train/melee/stances.py.

    python benchmarks/stances.py DATASET

Of each action that is no character's own and in which every character of the dataset's usable games leaves the ground
and comes to it at one age of its animation: a row for each character, (the last age on the ground before it rises, -1
where it begins in the air; the last age in the air). Says besides how often recorded players rose and landed so.
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
from wm_train.melee.stances import SPECIAL, WAITING
from wm_train.world.encoding import Encoding

#: Landings that an action needs for rows.
LEAST = 10
FIELDS = ("character", "action", "state_age", "on_ground")
ENCODING = Encoding("v2.1")


def stays(corpus: Corpus) -> NDArray[np.int64]:
    """(N, 5) of every player whose action stays: character, action, age in fixed point, on the ground, and so a frame
    later."""
    at = corpus.pairs()
    wanted = [STATE_INDEX[name] for name in FIELDS]
    now, after = (corpus.frames[t][..., wanted].reshape(-1, len(FIELDS)).astype(np.int64) for t in (at, at + 1))
    same = now[:, 1] == after[:, 1]
    return np.column_stack([now[same], after[same, 3]])


def turn(own: NDArray[np.int64], to: int) -> int | None:
    """The whole age at which a character in one action always comes to the ground (`to` 1) or leaves it (0), and does
    at no other; -1 if it never does, None if the age does not tell it."""
    there = own[:, 3] != to
    turns = there & (own[:, 4] == to)
    if not turns.any():
        return -1
    ages = np.unique(own[turns, 2])
    others = there & ~turns & (own[:, 2] == ages[0])
    return None if len(ages) > 1 or others.any() or ages[0] % (1 << FRAC_BITS) else int(ages[0]) >> FRAC_BITS


def rows(shown: NDArray[np.int64]) -> dict[int, tuple[int, int]]:
    """Character -> its ages in one action, as most have it where it was not seen; empty if ages do not tell them."""
    own = {int(character): shown[shown[:, 0] == character] for character in np.unique(shown[:, 0])}
    found = {character: (turn(some, 0), turn(some, 1)) for character, some in own.items()}
    if any(None in ages for ages in found.values()):
        return {}
    known = {character: ages for character, ages in found.items() if ages != (-1, -1)}
    usual = [Counter(age for age in ages if age != -1).most_common(1) for ages in zip(*known.values(), strict=True)]
    filled = [age[0][0] if age else -1 for age in usual]
    return {
        character: tuple(age if age != -1 else other for age, other in zip(ages, filled, strict=True))
        for character, ages in known.items()
    }


@click.command(help=__doc__.partition("\n")[0])
@click.argument("dataset", type=click.Path(path_type=Path, exists=True, file_okay=False))
def main(dataset: Path) -> None:
    """Print a line for each action, and what they decided."""
    try:
        shown = stays(load_corpus(dataset, usable_games(dataset, ENCODING), ENCODING))
    except WmTrainError as error:
        raise click.ClickException(str(error)) from None
    rose = landed = 0
    for action in range(WAITING + 1, SPECIAL):
        own = shown[shown[:, 1] == action]
        lands = int(((own[:, 3] == 0) & (own[:, 4] == 1)).sum())
        if lands >= LEAST and (known := rows(own)):
            print(f"{action}: {known},")
            rose, landed = rose + int(((own[:, 3] == 1) & (own[:, 4] == 0)).sum()), landed + lands
    print(f"{rose:,} times a player rose, {landed:,} times one landed, at these ages and at no other")


if __name__ == "__main__":
    main()
