"""The experiment `full`, whose network keeps a megabyte: all that a session of it sends fits into transactions."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pytest
from solders.instruction import Instruction
from solders.keypair import Keypair

from tests.builds import built
from tests.factories import small_qnet
from tests.security.harness import World
from tests.security.kit import CREATOR, OPPONENT, PLAYED, PROGRAM, Kit, Outcome
from tests.security.stages import STAGES, put_frozen
from tests.wm_live.deploying import EMPTY_PROGRAM
from wm_export.lower.balance import balanced_cuts
from wm_export.lower.cost import PRESET_OVERHEADS
from wm_export.lower.lowering import lower
from wm_export.lower.memory import chunk
from wm_export.schema.instruction_set import INSTRUCTIONS
from wm_export.schema.limits import GROWTH, TRANSACTION_BUDGET
from wm_export.solana.export import export_solana, open_export
from wm_export.solana.sources import EXPERIMENTS
from wm_export.solana.toolchain import Toolchain
from wm_live.chain.addresses import MAGIC_PROGRAM
from wm_live.session.lifecycle import CU_LIMIT, GROWTHS_AT_ONCE, MOST_INSTRUCTIONS
from wm_train.config import load_config

#: Of a frame.
TRANSACTIONS = 4
#: Compute units of each kind of transaction, by what is in it.
UNITS = {
    "join_session": 2_520,
    "31 grow_scratch": 162_280,
    "open_window": 519_750,
    "seed_frame": 7_567,
    "load_frame": 7_223,
    "63 load_memory": 141_774,
    "21 load_memory": 47_357,
    "check_memory": 510_262,
    "open_dispute": 516_434,
    "load_disputed_memory": 447,
    "load_disputed": 513_353,
    "end_session": 2_244,
    "close_scratch": 9_870,
    "close_dispute": 427,
    "close_pin": 427,
    "close_session": 3_871,
}
#: Frames are metered elsewhere; how often an address is searched for depends on the weights.
ELSEWHERE = {"2 submit_input", "step", "judge", "create_session", "pin_commit"}
NAMES = {one.discriminator: name for name, one in INSTRUCTIONS.items()}


class Metered(World):
    """A world that keeps the most units of each kind of transaction; all begin with a limit, as clients send them."""

    def __init__(self, kit: Kit) -> None:
        super().__init__(kit, kit.program)
        self.units: dict[str, int] = {}

    def send(self, *instructions: Instruction, signers: Sequence[Keypair] = ()) -> Outcome:
        outcome = super().send(CU_LIMIT, *instructions, signers=signers)
        names = Counter(NAMES[bytes(one.data[:8])] for one in instructions if one.program_id == PROGRAM)
        kind = ", ".join(name if count == 1 else f"{count} {name}" for name, count in names.items())
        self.units[kind] = max(self.units.get(kind, 0), outcome.cu)
        return outcome

    def reach(self, *stages: str) -> None:
        """Go on to each of the stages."""
        for stage in stages:
            STAGES[stage][1](self)


@pytest.fixture(scope="module")
def units(sbpf: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, int]:
    """The most of each kind of transaction, of a session that was played, lost, loaded, disputed, ended and closed."""
    folder = tmp_path_factory.mktemp("full")
    net = small_qnet(load_config(EXPERIMENTS / "full.yaml").model)
    export_solana(net, folder, balanced_cuts(lower(net), TRANSACTIONS))
    export = built(open_export(folder))
    world = Metered(Kit(export, export.program.read_bytes(), b""))
    put_frozen(world)
    world.reach("open", "joined")
    grow(world)
    world.reach("started", "played", "forgotten")
    recall(world)
    world.reach("pinned", "asked", "disputed", "judged", "ended")
    close(world)
    return world.units


def grow(world: World) -> None:
    """The scratch account grows, as often as one transaction does it; an empty program is called for the rollup's."""
    world.svm.add_program(MAGIC_PROGRAM, EMPTY_PROGRAM)
    world.zeroed(world.game.scratch, GROWTH)
    game = world.game
    accounts = {"party": CREATOR.pubkey(), "session": game.address, "scratch": game.scratch, "previous": game.scratch}
    world.must(*[world.make("grow_scratch", accounts, nonce=0)] * GROWTHS_AT_ONCE, signers=[CREATOR])


def recall(world: World) -> None:
    """The memory is loaded in as few transactions as a rollup takes, checked, and a frame is computed from it."""
    region = world.kit.region(world.game, PLAYED)
    chunks = [world.load_memory(world.game, i, chunk(region, i)) for i in range(world.kit.where.memory.chunks)]
    for first in range(0, len(chunks), MOST_INSTRUCTIONS - 1):
        world.must(*chunks[first : first + MOST_INSTRUCTIONS - 1], signers=[CREATOR])
    world.must(world.check_memory(world.game))
    world.game = world.play(world.game)
    assert world.state().memory == world.kit.where.memory.digest(world.kit.region(world.game, PLAYED + 1))


def close(world: World) -> None:
    """Scratch account, dispute, pin and session."""
    creator = {"party": CREATOR.pubkey(), "session": world.game.address, "scratch": world.game.scratch}
    dispute = {"disputer": OPPONENT.pubkey(), "dispute": world.dispute}
    pin = {"pinner": OPPONENT.pubkey(), "pin": world.pinned(world.game)}
    world.must(world.make("close_scratch", creator), signers=[CREATOR])
    world.must(world.make("close_dispute", dispute), signers=[OPPONENT])
    world.must(world.make("close_pin", pin), signers=[OPPONENT])
    world.must(world.close(world.game), signers=[CREATOR])


def test_all_of_a_session_fits_into_transactions(units: Mapping[str, int]) -> None:
    assert units.keys() == UNITS.keys() | ELSEWHERE
    assert max(units.values()) <= TRANSACTION_BUDGET


def test_each_transaction_takes_exactly_these_units(sbpf: Toolchain, units: Mapping[str, int]) -> None:
    if sbpf.name != PRESET_OVERHEADS["mamba2-small"].toolchain:
        pytest.skip("the units are those of scripts/sbpf.sh: make toolchain")
    assert {kind: units[kind] for kind in UNITS} == UNITS
