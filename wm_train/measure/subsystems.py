"""What a world of subsystems is worth beside one network: each subsystem on the fields that it writes.

Three predictions of the same held-out frames, one frame ahead from the true past:

    whole     one network's, all of it
    alone     the subsystem's, with what its rule takes of the next Frame as it truly was
    together  the composed world's, whose subsystems take what the others wrote

A number is right where it is less than one step of its code off, what a network could tell; an id or a flag where it is
the true one. A field changes where the true next one is not right as the one before.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import FRAC_BITS, Frames, Ints
from wm_train.world.fields import Field, Kind, fixed
from wm_train.world.step import World, next_frames

#: Frames and a network's heads after them.
Heads = Iterable[tuple[Ints, Ints]]
#: Points that a subsystem may be below the whole and still count as its equal.
POINTS = 1.0


def is_right(field: Field, values: NDArray[Any], true: NDArray[Any]) -> NDArray[np.bool_]:
    """Which values of a field are right, of Frames' integers."""
    most = fixed(field.step) if field.kind is Kind.CONTINUOUS else 1
    return np.asarray(np.abs(values.astype(np.int64) - true) < most)


@dataclass(frozen=True)
class Share:
    """Of how many cases so many are right."""

    right: int
    cases: int

    @property
    def rate(self) -> float | None:
        """In percent; None of no case."""
        return 100 * self.right / self.cases if self.cases else None

    @staticmethod
    def sum(shares: Sequence["Share"]) -> "Share":
        """All of them as one."""
        return Share(sum(one.right for one in shares), sum(one.cases for one in shares))


@dataclass(frozen=True)
class FieldShare:
    """One field: `every` player frame, and those in which it `changes`; `error`, mean and absolute, in its unit."""

    every: Share
    changes: Share
    error: float

    @staticmethod
    def of(field: Field, now: NDArray[Any], after: NDArray[Any], true: NDArray[Any]) -> "FieldShare":
        """Of its values in Frames."""
        right, changes = is_right(field, after, true), ~is_right(field, now, true)
        unit = 1 << FRAC_BITS if field.kind is Kind.CONTINUOUS else 1
        error = np.abs(after.astype(np.int64) - true).mean() / unit
        return FieldShare(Share(int(right.sum()), right.size), Share(int(right[changes].sum()), int(changes.sum())),
                          float(error))  # fmt: skip


def shares(world: World, names: Sequence[str], corpus: Corpus, after: tuple[Ints, Frames]) -> dict[str, FieldShare]:
    """Of some fields by name, given (t, the next Frames that were predicted there)."""
    t, frames = after
    index, now, true = world.game.state_index, corpus.frames[t], corpus.frames[t + 1]
    return {
        name: FieldShare.of(world.game.field(name), *(of[..., index[name]] for of in (now, frames, true)))
        for name in names
    }


def written(world: World, corpus: Corpus, heads: Heads) -> tuple[Ints, Frames]:
    """(t, the next Frames that a network's heads make); of one subsystem's, given the true next Frames."""
    part, found = world.head_set.whole, []
    for t, said in heads:
        bounds = world.session_places(corpus.session(world.encoding, t))
        given = corpus.frames[t + 1] if part else None
        found.append((t, next_frames(world, corpus.frames[t], said, bounds, given)))
    t = np.concatenate([at for at, _ in found])
    return t, np.concatenate([frames for _, frames in found])


@dataclass(frozen=True)
class Row:
    """One subsystem: its fields as each of the three predicts them."""

    key: str
    whole: Mapping[str, FieldShare] | None
    alone: Mapping[str, FieldShare]
    together: Mapping[str, FieldShare]

    def to_json(self) -> dict[str, Any]:
        """Percent, and errors in the fields' units; `decomposes`: alone no more than POINTS below the whole, over every
        frame and where fields change."""
        kinds = {"whole": self.whole, "alone": self.alone, "together": self.together}
        made: dict[str, Any] = {name: None if of is None else _percent(of) for name, of in kinds.items()}
        made["fields"] = [
            {"field": name} | {kind: None if of is None else _percent({name: of[name]}) for kind, of in kinds.items()}
            for name in self.alone
        ]
        made["decomposes"] = None if self.whole is None else _as_good(made["alone"], made["whole"])
        return {"subsystem": self.key} | made


def _percent(of: Mapping[str, FieldShare]) -> dict[str, float | None]:
    """`every`: the mean over fields, of all player frames; `changes`: over all changes of any of them."""
    every = [share.every.rate or 0.0 for share in of.values()]
    changes = Share.sum([share.changes for share in of.values()])
    errors = {"error": next(iter(of.values())).error} if len(of) == 1 else {}
    return {"every": sum(every) / len(every), "changes": changes.rate, **errors}


def _as_good(alone: Mapping[str, float | None], whole: Mapping[str, float | None]) -> bool:
    pairs = ((alone[kind], whole[kind]) for kind in ("every", "changes"))
    return all(a is None or b is None or a >= b - POINTS for a, b in pairs)


def rows(
    worlds: Mapping[str, World],
    corpus: Corpus,
    alone: Callable[[str], Heads],
    together: tuple[World, Heads],
    whole: tuple[World, Heads] | None,
) -> list[Row]:
    """A row for each subsystem.

    worlds    key -> the world of its part
    alone     key -> heads of its network; together and whole: those of the composed world and of one network
    """
    composed = written(together[0], corpus, together[1])
    one = None if whole is None else written(whole[0], corpus, whole[1])
    found = []
    for key, world in worlds.items():
        names = world.head_set.writes
        own = shares(world, names, corpus, written(world, corpus, alone(key)))
        whole_shares = None if one is None or whole is None else shares(whole[0], names, corpus, one)
        found.append(Row(key, whole_shares, own, shares(together[0], names, corpus, composed)))
    return found
