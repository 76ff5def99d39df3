"""The log of a match, audited: what is right passes, each lie is named, what is no such log is refused in one line."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.factories import random_corpus, random_inputs
from wm_export.bolt.bolt_export import BoltExport
from wm_export.bolt.components import CLOCK
from wm_export.bolt.match_state import MatchCodec
from wm_export.bolt.program_addresses import WORLD, entity_address, program_key, world_address
from wm_export.lower.memory import NOTHING
from wm_live.bolt.match_accounts import component_addresses, match_state
from wm_live.bolt.match_audit import NOTHING_YET, MatchAudit, audit_match, audit_match_offline
from wm_live.bolt.match_parity import standing
from wm_live.chain.addresses import DELEGATION_PROGRAM, delegation_record
from wm_live.chain.answers import AccountInfo
from wm_live.chain.rpc import Rpc
from wm_live.errors import OtherExportError, WmLiveError
from wm_live.session.delegation import _RECORD, RECORD_TAG
from wm_live.session.lifecycle import window_records
from wm_live.session.log import About, Log, MatchPlace, new_log, read_log
from wm_live.session.recompute import Replay
from wm_quant.interp import Interpreter
from wm_train.measure.window import window_at

FRAMES, PLACE = 12, MatchPlace(world=3, entity=0, authority=str(Pubkey.from_bytes(bytes(range(32)))))
ENTITY = entity_address(PLACE.world, PLACE.entity)
VALIDATOR = Keypair.from_seed(bytes(32)).pubkey()
#: Data of each component.
Accounts = Mapping[str, bytes]


def about(export: BoltExport, ids: Sequence[int]) -> About:
    world = export.net.world
    place = str(WORLD), str(world_address(PLACE.world)), str(ENTITY)
    slots, game = world.encoding.slots, world.game.name
    return About(*place, export.identity["manifest_sha256"], tuple(ids), slots, game, match=PLACE)


class Match:
    """A match as the interpreter plays it: its records, and its components after each frame."""

    def __init__(self, export: BoltExport) -> None:
        net, codec = export.net, MatchCodec(export.sliced)
        encoding, interpreter = net.world.encoding, Interpreter(net)
        corpus = random_corpus(lengths=(40,), encoding=encoding)
        window = standing(window_at(corpus, encoding, np.array([encoding.slots])))
        self.about = about(export, [int(value) for value in window.session[0]])
        self.records, self.accounts = window_records(self.about.codec, window), list[Accounts]()
        state = interpreter.begin(window)
        for number, inputs in enumerate(random_inputs(np.random.default_rng(0), FRAMES), 1):
            trace, after = interpreter.step(state, inputs[None])
            values = codec.values(after.frame[0], codec.ruled(state, net.heads(trace)), inputs, number)
            authority = bytes(Pubkey.from_string(PLACE.authority))
            self.accounts.append(
                {one.name: one.account(values[one.name], authority) for one in export.sliced.components.every}
            )
            self.records.append(self.about.codec.record_bytes(inputs, after.frame[0]))
            state = after


@pytest.fixture(scope="module")
def match(exported: BoltExport) -> Match:
    return Match(exported)


def log_of(folder: Path, about: About, records: Sequence[bytes]) -> Log:
    with new_log(folder, about) as log:
        for record in records:
            log.append(record)
    return read_log(folder)


class Node:
    """What a node says of a match; `validator` has its components, or nobody beside their programs."""

    url = "http://node.test"

    def __init__(self, export: BoltExport, accounts: Accounts, validator: Pubkey | None = None) -> None:
        self._there: dict[Pubkey, AccountInfo] = {}
        addresses = component_addresses(export, ENTITY)
        for one in export.sliced.components.every:
            program, address = program_key(export.network, one.crate).pubkey(), addresses[one.name]
            owner = DELEGATION_PROGRAM if validator else program
            self._there[address] = AccountInfo(1, owner, accounts[one.name], executable=False)
            record = _RECORD.pack(RECORD_TAG, bytes(validator or VALIDATOR), bytes(program), 0, 0, 0)
            self._there[delegation_record(address)] = AccountInfo(1, DELEGATION_PROGRAM, record, executable=False)

    async def account(self, address: Pubkey) -> AccountInfo | None:
        return self._there.get(address)

    async def accounts(self, addresses: Sequence[Pubkey]) -> list[AccountInfo | None]:
        return [self._there.get(address) for address in addresses]


def audited(export: BoltExport, log: Log, base: Node, rollup: Node | None = None) -> MatchAudit:
    return asyncio.run(audit_match(cast(Rpc, base), cast(Rpc | None, rollup), export, log))


def test_an_honest_match_that_has_ended(tmp_path: Path, exported: BoltExport, match: Match) -> None:
    log = log_of(tmp_path / "log", match.about, match.records)
    found = audited(exported, log, Node(exported, match.accounts[-1]))
    assert found.ok and found.status == "ended" and not found.validator and found.uncommitted == 0
    assert [(it.chain, it.frame_number, it.text) for it in found.comparisons] == [("base chain", FRAMES, "")]
    text = "\n".join(found.lines(""))
    assert f"match {ENTITY}: on the base chain" in text and f"all {FRAMES} frames of the log are" in text
    assert "not proved: these inputs were played" in text and "dispute" not in text


def test_while_it_is_played_the_rollup_has_it(tmp_path: Path, exported: BoltExport, match: Match) -> None:
    """The base chain has only what was delegated, which is nothing yet."""
    log = log_of(tmp_path / "log", match.about, match.records)
    base = Node(exported, match.accounts[0], VALIDATOR)
    alone = audited(exported, log, base)
    assert not alone.ok and alone.validator == str(VALIDATOR) and alone.comparisons[0].text == NOTHING_YET
    both = audited(exported, log, base, Node(exported, match.accounts[-1]))
    assert both.ok and [it.chain for it in both.comparisons] == ["rollup"] and both.uncommitted == FRAMES
    assert f"the last {FRAMES} frames of the log are not on the base chain" in "\n".join(both.lines(""))


def test_a_longer_log_than_the_chain_is_at(tmp_path: Path, exported: BoltExport, match: Match) -> None:
    log = log_of(tmp_path / "log", match.about, match.records)
    found = audited(exported, log, Node(exported, match.accounts[4]))
    assert found.ok and found.comparisons[0].frame_number == 5 and found.uncommitted == FRAMES - 5


def test_a_shorter_log_says_nothing(tmp_path: Path, exported: BoltExport, match: Match) -> None:
    log = log_of(tmp_path / "log", match.about, match.records[:-1])
    found = audited(exported, log, Node(exported, match.accounts[-1]))
    assert not found.ok and "a newer log is needed" in found.comparisons[0].text


@pytest.mark.parametrize("name", ["position", "motion", "combat", "shield", "action", "input"])
def test_every_byte_of_every_component_counts(tmp_path: Path, exported: BoltExport, match: Match, name: str) -> None:
    """Its members, what rules left, and who may have it written."""
    log = log_of(tmp_path / "log", match.about, match.records)
    for at in range(8, len(match.accounts[-1][name]), 5):
        data = bytearray(match.accounts[-1][name])
        data[at] ^= 1
        found = audited(exported, log, Node(exported, {**match.accounts[-1], name: bytes(data)}))
        assert not found.ok and f"component {name} is not what the log leads to" in found.comparisons[0].text
        assert f"byte {at} of its account" in found.comparisons[0].text


def test_a_lie_is_named_and_what_follows_is_not_compared(tmp_path: Path, exported: BoltExport, match: Match) -> None:
    records, codec = list(match.records), match.about.codec
    at = match.about.slots + 6
    frame = codec.frame_in(records[at]).copy()
    frame[1, 0] += 1 if frame[1, 0] <= 0 else -1
    records[at] = codec.record_bytes(codec.inputs_in(records[at]), frame)
    log = log_of(tmp_path / "log", match.about, records)
    found = audited(exported, log, Node(exported, match.accounts[-1]))
    assert not found.ok and found.wrong[0].frame == 6 and found.wrong[0].text.startswith("player 1: ")
    assert "frame 6 of the log is wrong" in found.comparisons[0].text
    assert not audit_match_offline(exported, log).ok


def test_other_inputs_than_were_played(tmp_path: Path, exported: BoltExport, match: Match) -> None:
    """A log whose last inputs are others, with the frame that the model makes of those, is consistent in itself."""
    codec, records = match.about.codec, match.records[:-1]
    other = codec.inputs_in(match.records[-1]).copy()
    other[0, 0] = 1 if other[0, 0] <= 0 else -1
    records = [*records, Replay(exported.net, NOTHING, match.about.ids).next(records, other)]
    log = log_of(tmp_path / "log", match.about, records)
    assert audit_match_offline(exported, log).ok
    found = audited(exported, log, Node(exported, match.accounts[-1]))
    assert not found.ok and not found.wrong and "is not what the log leads to" in found.comparisons[0].text


def without_match(data: dict[str, Any]) -> None:
    del data["match"]


def setting(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data.update({key: value})


def placing(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda data: data["match"].update({key: value})


HOSTILE: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "of a session": (without_match, "the log of a session, expected that of a match"),
    "another world": (placing("world", 4), "model is '"),
    "another entity": (placing("entity", 1), "session is '"),
    "a world past 64 bits": (placing("world", 1 << 64), "does not fit 64 bits"),
    "a negative entity": (placing("entity", -1), "entity is -1"),
    "a world that is text": (placing("world", "3"), "world is '3'"),
    "a place with more": (placing("more", 1), "more"),
    "an authority that is none": (placing("authority", "nobody"), "authority 'nobody'"),
    "another program": (setting("program", str(ENTITY)), "program is '"),
    "another entity than its place": (setting("session", str(WORLD)), "session is '"),
    "more slots": (setting("slots", 4), "slots is 4, expected 2"),
    "ids that are not": (setting("ids", [999, 999, 999]), "lie outside their tables"),
    "a memory": (setting("empty_memory", "ab" * 32), "records are of"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_log_is_refused_in_one_line(tmp_path: Path, exported: BoltExport, match: Match, name: str) -> None:
    change, says = HOSTILE[name]
    log_of(tmp_path / "log", match.about, match.records)
    path = tmp_path / "log" / "log.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    try:
        audit = audit_match_offline(exported, read_log(tmp_path / "log"))
    except WmLiveError as error:
        said = str(error)
    else:
        assert not audit.ok
        said = audit.wrong[0].text
    assert says in said and said.isprintable()


def test_another_export_is_named(tmp_path: Path, exported: BoltExport, match: Match) -> None:
    log = log_of(tmp_path / "log", replace(match.about, manifest_sha256="cd" * 32), match.records)
    with pytest.raises(OtherExportError, match="cdcd"):
        audit_match_offline(exported, log)


def test_another_beginning_is_refused(tmp_path: Path, exported: BoltExport, match: Match) -> None:
    """A match begins with one Frame in every slot of its window, and nothing pressed."""
    records = [match.records[-1], *match.records[1:]]
    with pytest.raises(WmLiveError, match="a match begins with one Frame"):
        audit_match_offline(exported, log_of(tmp_path / "frames", match.about, records))
    pressed = [bytes([1]) + record[1:] for record in match.records[: match.about.slots]]
    with pytest.raises(WmLiveError, match="a match begins with one Frame"):
        audit_match_offline(exported, log_of(tmp_path / "pressed", match.about, pressed))


@pytest.mark.parametrize("cut", [0, 7, 8, -1])
def test_a_node_that_gives_other_bytes_is_refused(exported: BoltExport, match: Match, cut: int) -> None:
    components = exported.sliced.components
    accounts = {**match.accounts[0], CLOCK: match.accounts[0][CLOCK][:cut]}
    with pytest.raises(WmLiveError, match=rf"a node: component {CLOCK}: expected .* bytes that begin with"):
        match_state("a node", components, accounts)
    accounts = {**match.accounts[0], CLOCK: bytes(8) + match.accounts[0][CLOCK][8:]}
    with pytest.raises(WmLiveError, match="begin with"):
        match_state("a node", components, accounts)


def test_a_component_of_somebody_else_is_refused(tmp_path: Path, exported: BoltExport, match: Match) -> None:
    log = log_of(tmp_path / "log", match.about, match.records)
    node = Node(exported, match.accounts[-1])
    address = component_addresses(exported, ENTITY)["shield"]
    node._there[address] = replace(node._there[address], owner=WORLD)
    with pytest.raises(WmLiveError, match=f"component {address} belongs to {WORLD}"):
        audited(exported, log, node)
    del node._there[address]
    with pytest.raises(WmLiveError, match=f"no match {ENTITY} there"):
        audited(exported, log, node)


def test_a_match_in_the_middle_of_a_frame_is_not_compared(tmp_path: Path, exported: BoltExport, match: Match) -> None:
    log = log_of(tmp_path / "log", match.about, match.records)
    clock = bytearray(match.accounts[-1][CLOCK])
    clock[16] = 2
    found = audited(exported, log, Node(exported, {**match.accounts[-1], CLOCK: bytes(clock)}))
    assert not found.ok and f"is within frame {FRAMES}" in found.comparisons[0].text
