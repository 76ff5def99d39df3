"""Rallies of two players that press what they like: a generator in place of recordings."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from examples.pong.pong import BALL_SPEED, COLUMNS, GAME, HALF, LENGTH, PADDLE_SPEED
from wm_train.games.dataset import FRAME, DatasetMeta, StoredGame, write_game, write_meta


def rally(seed: int, frames: int) -> dict[str, Any]:
    """Columns of one game, (frames,) each, by name with the player's prefix."""
    rng = np.random.default_rng(seed)
    ball, speed = np.array([LENGTH / 2, 0.0]), np.array([BALL_SPEED, 0.3])
    paddle, points = np.zeros(2), np.zeros(2)
    rows: dict[str, list[float]] = {f"p{p}_{column.name}": [] for p in range(2) for column in COLUMNS}
    stick, smash = np.zeros(2, int), np.zeros(2, int)
    for frame in range(frames):
        if frame % 6 == 0:
            toward = np.sign(ball[1] - paddle).astype(int) * rng.integers(2, 11, 2)
            stick, smash = toward, rng.integers(0, 2, 2)
        paddle = np.clip(paddle + stick / 10 * PADDLE_SPEED, -HALF, HALF)
        ball = ball + speed
        if abs(ball[1]) > HALF:
            ball[1], speed[1] = np.clip(ball[1], -HALF, HALF), -speed[1]
        if not 0 < ball[0] < LENGTH:
            side = int(ball[0] >= LENGTH)
            if abs(ball[1] - paddle[side]) > 4:
                points[1 - side] = min(points[1 - side] + 1, 100)
            pace = BALL_SPEED * (1.5 if smash[side] else 1)
            ball[0], speed[0] = np.clip(ball[0], 0, LENGTH), pace if side == 0 else -pace
        for p in range(2):
            across, along = (ball[0], speed[0]) if p == 0 else (LENGTH - ball[0], -speed[0])
            seen = {"paddle": paddle[p], "ball_across": across, "ball_up": ball[1], "speed_across": along,
                    "speed_up": speed[1], "points": points[p], "coming": along < 0, "swing": np.sign(stick[p]) % 3,
                    "stick": stick[p], "buttons": smash[p]}  # fmt: skip
            for name, value in seen.items():
                rows[f"p{p}_{name}"].append(float(value))
    return rows


def write_rallies(folder: Path, games: int, frames: int) -> None:
    """A dataset of `games` rallies of `frames` frames each."""
    folder.mkdir(parents=True, exist_ok=True)
    types = {f"p{p}_{column.name}": pa.type_for_alias(column.stored) for p in range(2) for column in COLUMNS}
    stored = []
    for seed in range(games):
        rows = rally(seed, frames)
        columns = {name: pa.array(rows[name]).cast(dtype, safe=False) for name, dtype in types.items()}
        table = pa.table({FRAME: pa.array(np.arange(frames), pa.int32())} | columns)
        name = hashlib.md5(f"rally {seed} {frames}".encode(), usedforsecurity=False).hexdigest()
        game = StoredGame(md5=name, match=name, frames=frames, about={}, missing=(), bytes=0)
        stored.append(write_game(folder, game, table, GAME))
    write_meta(DatasetMeta(folder, "rallies 1", tuple(sorted(stored, key=lambda game: game.md5)), (), GAME))
