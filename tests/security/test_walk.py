"""Random instructions, right and wrong, by anyone: each passes exactly when it may, and does exactly what it must."""

import struct
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair

from tests.records import FRAME_BYTES, INPUT_BYTES, RECORDS, frame_bytes
from tests.security.kit import CREATOR, KEYS, NOW, OPPONENT, PROGRAM, STRANGER, Game, Kit
from tests.security.mirror import CLOSED, JOINED, LOADING, OPEN, STARTED, Mirror
from tests.security.stages import world_at
from wm_export.schema.accounts import SCRATCH
from wm_live.session.recompute import arrays
from wm_live.session.tree import Tree
from wm_quant.interp import Interpreter
from wm_train.measure.window import Window

PEOPLE = (CREATOR, OPPONENT, STRANGER, *KEYS)
IDS = (2, 8, 9, 0)


def by(one: Instruction, who: Keypair) -> Instruction:
    """An instruction signed by somebody else in its first place."""
    first = AccountMeta(who.pubkey(), True, one.accounts[0].is_writable)
    return Instruction(PROGRAM, one.data, [first, *one.accounts[1:]])


class Walk:
    """A world and its mirror, which take every step together."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.world, self.mirror = kit, world_at(kit, "open"), Mirror(kit)
        self.world.zeroed(self.world.game.scratch, kit.where.scratch_bytes)

    @property
    def game(self) -> Game:
        """The session with the log that the mirror keeps."""
        old = self.world.game
        return replace(old, log=tuple(self.mirror.log))

    def take(self, expected: bool, one: Instruction, *signers: Keypair) -> None:
        """Send it: it passes as expected, and afterwards both are the same."""
        outcome = self.world.send(one, signers=signers)
        assert (outcome.error == "") == expected, (outcome.error, outcome.logs[-4:], self.mirror)
        if self.mirror.step == len(self.kit.export.manifest.plan):
            self.mirror.finish(frame_bytes(self.world.state().frame))
        self.compare()

    def compare(self) -> None:
        """Session and scratch account are what the mirror says."""
        mirror, address = self.mirror, self.world.game.address
        assert self.world.exists(address) == (mirror.status != CLOSED)
        if mirror.status == CLOSED:
            return
        state = self.world.state()
        assert (state.status, state.frame_number, state.step) == (mirror.status, mirror.frame, mirror.step)
        assert [player.wallet for player in state.players] == mirror.wallets
        assert [player.key for player in state.players] == mirror.keys
        assert state.root == mirror.root and self.ring() == mirror.inputs
        assert frame_bytes(state.frame) == mirror.current
        if mirror.loaded is not None:
            at = SCRATCH.offsets["frame_number"]
            window, loaded = struct.unpack_from("<QQ", self.world.data(self.world.game.scratch), at)
            assert loaded == mirror.loaded and (loaded < self.kit.slots or window == mirror.window)

    def ring(self) -> dict[tuple[int, int], bytes]:
        """Inputs that wait in the session account, by (player, frame)."""
        section, data = self.kit.where.session["inputs"], self.world.data(self.world.game.address)
        out = {}
        for frame in range(self.mirror.frame, self.mirror.frame + 8):
            for player in range(2):
                at = section.offset + 8 * (2 * (frame % 8) + player)
                word = data[at : at + 8]
                assert word == bytes(8) or word[7] == 0x80
                if any(word):
                    out[player, frame] = word[:INPUT_BYTES]
        return out

    # --- instructions, right or wrong

    def join(self, who: Keypair) -> None:
        one = self.world.join(self.world.game, who)
        self.take(self.mirror.join(who), one, who)

    def set_key(self, who: Keypair, player: int, key: Keypair) -> None:
        accounts = {"player": who.pubkey(), "session": self.world.game.address}
        given = {"player": player, "key": bytes(key.pubkey()), "expires": NOW + 3600}
        self.take(self.mirror.set_key(player, who, key.pubkey()), self.world.make("set_key", accounts, **given), who)

    def open_window(self, who: Keypair, stale: bool) -> None:
        game = self.game
        peaks = Tree(game.log[:-1]).peaks() if stale else game.peaks
        accounts = {"party": who.pubkey(), "session": game.address, "scratch": game.scratch, "model": self.world.model}
        one = self.world.make("open_window", accounts, peaks=peaks)
        self.take(self.mirror.open_window(who, peaks), one, who)

    def lose(self) -> None:
        self.world.zeroed(self.world.game.scratch, self.kit.where.scratch_bytes)
        self.mirror.lose()

    def seed(self, who: Keypair, index: int, record: bytes, valid: bool = True) -> None:
        one = by(self.world.seed(self.world.game, index, record), who)
        self.take(self.mirror.seed(who, index, record, valid), one, who)

    def load(self, leaf: int, honest: bool) -> None:
        game = self.game
        if leaf >= len(game.log):
            return
        record = game.log[leaf] if honest else game.log[leaf][:-4] + bytes(4)
        honest = honest or record == game.log[leaf]
        one = self.world.load_for_scratch(game, leaf, record)
        self.take(self.mirror.load(leaf, honest), one)

    def submit(self, who: Keypair, player: int, ahead: int, value: bytes) -> None:
        frame = max(0, self.mirror.frame + ahead)
        valid = all(abs(axis - 256 * (axis > 127)) <= 80 for axis in value[:5]) and value[4] < 128
        accounts = {"signer": who.pubkey(), "session": self.world.game.address}
        one = self.world.make("submit_input", accounts, player=player, frame=frame, input=value)
        self.take(self.mirror.submit(player, who, frame, value, valid), one, who)

    def step(self, ahead: int, number: int) -> None:
        frame = max(0, self.mirror.frame + ahead)
        self.take(self.mirror.run(frame, number), self.world.step(self.world.game, frame, number))

    def crank(self) -> None:
        mirror = self.mirror
        waits = mirror.status == STARTED and any((p, mirror.frame) not in mirror.inputs for p in range(2))
        self.take(waits or mirror.run(mirror.frame, mirror.step), self.world.advance(self.world.game))

    def end(self, who: Keypair) -> None:
        self.take(self.mirror.end(who), by(self.world.end(self.world.game), who), who)

    def close(self, who: Keypair) -> None:
        self.take(self.mirror.close(who), self.world.close(self.world.game, who), who)

    # --- what brings the session on

    def advance(self) -> None:
        """The next instruction of an honest session."""
        mirror = self.mirror
        if mirror.status == OPEN:
            self.join(OPPONENT)
        elif mirror.status in (JOINED, STARTED, LOADING) and mirror.loaded is None:
            self.open_window(CREATOR, stale=False)
        elif mirror.status == JOINED:
            right = mirror.seeded == list(self.kit.seeds[: mirror.loaded or 0])
            index = (mirror.loaded or 0) if right else 0
            self.seed(CREATOR, index, self.kit.seeds[index])
        elif mirror.status == LOADING:
            self.load(mirror.frame + (mirror.loaded or 0), honest=True)
        elif mirror.status == STARTED:
            self._play()

    def _play(self) -> None:
        mirror, wallets = self.mirror, {who.pubkey(): who for who in PEOPLE}
        missing = [player for player in range(2) if (player, mirror.frame) not in mirror.inputs]
        if missing:
            self.submit(wallets[mirror.wallets[missing[0]]], missing[0], 0, bytes([missing[0] + 1] * 5 + [3]))
        else:
            self.step(0, mirror.step)

    def recomputed(self) -> list[bytes]:
        """The log's Frames, computed again by the integer reference."""
        slots, log = self.kit.slots, self.mirror.log
        if len(log) <= slots:
            return []
        pads, frames = arrays(RECORDS, log)
        reference = Interpreter(self.kit.export.net)
        vocab = len(list(self.kit.export.net.world.encoding.session_fields()))
        session = np.array([IDS[:vocab]])
        state = reference.begin(Window(frames[None, :slots], pads[None, :slots], pads[None, slots], session))
        out = []
        for following in pads[slots:]:
            state = reference.step(state, following[None])[1]
            out.append(frame_bytes(state.frame[0]))
        return out


#: People and inputs go by their number, so that a walk that fails can be read.
WHO = st.integers(0, len(PEOPLE) - 1)
VALUES = (bytes(6), bytes([80] * 5 + [255]), bytes([81, 0, 0, 0, 0, 0]), bytes([0, 0, 0, 0, 176, 0]))
VALUE = st.integers(0, len(VALUES) - 1)
#: A method of Walk and its arguments.
ACTIONS = st.one_of(
    *[st.tuples(st.just("advance"))] * 14,
    st.tuples(st.just("join"), WHO),
    st.tuples(st.just("set_key"), WHO, st.integers(0, 2), WHO),
    st.tuples(st.just("open_window"), WHO, st.booleans()),
    st.tuples(st.just("lose")),
    *[st.tuples(st.just("crank"))] * 2,
    st.tuples(st.just("end"), WHO),
    st.tuples(st.just("seed"), WHO, st.integers(0, 3), st.integers(0, 2)),
    st.tuples(st.just("load"), st.integers(0, 6), st.booleans()),
    st.tuples(st.just("submit"), WHO, st.integers(0, 2), st.integers(-1, 9), VALUE),
    st.tuples(st.just("step"), st.integers(-1, 1), st.integers(0, 3)),
)
ENDINGS = st.tuples(st.sampled_from(["end", "close"]), WHO)


def act(walk: Walk, name: str, *numbers: int) -> None:
    """Do one of ACTIONS or ENDINGS."""
    given: list[Any] = list(numbers)
    if name in ("join", "set_key", "open_window", "seed", "submit", "end", "close"):
        given[0] = PEOPLE[given[0]]
    if name == "set_key":
        given[2] = PEOPLE[given[2]]
    if name == "submit":
        given[3] = VALUES[given[3]]
    if name == "seed":
        given[2] = walk.kit.seeds[given[2]]
    getattr(walk, name)(*given)


def test_nothing_else_happens(kit: Kit) -> None:
    @seed(7)
    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(actions=st.lists(ACTIONS, min_size=40, max_size=120), endings=st.lists(ENDINGS, max_size=6))
    def walked(actions: list[tuple[Any, ...]], endings: list[tuple[Any, ...]]) -> None:
        walk = Walk(kit)
        for one in actions:
            act(walk, *one)
        for one in endings:
            for after in (one, ("step", 0, 0), ("submit", 0, 0, 0, 0), ("advance",)):
                act(walk, *after)
        assert [record[-FRAME_BYTES:] for record in walk.mirror.log[kit.slots :]] == walk.recomputed()

    walked()


def test_the_walk_goes_somewhere(kit: Kit) -> None:
    walk = Walk(kit)
    for _ in range(1 + 1 + kit.slots + 5 * 9):
        walk.advance()
    walk.lose()
    walk.open_window(OPPONENT, stale=False)
    for _ in range(kit.slots + 5):
        walk.advance()
    assert walk.mirror.frame == 10
    assert [record[-FRAME_BYTES:] for record in walk.mirror.log[kit.slots :]] == walk.recomputed()
