"""Inputs, Frames and records as bytes: what of the interface the game decides."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wm_export.errors import WmExportError
from wm_train.world.definition import Game
from wm_train.world.fields import PLAYERS

#: An input waits in a session account in a u64, whose highest byte marks it.
INPUT_MOST = 7
#: Buttons of a player: one byte of its input.
BUTTONS_MOST = 8


@dataclass(frozen=True)
class Records:
    """A game's inputs, Frames and records as bytes.

    A player's input is an i8 per axis, then a byte with one bit per button, lowest first. A Frame is an i32 per field.
    A record is what the log says of a frame, and a leaf of the session's hash tree: both players' inputs, and the Frame
    that they led to; where the network keeps something from frame to frame, the digest of that stands behind them.
    WmExportError for a game whose input does not fit.

    empty   that digest before the first frame; of no bytes for a network that keeps nothing
    """

    game: Game
    empty: bytes = b""

    def __post_init__(self) -> None:
        buttons = len(self.game.button_places)
        if not 1 <= buttons <= BUTTONS_MOST or self.input_size > INPUT_MOST:
            raise WmExportError(
                f"export: game {self.game.name} has {self.game.axes} axes and {buttons} buttons; expected at most "
                f"{INPUT_MOST - 1} axes and 1 to {BUTTONS_MOST} buttons, which is what an instruction carries"
            )

    @property
    def input_size(self) -> int:
        """Bytes of one player's input."""
        return self.game.axes + 1

    @property
    def inputs_size(self) -> int:
        """Bytes of both players' inputs."""
        return PLAYERS * self.input_size

    @property
    def frame_size(self) -> int:
        """Bytes of a Frame."""
        return 4 * PLAYERS * len(self.game.state)

    @property
    def record_size(self) -> int:
        """Bytes of a record."""
        return self.inputs_size + self.frame_size + len(self.empty)

    @property
    def sizes(self) -> Mapping[str, int]:
        """Counts that the schema knows by name only."""
        return {
            "PLAYERS": PLAYERS,
            "INPUT_BYTES": self.input_size,
            "FRAME_BYTES": self.frame_size,
            "FRAME_FIELDS": self.frame_size // 4,
            "MEMORY_DIGEST_BYTES": len(self.empty),
        }

    def input_bytes(self, following: NDArray[np.int8]) -> bytes:
        """Both players' inputs (2, len(game.controls)) as an instruction carries them."""
        axes = self.game.axes
        buttons = np.packbits(following[:, axes:].astype(np.uint8), axis=1, bitorder="little")
        return b"".join(following[p, :axes].tobytes() + buttons[p].tobytes() for p in range(PLAYERS))

    def parts(self, inputs: bytes) -> list[bytes]:
        """Each player's part of what `input_bytes` wrote."""
        return [inputs[i : i + self.input_size] for i in range(0, len(inputs), self.input_size)]

    def inputs_of(self, inputs: bytes) -> NDArray[np.int8]:
        """(2, len(game.controls)) the inputs that `input_bytes` wrote."""
        return self.unpack_inputs(np.frombuffer(inputs, np.uint8))

    def unpack_inputs(self, raw: NDArray[np.uint8]) -> NDArray[np.int8]:
        """(..., 2, len(game.controls)) the inputs in bytes (..., inputs_size); nothing is checked."""
        axes = self.game.axes
        pads = raw.reshape(*raw.shape[:-1], PLAYERS, self.input_size)
        buttons = np.unpackbits(pads[..., axes:], axis=-1, count=len(self.game.button_places), bitorder="little")
        return np.concatenate([pads[..., :axes].view(np.int8), buttons.view(np.int8)], axis=-1)

    def frame_bytes(self, frame: NDArray[np.int32]) -> bytes:
        """A Frame (2, len(game.state)) as accounts and records hold it."""
        return frame.astype("<i4").tobytes()

    def frame_of(self, raw: bytes) -> NDArray[np.int32]:
        """(2, len(game.state)) the Frame that `frame_bytes` wrote."""
        return np.frombuffer(raw, "<i4").reshape(PLAYERS, len(self.game.state)).astype(np.int32)

    def record_bytes(self, inputs: NDArray[np.int8], frame: NDArray[np.int32], memory: bytes | None = None) -> bytes:
        """The record of a frame: inputs (2, len(game.controls)) int8 and Frame (2, len(game.state)) int32.

        memory   digest of what the network keeps after it; of a frame before the first one, unless it is given
        """
        return self.input_bytes(inputs) + self.frame_bytes(frame) + (self.empty if memory is None else memory)

    def inputs_in(self, record: bytes) -> NDArray[np.int8]:
        """(2, len(game.controls)) the inputs of a record."""
        return self.inputs_of(record[: self.inputs_size])

    def frame_in(self, record: bytes) -> NDArray[np.int32]:
        """(2, len(game.state)) the Frame of a record."""
        return self.frame_of(self.claimed(record)["frame"])

    def memory_in(self, record: bytes) -> bytes:
        """The digest of a record."""
        return self.claimed(record)["memory"]

    def split_record(self, record: bytes) -> dict[str, bytes]:
        """A record's `inputs` and `frame`: arguments of every instruction that carries one."""
        parts = self.claimed(record)
        return {"inputs": parts["inputs"], "frame": parts["frame"]}

    def claimed(self, record: bytes) -> dict[str, bytes]:
        """The same and its `memory`: arguments of every instruction that proves one."""
        assert len(record) == self.record_size
        end = self.inputs_size + self.frame_size
        return {"inputs": record[: self.inputs_size], "frame": record[self.inputs_size : end], "memory": record[end:]}
