"""The hash tree against its definition, written down once more without peaks."""

import hashlib
import struct

import pytest

from wm_live.session.tree import Tree, leaf, root_of

RECORDS = [bytes([i]) * 196 for i in range(70)]


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def whole(records: list[bytes]) -> bytes:
    """Root of a full binary tree."""
    if len(records) == 1:
        return sha(b"\0", records[0])
    half = len(records) // 2
    return sha(b"\1", whole(records[:half]), whole(records[half:]))


def peaks_ref(records: list[bytes]) -> list[bytes]:
    """Peaks, lowest first: the largest full tree is at the front of the records."""
    if not records:
        return []
    largest = 1 << (len(records).bit_length() - 1)
    return [*peaks_ref(records[largest:]), whole(records[:largest])]


def climbed(record: bytes, index: int, proof: list[bytes]) -> bytes:
    """The peak that a proof leads to."""
    hash_ = leaf(record)
    for sibling in proof:
        hash_ = sha(b"\1", sibling, hash_) if index & 1 else sha(b"\1", hash_, sibling)
        index >>= 1
    return hash_


@pytest.mark.parametrize("count", range(1, 70))
def test_peaks_and_root(count: int) -> None:
    expected = peaks_ref(RECORDS[:count])
    tree = Tree(RECORDS[:count])
    assert tree.peaks() == expected
    assert tree.root() == root_of(RECORDS[:count]) == sha(b"\2", struct.pack("<Q", count), *expected)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 37, 64, 69])
def test_an_older_tree_is_inside_the_newer(count: int) -> None:
    tree = Tree(RECORDS)
    assert tree.peaks(count) == peaks_ref(RECORDS[:count])
    assert tree.root(count) == root_of(RECORDS[:count])


@pytest.mark.parametrize("count", [1, 2, 3, 10, 31, 32, 69])
def test_every_leaf_is_proved_under_every_count(count: int) -> None:
    tree = Tree(RECORDS)
    for index in range(count):
        level = (index ^ count).bit_length() - 1
        used = [i for i in range(level + 1) if count >> i & 1]
        proof = tree.proof(index, count)
        assert len(proof) == level
        assert climbed(RECORDS[index], index, proof) == tree.peaks(count)[len(used) - 1]


def test_another_record_leads_elsewhere() -> None:
    tree = Tree(RECORDS)
    proof = tree.proof(5, 70)
    assert climbed(RECORDS[5], 5, proof) in tree.peaks()
    assert climbed(RECORDS[6], 5, proof) not in tree.peaks()
    assert climbed(RECORDS[5], 6, proof) not in tree.peaks()


def test_the_count_is_part_of_the_root() -> None:
    assert root_of([]) == sha(b"\2", bytes(8))
    assert len({root_of(RECORDS[:count]) for count in range(70)}) == 70
