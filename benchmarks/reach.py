"""Where and when the moves of Melee's characters hit, as recorded games show it: the rows of wm_train/melee/reach.py.

    python benchmarks/reach.py DATASET

Prints a row for each move that hit LEAST times or more, in SHARE of its frames at least: (action, first and last frame
of it in which it hit, how far behind and ahead, below and above the other player then was), from every usable game of
the dataset.
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
from wm_train.melee.melee_flags import MeleeFlags
from wm_train.melee.reach import FARTHEST, Row
from wm_train.world.encoding import Encoding
from wm_train.world.fields import fixed

#: Hits that a row needs, and the share of its frames in which it hits: in others something thrown earlier hits. The
#: share of hits that is left out at each end of the frames, and of the distances.
LEAST, SHARE, AGES_OUT, DISTANCES_OUT = 5, 0.01, 0.01, 0.02
#: Percent that a hit adds at least: burns and their like add less in a frame.
HURTS = 0.01
ENCODING = Encoding("v2.2", 1, MeleeFlags(geometry=True))


def moments(corpus: Corpus) -> NDArray[np.int64]:
    """(N, 5) of every hit by a player nearby: its character, its action, frames of that, and where the other one was:
    ahead and up, in whole units where velocities lead."""
    index, ends = ENCODING.frame_index, corpus.pairs()
    found = []
    for player in (0, 1):
        percent = corpus.frames[:, 1 - player, STATE_INDEX["percent"]]
        hit = ends[percent[ends + 1] - percent[ends] > fixed(HURTS)]
        at = corpus.frames[hit, player]
        numbers = ("state_age", "other_ahead", "other_up")
        rounded = [(at[:, index[name]] + fixed(0.5)) >> FRAC_BITS for name in numbers]
        found.append(np.stack([at[:, STATE_INDEX["character"]], at[:, STATE_INDEX["action"]], *rounded], 1))
    hits = np.concatenate(found).astype(np.int64)
    return hits[(np.abs(hits[:, 3:]) < FARTHEST).all(1)]


def frames_of(corpus: Corpus) -> Counter[tuple[int, int]]:
    """(character, action) -> frames in which a player does it."""
    doing = corpus.frames[..., [STATE_INDEX["character"], STATE_INDEX["action"]]].reshape(-1, 2)
    pairs, counts = np.unique(doing, axis=0, return_counts=True)
    return Counter({(who, action): count for (who, action), count in zip(pairs.tolist(), counts.tolist(), strict=True)})


def rows(hits: NDArray[np.int64], frames: Counter[tuple[int, int]]) -> dict[int, list[Row]]:
    """Rows by character, of hits as `moments` and how often each move is shown."""
    table: dict[int, list[Row]] = {}
    for character, action in np.unique(hits[:, :2], axis=0).tolist():
        of = hits[(hits[:, 0] == character) & (hits[:, 1] == action)]
        if len(of) >= LEAST and len(of) >= SHARE * frames[character, action]:
            ages = np.quantile(of[:, 2], (AGES_OUT, 1 - AGES_OUT)).round()
            boxes = np.quantile(of[:, 3:], (DISTANCES_OUT, 1 - DISTANCES_OUT), axis=0).round().T.ravel()
            table.setdefault(character, []).append((action, *map(int, ages), *map(int, boxes)))
    return table


@click.command(help=__doc__)
@click.argument("dataset", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--without", type=click.Path(exists=True, path_type=Path), help="A list of matches to leave out, one a line."
)
def main(dataset: Path, without: Path | None) -> None:
    """See the module."""
    left_out = set(without.read_text().split()) if without else set()
    try:
        names = [name for name in usable_games(dataset, ENCODING) if name not in left_out]
        corpus = load_corpus(dataset, names, ENCODING)
    except WmTrainError as error:
        raise click.ClickException(str(error)) from None
    table = rows(moments(corpus), frames_of(corpus))
    for character, of in table.items():
        print(f"    {character}: (")
        print("\n".join(f"        {row}," for row in of))
        print("    ),")
    print(f"# {len(names)} games, {len(corpus.frames):,} frames, {sum(map(len, table.values()))} moves")


if __name__ == "__main__":
    main()
