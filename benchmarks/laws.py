"""How often recorded games break the laws of their game, law by law and field by field.

    python benchmarks/laws.py [dataset] [--heads lawful] [--encoding v2.1]

Applies the laws to every pair of true Frames (now, next) and counts what they change by more than TOLERANCE of a
field's unit; a law that games keep changes nothing. Exit code 1 if the share is above MOST.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from wm_train.errors import WmTrainError
from wm_train.games.corpus import Corpus, load_corpus, usable_games
from wm_train.grid.arithmetic import Ints
from wm_train.world.encoding import Encoding
from wm_train.world.fields import PLAYERS, Kind, fixed
from wm_train.world.rule_ops import NumpyOps
from wm_train.world.step import World, place_facts, seat_numbers

#: Recorded positions are floats; what is changed by less than this is the same place.
TOLERANCE = 0.05
#: Share of a player's Frames that laws may change.
MOST = 0.001


def changes(world: World, corpus: Corpus, t: Ints, seat: int) -> tuple[Counter[str], int]:
    """(field -> Frames in which the laws change it, Frames in which they change any), of one seat."""
    game, heads = world.game, world.head_set
    numbers = seat_numbers(world, world.session_places(corpus.session(world.encoding, t)), seat)
    place = place_facts(world, numbers)

    def fields(frames: Any) -> dict[str, Ints]:
        return {name: frames[:, seat, i].astype(np.int64) for name, i in game.state_index.items()}

    now, new = fields(corpus.frames[t]), fields(corpus.frames[t + 1])
    mended = heads.lawful(NumpyOps(), now.__getitem__, new, place.__getitem__)
    found, any_field = Counter[str](), np.zeros(len(t), bool)
    for name, value in mended.items():
        slack = fixed(TOLERANCE) if game.field(name).kind is Kind.CONTINUOUS else 0
        changed = np.abs(value - new[name]) > slack
        found[name] += int(changed.sum())
        any_field |= changed
    return found, int(any_field.sum())


def main() -> int:
    """Print the table; 1 if the laws change more than they may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", nargs="?", type=Path, default=Path("dataset"))
    parser.add_argument("--heads", default="lawful")
    parser.add_argument("--encoding", default="v2.1")
    options = parser.parse_args()
    world = World(Encoding(options.encoding), options.heads)
    corpus = load_corpus(options.dataset, usable_games(options.dataset, world.encoding), world.encoding)
    t = corpus.pairs()
    found, total = Counter[str](), 0
    for seat in range(PLAYERS):
        fields, changed = changes(world, corpus, t, seat)
        found += fields
        total += changed
    frames = PLAYERS * len(t)
    print(f"{len(corpus.names)} games, {frames:,} Frames of a player: laws change {total:,} ({total / frames:.4%})")
    for name, count in found.most_common():
        print(f"  {name:14} {count:6,}  {count / frames:.4%}")
    return int(total > MOST * frames)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WmTrainError as error:
        sys.exit(f"Error: {error}")
