"""What is loaded into a rollup goes in transactions of 64 KB, and in packets where its node takes no larger ones."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from wm_export.schema.limits import MEMORY_CHUNK_BYTES
from wm_live.chain.guard import RollupSender
from wm_live.chain.transactions import PACKET_BYTES, ROLLUP_BYTES, Confirmed, Sender, TransactionError, signed
from wm_live.session.lifecycle import CU_LIMIT, MOST_INSTRUCTIONS, _in_order, packets

PROGRAM, PAYER = Pubkey.from_bytes(bytes([7]) * 32), Keypair.from_seed(bytes([1]) * 32)
#: Chunks of what a Mamba-2 of 1.2 million parameters keeps.
CHUNKS = 157


class Node(Sender):
    """Takes transactions of so many bytes, and says `words` of larger ones."""

    def __init__(self, most: int, words: str = "") -> None:
        self.payer, self.most, self.words = PAYER, most, words
        self.most_bytes = ROLLUP_BYTES
        self.sent: list[list[Instruction]] = []
        self.refused = 0

    async def send(self, instructions: Sequence[Instruction], *_: Any, **__: Any) -> Confirmed:
        size = len(bytes(signed(instructions, [PAYER], Hash.default(), ROLLUP_BYTES)))
        if size > self.most:
            self.refused += 1
            raise TransactionError(self.words, None, None)
        self.sent.append(list(instructions))
        return Confirmed("", 0)


def chunks(count: int = CHUNKS, size: int = MEMORY_CHUNK_BYTES) -> list[Instruction]:
    """Instructions of which no two are alike."""
    metas = [AccountMeta(PAYER.pubkey(), True, False), AccountMeta(PROGRAM, False, True)]
    return [Instruction(PROGRAM, i.to_bytes(4, "little") + bytes(size), metas) for i in range(count)]


def loaded(node: Node, instructions: Sequence[Instruction]) -> list[Instruction]:
    """What arrived, without compute limits."""
    asyncio.run(_in_order(node, instructions))
    assert all(group[0] == CU_LIMIT and len(group) <= MOST_INSTRUCTIONS for group in node.sent)
    return [one for group in node.sent for one in group[1:]]


def test_as_many_go_together_as_a_rollup_takes() -> None:
    node = Node(ROLLUP_BYTES)
    assert loaded(node, chunks()) == chunks()
    assert len(node.sent) == 3 and len(packets(chunks(), PAYER.pubkey())) == CHUNKS


def test_no_more_bytes_than_it_takes() -> None:
    node = Node(ROLLUP_BYTES)
    assert loaded(node, chunks(70, 1_500)) == chunks(70, 1_500)
    assert [len(group) - 1 for group in node.sent] == [43, 27]


@pytest.mark.parametrize("words", [
    "transaction refused: VersionedTransaction too large: 61120 bytes (max: encoded/raw 1644/1232) (-32602)",
    "http://rollup: HTTP 413 (); it takes no request of this size; name another node",
])  # fmt: skip
def test_a_node_that_takes_packets_alone_gets_packets(words: str) -> None:
    """It is asked once."""
    node = Node(PACKET_BYTES, words)
    assert loaded(node, chunks()) == chunks()
    assert len(node.sent) == CHUNKS and node.refused == 1


def test_another_refusal_is_said() -> None:
    node = Node(PACKET_BYTES, "Custom(6000)")
    with pytest.raises(TransactionError, match="6000"):
        asyncio.run(_in_order(node, chunks()))
    assert node.refused == 1 and not node.sent


def test_what_no_node_takes_is_said() -> None:
    node = Node(100, "too large")
    with pytest.raises(TransactionError, match="too large"):
        asyncio.run(_in_order(node, chunks()))
    assert node.refused == 2


def test_a_base_chain_gets_packets() -> None:
    assert Sender.most_bytes == PACKET_BYTES
    for group in packets(chunks(20, 300), PAYER.pubkey()):
        assert len(bytes(signed(group, [PAYER], Hash.default()))) <= PACKET_BYTES


def test_a_rollup_s_sender_signs_large_ones() -> None:
    rollup: Any = type("Rollup", (), {"url": "http://rollup"})()
    assert RollupSender(rollup, PAYER, PROGRAM, 0).most_bytes == ROLLUP_BYTES
