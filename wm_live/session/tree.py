"""The hash tree over a session's records, as onchain/program/src/tree.rs keeps it: a Merkle mountain range.

leaf     sha256(0 | inputs | Frame | digest of what the network keeps, if it keeps anything)
node     sha256(1 | left | right)
peaks    peak i covers 2^i leaves, and is in use if bit i of the number of leaves is set
root     sha256(2 | number of leaves, u64 | the peaks in use, lowest first)

Leaf k of a session is the record of frame k - slots; the first `slots` are the window that it started from.
"""

import hashlib
import struct
from collections.abc import Sequence

Hash = bytes


def leaf(record: bytes) -> Hash:
    """Hash of a record (wm_export/schema/records.py)."""
    return hashlib.sha256(b"\0" + record).digest()


def _node(left: Hash, right: Hash) -> Hash:
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """Grows leaf by leaf, and proves any of them. Every node is kept: 64 bytes a leaf."""

    def __init__(self, records: Sequence[bytes] = ()) -> None:
        self._levels: list[list[Hash]] = [[]]
        for record in records:
            self.append(record)

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, record: bytes) -> None:
        """Add the next record."""
        level, hash_ = 0, leaf(record)
        while True:
            if len(self._levels) == level:
                self._levels.append([])
            nodes = self._levels[level]
            nodes.append(hash_)
            if len(nodes) % 2:
                return
            level, hash_ = level + 1, _node(nodes[-2], hash_)

    def peaks(self, count: int | None = None) -> list[Hash]:
        """Peaks in use of the tree of the first `count` leaves (all if not given), lowest first."""
        count = len(self) if count is None else count
        return [nodes[(count >> level) - 1] for level, nodes in enumerate(self._levels) if count >> level & 1]

    def root(self, count: int | None = None) -> Hash:
        """Root of the tree of the first `count` leaves (all if not given)."""
        count = len(self) if count is None else count
        return hashlib.sha256(b"\2" + struct.pack("<Q", count) + b"".join(self.peaks(count))).digest()

    def proof(self, index: int, count: int) -> list[Hash]:
        """Siblings between leaf `index` and its peak in the tree of the first `count` leaves, lowest first."""
        height = (index ^ count).bit_length() - 1
        return [self._levels[level][index >> level ^ 1] for level in range(height)]


def root_of(records: Sequence[bytes]) -> Hash:
    """Root of the tree over these records."""
    return Tree(records).root()
