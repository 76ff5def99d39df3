"""What is counted while frames are played."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from wm_live.bench.pace import percentiles
from wm_live.session.play import Beat

if TYPE_CHECKING:
    from wm_export.solana.export import Export


class Tally:
    """Frames played, late and never seen on the chain, and their round trips."""

    def __init__(self) -> None:
        self.frames, self.late, self.unseen = 0, 0, 0
        self._start = self._end = time.monotonic()
        self._trips: list[float] = []

    def add(self, beat: Beat) -> None:
        """Count a frame."""
        self.frames += 1
        self.late += beat.late
        self.unseen += beat.state is None
        self._trips.append(1e3 * (beat.seen_s - beat.sent_s))
        self._end = time.monotonic()

    @property
    def fps(self) -> float:
        """Frames a second so far."""
        return self.frames / max(self._end - self._start, 1e-9)

    def figures(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "frames": self.frames,
            "fps": round(self.fps, 3),
            "late_frames": self.late,
            "round_trip_ms": percentiles(self._trips),
        }


def frame_cu(export: "Export") -> Callable[[int], int]:
    """Compute units of a frame by its number; a formula, which tests hold against the metered number."""
    from wm_export.solana.metering import predicted

    cost = predicted(export)
    return lambda number: sum(cost.transactions(number))
