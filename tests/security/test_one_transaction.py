"""The experiment `tx`: a whole frame of a Mamba-2 of 1.2M parameters in one transaction, played, metered and judged."""

import numpy as np
import pytest

from tests.factories import small_qnet
from tests.security.kit import DISPUTED, PLAYED, Kit
from tests.security.stages import world_at
from tests.security.test_memory import LIES, RIGHT, WRONG, judged
from tests.security.world_risks import rewritten
from tests.wm_export.conftest import recording
from wm_export.lower.cost import cost as costed
from wm_export.lower.unmetered import estimated
from wm_export.schema.sbpf import Arch
from wm_export.solana.export import export_solana, open_export
from wm_export.solana.metering import build, predicted, runner
from wm_export.solana.sources import EXPERIMENTS
from wm_export.solana.toolchain import Toolchain
from wm_live.session.recompute import Replay, wrong_frames
from wm_quant.interp import Interpreter
from wm_train.config import load_config
from wm_train.shapes import parameter_count

BUDGET = 1_100_000
#: Every turn of its heads twice, and more.
FRAMES = 20

pytestmark = pytest.mark.parametrize("arch", list(Arch), indirect=True, scope="module")


@pytest.fixture(scope="module")
def arch(request: pytest.FixtureRequest) -> Arch:
    """The version of sBPF that the program is in."""
    version: Arch = request.param
    return version


@pytest.fixture(scope="module")
def kit(sbpf: Toolchain, arch: Arch, tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Of random weights."""
    folder = tmp_path_factory.mktemp("tx")
    export_solana(small_qnet(load_config(EXPERIMENTS / "tx.yaml").model), folder)
    export = open_export(folder)
    build(export, arch)
    return Kit(export, export.program.read_bytes(), b"")


def test_every_frame_costs_what_was_predicted_and_is_the_interpreters(kit: Kit) -> None:
    export, kept, digest = kit.export, kit.where.memory, kit.where.session["memory"].offset
    cost, program, reference, run = (
        predicted(export),
        runner(export),
        Interpreter(export.net),
        recording(export.net, 1, FRAMES),
    )
    estimate = costed(export.lowered, estimated(export.lowered)).total_cu
    assert abs(estimate - cost.total_cu) <= cost.total_cu // 500
    assert parameter_count(export.net.model) >= 1_150_000 and len(cost.plan) == 1 and max(cost.worst) <= BUDGET
    state = true = run.state.at(slice(0, 1))
    for number, following in enumerate(run.inputs[:, :1]):
        _, state, spent = program.metered_step(state, following, number)
        true = reference.step(true, following)[1]
        assert spent == cost.transactions(number) and (state.frame == true.frame).all()
        assert all(np.array_equal(state.memory[name], values) for name, values in true.memory.items())
        found = program.data(program.session)[digest : digest + kept.digest_size]
        assert found == kept.digest(kept.pack(true.memory))


@pytest.mark.parametrize("lie", [None, *LIES])
def test_a_frame_is_judged_with_its_memory(kit: Kit, lie: str | None) -> None:
    """And an audit names the frame that is wrong."""
    world = world_at(kit, "played")
    leaf = DISPUTED + kit.slots
    game = rewritten(world, leaf, LIES[lie](world.game.log[leaf])) if lie else world.game
    found = wrong_frames(Replay(kit.export.net, kit.where.memory, game.terms.ids), list(game.log))
    assert [it.frame for it in found] == ([DISPUTED] if lie else [])
    assert judged(world, game, DISPUTED) == (WRONG if lie else RIGHT)


def test_a_memory_that_was_lost_is_loaded_and_checked_and_goes_on(kit: Kit) -> None:
    whole, broken = world_at(kit, "played"), world_at(kit, "forgotten")
    broken.recalled(broken.game, PLAYED, spoiled=kit.idle(PLAYED))
    assert broken.send(broken.check_memory(broken.game)).error == "WrongDigest"
    broken.recalled(broken.game, PLAYED)
    broken.must(broken.check_memory(broken.game))
    assert whole.play(whole.game).log == broken.play(broken.game).log
