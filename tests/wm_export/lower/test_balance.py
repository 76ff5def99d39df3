"""balance.py: a frame cut into transactions that cost about the same."""

from pathlib import Path

import pytest

from tests.factories import small_mamba2, small_qnet
from tests.verbs import figures, run
from wm_export.errors import WmExportError
from wm_export.lower.balance import balanced_cuts
from wm_export.lower.cost import call_cu, kernel_cu, memory_cu
from wm_export.lower.lowered_program import Program
from wm_export.lower.lowering import lower
from wm_quant.presets import preset
from wm_quant.qnet import QNet, save_qnet


def finest(program: Program) -> int:
    """Compute units of the largest piece that cannot be cut."""
    pieces = [call_cu(call) // max(call.groups, 1) for it in program.routines for call in it.kernel_calls]
    whole = [kernel_cu(routine) for routine in program.routines if routine.groups < 2]
    return max(pieces + whole)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("net", [preset("mlp"), preset("mamba2-small"), small_qnet(small_mamba2())])
def test_transactions_cost_about_the_same(net: QNet, count: int) -> None:
    whole = lower(net)
    program = lower(net, balanced_cuts(whole, count))
    costs = [sum(map(kernel_cu, program.routines[first:last])) for first, last in program.plan]
    assert len(costs) == count
    costs[-1] += memory_cu(whole)
    # A cut is off by half of what cannot be cut at most; a matvec that is cut has one more entry.
    slack = finest(whole) + 100
    assert max(costs) <= (sum(map(kernel_cu, whole.routines)) + memory_cu(whole)) / count + slack


def test_a_frame_has_only_so_many_places() -> None:
    with pytest.raises(WmExportError, match=r"plan: a frame of \d+ ops cannot be cut into 500 transactions"):
        balanced_cuts(lower(small_qnet()), 500)


def test_the_verb_cuts_evenly_or_where_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    net = small_qnet()
    save_qnet(Path("qnet"), net)
    plan = figures("export", "--target", "solana", "--transactions", "2")["plan"]
    assert plan == [list(part) for part in lower(net, balanced_cuts(lower(net), 2)).plan]
    both = run("export", "--target", "solana", "--transactions", "2", "--cut", "4", "--overwrite")
    assert both.exit_code == 2 and "--cut and --transactions: expected one of the two" in both.output
