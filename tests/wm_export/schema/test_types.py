"""Types of the interface: bytes there and back, and what does not fit is refused."""

from typing import Any

import pytest

from wm_export.errors import WmExportError
from wm_export.schema.accounts import ACCOUNTS, MODEL, PEAKS, PLAYER, SESSION, STATUS, session_ids
from wm_export.schema.types import (
    BOOL,
    I64,
    NEW,
    OLD,
    U8,
    U16,
    U64,
    Address,
    Array,
    Count,
    Field,
    List,
    Struct,
    Type,
    Word,
    elements,
)

PAIR = Struct("Pair", "Two.", (Field("small", U8), Field("large", U64)))


@pytest.mark.parametrize(("kind", "value", "raw"), [
    (U64, 0x0102, bytes([2, 1, 0, 0, 0, 0, 0, 0])),
    (I64, -2, bytes([254]) + bytes([255]) * 7),
    (Array(U16, 2), (1, 0x0203), bytes([1, 0, 3, 2])),
    (Array(U8, 3), b"abc", b"abc"),
    (Array(Array(U8, 2), 2), (b"ab", b"cd"), b"abcd"),
    (List(U8), b"abc", bytes([3, 0, 0, 0]) + b"abc"),
    (List(Array(U8, 2)), (b"ab", b"cd"), bytes([2, 0, 0, 0]) + b"abcd"),
    (Word(BOOL), True, bytes([1, 0, 0, 0])),
    (Word(STATUS), "ended", bytes([4, 0, 0, 0])),
    (Address(), bytes(range(32)), bytes(range(32))),
])  # fmt: skip
def test_values_have_the_bytes_of_borsh(kind: Type, value: Any, raw: bytes) -> None:
    assert kind.pack(value) == raw
    assert kind.unpack(raw) == value


@pytest.mark.parametrize(("kind", "value", "text"), [
    (U8, 256, "u8: got 256"),
    (U64, -1, "u64: got -1"),
    (Array(U16, 4), (1, 2, 3), "array of 4 x u16 expected, got 3"),
    (Array(U8, 4), b"abc", "array of 4 bytes expected, got 3"),
    (Address(), bytes(31), "address of 32 bytes expected, got 31"),
    (STATUS, "closed", "expected one of open, joined, started, loading, ended"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(kind: Type, value: Any, text: str) -> None:
    with pytest.raises(WmExportError, match=text):
        kind.pack(value)


@pytest.mark.parametrize(("kind", "raw"), [(STATUS, bytes([5])), (Word(BOOL), bytes([1, 1, 0, 0]))])
def test_bytes_that_are_no_value_are_refused(kind: Type, raw: bytes) -> None:
    with pytest.raises(WmExportError):
        kind.unpack(raw)


def test_a_struct_reads_and_writes_by_name() -> None:
    raw = PAIR.pack({"large": 7})
    assert raw == bytes([0, 7, 0, 0, 0, 0, 0, 0, 0])
    data = bytearray(raw)
    PAIR.write(data, "small", 9)
    assert PAIR.unpack(bytes(data)) == {"small": 9, "large": 7}
    with pytest.raises(WmExportError, match="Pair has no field 'middle'; it has small, large"):
        PAIR.read(raw, "middle")
    with pytest.raises(WmExportError, match="8 bytes, large ends at 9"):
        PAIR.read(raw[:-1], "large")


def test_counts_that_the_game_decides_are_filled_in() -> None:
    kind = Array(Array(U8, Count("INPUT_BYTES")), Count("PLAYERS"))
    assert kind.size == 0 and kind.rust == "[[u8; INPUT_BYTES]; PLAYERS]"
    filled = kind.sized({"INPUT_BYTES": 6, "PLAYERS": 2})
    assert (filled.size, filled.words, filled.rust) == (12, "2 x 6 bytes", kind.rust)
    assert elements(filled) == (1, 12) and elements(PEAKS) == (1, 768)
    with pytest.raises(KeyError):
        kind.sized({"PLAYERS": 2})


def test_the_two_specifications_name_types_differently() -> None:
    assert (Address().idl(OLD), Address().idl(NEW)) == ("publicKey", "pubkey")
    assert (STATUS.idl(OLD), STATUS.idl(NEW)) == ({"defined": "Status"}, {"defined": {"name": "Status"}})


def test_accounts_lie_where_programs_on_chain_have_them() -> None:
    """Offsets of version 3: to move one is to refuse every account that exists."""
    assert PLAYER.offsets == {"wallet": 0, "key": 32, "expires": 64}
    assert MODEL.offsets == {
        "tag": 0, "version": 8, "shard": 12, "length": 16, "manifest": 24, "authority": 56, "digest": 88,
        "pieces": 120, "frozen": 124,
    }  # fmt: skip
    assert SESSION.offsets == {
        "tag": 0, "version": 8, "reserved": 12, "length": 16, "manifest": 24, "model": 56, "creator": 88,
        "id": 120, "ids": 128, "start": 136, "opponent": 168, "validator": 200, "root": 232, "nonce": 264,
        "frame_number": 272, "step": 280, "status": 284, "bump": 288, "scratch_bump": 292,
    }  # fmt: skip
    assert {name: account.size for name, account in ACCOUNTS.items()} == {
        "Model": 128, "Session": 296, "Scratch": 72, "Pin": 240, "Dispute": 184,
    }  # fmt: skip


def test_an_account_says_what_it_is() -> None:
    raw = SESSION.head(712, id=5, ids=session_ids([1, 2]), status="started")
    assert SESSION.is_one(raw) and not MODEL.is_one(raw)
    assert not SESSION.is_one(raw[:-1]) and not SESSION.is_one(raw[:8] + bytes([1]) + raw[9:])
    read = SESSION.unpack(raw)
    assert (read["length"], read["id"], read["ids"], read["status"]) == (712, 5, (1, 2, 0, 0), "started")
    with pytest.raises(WmExportError, match="Session has no field 'colour'"):
        SESSION.head(712, colour=1)
