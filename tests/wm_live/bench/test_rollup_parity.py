"""Parity on the real rollup: every tensor of every frame; and what is wrong is found."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.wm_live.games import Deployed, deployed_on, moves
from wm_export.parity import Outcome
from wm_live.bench import rollup_parity
from wm_live.localnet.servers import Localnet
from wm_live.session import lifecycle
from wm_quant.interp import Interpreter, State

FRAMES, TAMPERED = 30, 7


@pytest.fixture(scope="module", params=[1, 3])
def deployed(request: pytest.FixtureRequest, localnet: Localnet, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """A world in one transaction a frame, and in three."""
    return deployed_on(localnet, tmp_path_factory, request.param)


def compared(deployed: Deployed) -> Outcome:
    """30 frames on the rollup and by the reference."""
    outcome, done = Outcome("er rollout"), []

    async def run() -> None:
        async with deployed.game() as game:
            inputs = np.stack([moves()(n) for n in range(FRAMES)])
            await rollup_parity.compare(game, deployed.window, inputs, outcome, lambda: done.append(1))
            assert await lifecycle.read_session(game.places.base, game.session) is None

    asyncio.run(run())
    assert len(done) == outcome.frames == FRAMES
    return outcome


def test_no_difference(deployed: Deployed) -> None:
    outcome = compared(deployed)
    assert outcome.mismatches == 0 and outcome.first is None


class WrongTensor(Interpreter):
    """One activation of one frame is one too many."""

    frame = -1

    def step(self, state: State, following: Any) -> Any:
        """With the lie."""
        trace, after = super().step(state, following)
        self.frame += 1
        return (self.lie(trace, after)) if self.frame == TAMPERED else (trace, after)

    def lie(self, trace: Any, after: State) -> Any:
        """What is said instead."""
        heads = trace["heads"].copy()
        heads.flat[3] += 1
        return trace | {"heads": heads}, after


class WrongFrame(WrongTensor):
    """One field of one Frame is one too many."""

    def lie(self, trace: Any, after: State) -> Any:
        """What is said instead."""
        frame = after.frame.copy()
        frame.flat[-1] += 1
        return trace, replace(after, frame=frame)


@pytest.mark.parametrize("wrong", [WrongTensor, WrongFrame])
def test_a_difference_is_found(deployed: Deployed, monkeypatch: pytest.MonkeyPatch, wrong: type[Interpreter]) -> None:
    monkeypatch.setattr(rollup_parity, "Interpreter", wrong)
    outcome = compared(deployed)
    assert outcome.mismatches > 0 and outcome.first is not None
    assert outcome.first.to_json()["frame"] == TAMPERED
