"""How many operations the rules, laws and sights of a world are: an estimate of what they cost begins with it."""

from collections.abc import Callable

from wm_export.recorder import Sym, SymOps
from wm_train.world.fields import PLAYERS
from wm_train.world.sight import seen
from wm_train.world.step import World, decode, encode, identify


class Counter:
    """A recorder's Target that writes nothing down."""

    def __init__(self) -> None:
        self.count = 0

    def _one(self) -> str:
        self.count += 1
        return ""

    def binary(self, op: str, a: str | int, b: str | int) -> str:
        """See Target."""
        return self._one()

    def where(self, mask: str | int, a: str | int, b: str | int) -> str:
        """See Target."""
        return self._one()

    def clip(self, value: str | int, low: str | int, high: str | int) -> str:
        """See Target."""
        return self._one()

    def requantize(self, value: str | int, mult: int, shift: int) -> str:
        """See Target."""
        return self._one()

    def pick(self, name: str, table: tuple[int, ...], index: str | int) -> str:
        """See Target."""
        return self._one()

    def begin(self, subsystem: str) -> None:
        """See Target."""

    def name(self, name: str, value: str) -> str:
        """See Target."""
        return value


def decode_operations(world: World) -> int:
    """Operations that make the next Frame of the heads, for both players; 0 of one subsystem, which makes none."""
    if world.head_set.whole:
        return 0

    def rules(target: Counter, read: Callable[[str], Sym]) -> None:
        decode(SymOps(target), world, read, read, [read("")] * world.place_numbers)

    return PLAYERS * _counted(rules)


def push_operations(world: World) -> int:
    """Operations that make a slot of the window of the new Frame, for both players."""

    def slot(target: Counter, read: Callable[[str], Sym]) -> None:
        ops, encoding = SymOps(target), world.encoding
        if encoding.sights:
            seen(ops, encoding.sights, read, read, read)
        for item in encoding.state:
            if item.is_dense:
                encode(ops, item, read(item.name))
        for item in encoding.ids:
            identify(ops, item, read(item.name))

    return PLAYERS * _counted(slot)


def _counted(record: Callable[[Counter, Callable[[str], Sym]], None]) -> int:
    target = Counter()
    record(target, lambda name: Sym(target, name))
    return target.count
