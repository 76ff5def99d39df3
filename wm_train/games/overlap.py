"""Which games two runs, networks or datasets share, and whether one was trained on what the other is judged by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wm_train.errors import WmTrainError
from wm_train.games.corpus import is_cut
from wm_train.games.dataset import DatasetMeta

#: A game of a run: trains, validates, or is cut: its middle validates, the rest trains. A dataset's games are `listed`.
ROLES = ("train", "valid", "cut", "listed")


@dataclass(frozen=True)
class Use:
    """What each game (by its match) is to one run or dataset; `holdout` is the share that is cut out of the middle."""

    name: str
    roles: Mapping[str, str]
    holdout: float = 0.0


@dataclass(frozen=True)
class Shared:
    """Matches that are `first` to one and `second` to the other; `leak`: trained on here and held out there."""

    first: str
    second: str
    games: tuple[str, ...]
    leak: bool


def use_of_dataset(name: str, meta: DatasetMeta) -> Use:
    """A dataset has games, and no opinion on them."""
    return Use(name, {game.match: "listed" for game in meta.games})


def use_of_split(name: str, split: Mapping[str, Any], holdout: float) -> Use:
    """From the `split` of a run or a QNet. Raises WmTrainError if it lists no games."""
    train, valid = (_matches(name, split, key) for key in ("train", "valid"))
    if is_cut(split):
        return Use(name, dict.fromkeys(train, "train") | dict.fromkeys(valid, "cut"), holdout)
    return Use(name, dict.fromkeys(train, "train") | dict.fromkeys(valid, "valid"))


def _matches(name: str, split: Mapping[str, Any], key: str) -> list[str]:
    games = split.get(key)
    if not isinstance(games, list | tuple) or not games or not all(isinstance(game, str) for game in games):
        raise WmTrainError(f"{name}: split has no list of {key} games; only trained runs and their QNets have one")
    return list(games)


def overlap(a: Use, b: Use) -> list[Shared]:
    """Shared games by pair of roles, `a`'s first, in the order of ROLES; pairs without a game are left out."""
    pairs: dict[tuple[str, str], list[str]] = {}
    for game in sorted(a.roles.keys() & b.roles.keys()):
        pairs.setdefault((a.roles[game], b.roles[game]), []).append(game)
    ordered = sorted(pairs, key=lambda pair: (ROLES.index(pair[0]), ROLES.index(pair[1])))
    return [Shared(*pair, tuple(pairs[pair]), _leaks(pair, a.holdout == b.holdout)) for pair in ordered]


def _leaks(pair: tuple[str, str], same_cut: bool) -> bool:
    """A cut game trains and validates: beside a run that uses it whole, or cuts it elsewhere, it leaks."""
    if "listed" in pair:
        return False
    if pair == ("cut", "cut"):
        return not same_cut
    return pair[0] != pair[1]
