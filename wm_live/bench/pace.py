"""Frame rate and latency of a rollup: paced at the game's rate, and unpaced."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from solders.keypair import Keypair

from wm_live.chain.rpc import Rpc
from wm_live.session.inputs import Inputs
from wm_live.session.instructions import Session
from wm_live.session.play import Beat, Driver


@dataclass(frozen=True)
class Run:
    """Beats of one session, in order, and the seconds they took."""

    beats: Sequence[Beat]
    seconds: float

    @property
    def fps(self) -> float:
        """Frames a second."""
        return len(self.beats) / self.seconds


async def run(rollup: Rpc, session: Session, keys: Sequence[Keypair], inputs: Inputs, frames: int, fps: float) -> Run:
    """Compute frames of one session; `fps` 0 for as fast as they come."""
    beats: list[Beat] = []
    driver = Driver(rollup, session, keys, fps, beats.append)
    start = time.monotonic()
    await driver.run(inputs, frames)
    return Run(beats, time.monotonic() - start)


async def together(
    rollup: Rpc,
    sessions: Sequence[Session],
    keys: Sequence[Sequence[Keypair]],
    inputs: Inputs,
    frames: int,
    fps: float,
) -> list[Run]:
    """The same for several sessions at once; `keys` of each."""
    pairs = zip(sessions, keys, strict=True)
    return list(await asyncio.gather(*(run(rollup, one, own, inputs, frames, fps) for one, own in pairs)))


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """p50, p95 and p99; of milliseconds."""
    if not len(values):
        return {"p50": 0.0, "p95": 0.0, "p99": 0.0}
    return {name: round(float(np.percentile(values, q)), 3) for name, q in (("p50", 50), ("p95", 95), ("p99", 99))}


def execution_ms(runs: Sequence[Run]) -> list[float]:
    """Time from one frame's arrival to the next, while there were always more to compute: what a frame takes."""
    return [1e3 * float(gap) for one in runs for gap in np.diff([beat.seen_s for beat in one.beats])]


def figures(paced: Sequence[Run], full: Sequence[Run], steps: int, wanted_fps: float) -> dict[str, Any]:
    """Figures of a paced and of an unpaced run over the same sessions; `fps` is that of the slowest session."""
    beats = [beat for one in paced for beat in one.beats]
    return {
        "sessions": len(paced),
        "steps": steps,
        "wanted_fps": wanted_fps,
        "fps": round(min(one.fps for one in paced), 3),
        "frames": len(beats),
        "seconds": round(max(one.seconds for one in paced), 3),
        "late_frames": sum(beat.late for beat in beats),
        "round_trip_ms": percentiles([1e3 * (beat.seen_s - beat.sent_s) for beat in beats]),
        "max_fps": round(sum(one.fps for one in full), 3),
        "execution_ms": percentiles(execution_ms(full)),
    }
