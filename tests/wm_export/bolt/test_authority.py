"""What BOLT 0.2.4 lets anybody do with the components of a match, whatever systems check: docs/bolt.md warns of it."""

import pytest
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.transaction import Transaction
from solders.transaction_metadata import TransactionMetadata

from tests.wm_export.bolt.conftest import Played, beginnings, refused
from wm_export.bolt.program_addresses import WORLD
from wm_export.bolt.svm_match import SvmMatch
from wm_export.bolt.world_client import Scene, shown
from wm_quant.interp import Interpreter

STRANGER = Keypair.from_seed(b"s" * 32)


@pytest.fixture
def match(played: Played) -> SvmMatch:
    """A match before a frame, and a stranger who can pay."""
    windows, _ = beginnings(played, 1, 1)
    played.match.load(Interpreter(played.export.net).begin(windows), windows.session[0])
    played.match.svm.airdrop(STRANGER.pubkey(), 10**10)
    return played.match


def takes(match: SvmMatch, instruction: Instruction) -> bool:
    """Whether the chain takes it from the stranger."""
    match.svm.expire_blockhash()
    blockhash = match.svm.latest_blockhash()
    message = Message.new_with_blockhash([instruction], STRANGER.pubkey(), blockhash)
    return isinstance(match.svm.send_transaction(Transaction([STRANGER], message, blockhash)), TransactionMetadata)


def applied(match: SvmMatch, scene: Scene) -> Instruction:
    """The stranger applies `inputs` to the match, through the world of a scene."""
    one = match.sliced.systems[0]
    programs = [match.programs[component.crate] for component in one.components]
    made = Scene(STRANGER.pubkey()).apply(match.programs[one.crate], programs, match.extras(one), bytes(12))
    return Instruction(WORLD, made.data, [*made.accounts[:3], shown(scene.world), *made.accounts[4:]])


def test_a_stranger_can_take_a_component_and_the_match_stops(match: SvmMatch) -> None:
    clock = match.accounts["match_clock"]
    assert not takes(match, applied(match, match.scene))
    assert takes(match, Scene(STRANGER.pubkey()).component(match.programs["match-clock"]))
    assert match.data(clock)[-32:] == bytes(STRANGER.pubkey())
    assert "InvalidAuthority" in refused(match, match.apply(match.sliced.systems[0], bytes(12)))


def test_components_that_are_worlds_own_are_everybodys(match: SvmMatch) -> None:
    for one in match.sliced.components.every:
        address = match.accounts[one.name]
        match.put(address, match.data(address)[:-32] + bytes(WORLD), match.programs[one.crate])
    own = Scene(STRANGER.pubkey(), world_number=1)
    assert takes(match, own.world_made())
    assert takes(match, applied(match, own))
    assert match.sliced.components.named("match_clock").unpack(match.data(match.accounts["match_clock"]))["turn"] == 1
