"""What a session must be after any instruction, kept in Python: its states, and who may move it on."""

from dataclasses import dataclass, field

from solders.keypair import Keypair
from solders.pubkey import Pubkey

from tests.records import FRAME_BYTES
from tests.security.kit import CREATOR, KEYS, Kit
from wm_live.session.tree import Tree, root_of

LOOKAHEAD = 8
OPEN, JOINED, STARTED, LOADING, ENDED, CLOSED = "open", "joined", "started", "loading", "ended", "closed"


@dataclass
class Mirror:
    """A session and its scratch account. `loaded` is None until the window was opened, and after it was lost.

    wallets, keys    of both players
    inputs           what waits, by (player, frame)
    window           the frame that the window was last whole for
    seeded           records of the window so far, before the start
    """

    kit: Kit = field(repr=False)
    status: str = OPEN
    frame: int = 0
    step: int = 0
    wallets: list[Pubkey] = field(default_factory=lambda: [CREATOR.pubkey(), Pubkey.default()])
    keys: list[Pubkey] = field(default_factory=lambda: [KEYS[0].pubkey(), Pubkey.default()])
    inputs: dict[tuple[int, int], bytes] = field(default_factory=dict)
    loaded: int | None = None
    window: int = 0
    seeded: list[bytes] = field(default_factory=list)
    log: list[bytes] = field(default_factory=list)

    @property
    def root(self) -> bytes:
        """Root that the session holds."""
        return root_of(self.log) if self.log else bytes(32)

    @property
    def current(self) -> bytes:
        """The Frame that the session holds: the last record's, whatever is under way."""
        return self.log[-1][-FRAME_BYTES:] if self.log else bytes(FRAME_BYTES)

    def plays(self, player: int, who: Keypair) -> bool:
        """May `who` act for this player?"""
        return player < 2 and who.pubkey() in (self.wallets[player], self.keys[player])

    def has_part(self, who: Keypair) -> bool:
        """Does `who` have a part in the session? A session key has none."""
        return who.pubkey() in (CREATOR.pubkey(), *self.wallets)

    def join(self, who: Keypair) -> bool:
        """Each of these says whether the instruction may pass, and if so does what it does."""
        if self.status != OPEN:
            return False
        self.wallets[1], self.keys[1], self.status = who.pubkey(), KEYS[1].pubkey(), JOINED
        return True

    def set_key(self, player: int, who: Keypair, key: Pubkey) -> bool:
        if self.status == CLOSED or player > 1 or who.pubkey() != self.wallets[player]:
            return False
        self.keys[player] = key
        return True

    def open_window(self, who: Keypair, peaks: list[bytes]) -> bool:
        if self.status not in (JOINED, STARTED, LOADING) or not self.has_part(who):
            return False
        if self.status != JOINED and self.loaded is not None:
            return False
        if peaks != ([] if self.status == JOINED else Tree(self.log).peaks()):
            return False
        if self.status != JOINED:
            self.status = LOADING
        self.loaded, self.window = 0, self.frame
        return True

    def lose(self) -> None:
        """The rollup loses the scratch account."""
        self.loaded = None

    def seed(self, who: Keypair, index: int, record: bytes, valid: bool) -> bool:
        if self.status != JOINED or not self.has_part(who) or self.loaded is None or not valid:
            return False
        seeded = [*self.seeded[:index], record]
        whole = len(seeded) == self.kit.slots
        if index not in (0, self.loaded) or (whole and seeded != list(self.kit.seeds)):
            return False
        self.seeded, self.loaded = seeded, index + 1
        if whole:
            self.status, self.log, self.window = STARTED, seeded, 0
        return True

    def load(self, leaf: int, honest: bool) -> bool:
        if self.status != LOADING or self.loaded is None:
            return False
        if leaf != self.frame + self.loaded or not honest:
            return False
        self.loaded += 1
        if self.loaded == self.kit.slots:
            self.status, self.step = STARTED, 0
        return True

    def submit(self, player: int, who: Keypair, frame: int, value: bytes, valid: bool) -> bool:
        if self.status != STARTED or not self.plays(player, who) or not valid:
            return False
        if not 0 <= frame - self.frame < LOOKAHEAD or (player, frame) in self.inputs:
            return False
        self.inputs[player, frame] = value
        return True

    def run(self, frame: int, step: int) -> bool:
        """`step`; the last one of a frame leaves the log to be completed with the Frame that was computed."""
        ready = self.status == STARTED and self.loaded == self.kit.slots and self.window == self.frame == frame
        if not ready or step != self.step or not {(0, frame), (1, frame)} <= self.inputs.keys():
            return False
        self.step += 1
        return True

    def finish(self, frame: bytes) -> None:
        """The frame is whole."""
        inputs = b"".join(self.inputs.pop((player, self.frame)) for player in range(2))
        self.log.append(inputs + frame)
        self.frame, self.step = self.frame + 1, 0
        self.window = self.frame

    def end(self, who: Keypair) -> bool:
        if self.status in (LOADING, ENDED, CLOSED) or self.step or not self.has_part(who):
            return False
        self.status = ENDED
        return True

    def close(self, who: Keypair) -> bool:
        """Of a session that has come back: in the middle of a frame it could not be ended."""
        if self.status == CLOSED or (self.status == STARTED and not self.step) or who.pubkey() != CREATOR.pubkey():
            return False
        self.status = CLOSED
        return True
