"""Experiments that are named for what a frame of theirs costs keep to it: the cost of a shape needs no training."""

import pytest

from wm_export.lower.design import Limits, priced
from wm_export.solana.sources import EXPERIMENTS
from wm_train.config import load_config

#: Of the most expensive frame: compute units of a transaction at most, and how many there are.
BUDGETS = {
    "tick": Limits(400_000),
    "tx": Limits(1_100_000),
    "realtime": Limits(1_400_000, transactions=2),
    "full": Limits(1_400_000, transactions=4),
}
#: What an estimate of the compiled code may be too low by.
UNMETERED_CU = 2_000


@pytest.mark.parametrize("name", BUDGETS)
def test_a_frame_fits(name: str) -> None:
    found, limits = priced(load_config(EXPERIMENTS / f"{name}.yaml").model, BUDGETS[name].transactions), BUDGETS[name]
    assert found.fits(limits) and max(found.transactions) + UNMETERED_CU <= limits.budget
