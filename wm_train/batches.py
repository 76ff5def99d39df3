"""A Corpus as torch tensors, gathered into batches of windows without copying the frames."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wm_train.frames import CONTROLS, STATE, Encoding, Field, Kind
from wm_train.grid import FRAC_BITS
from wm_train.windows import Corpus
from wm_train.world import slot_codes, slot_ids


def _to_units(fields: tuple[Field, ...]) -> np.ndarray:
    """What one step of each field's integer is worth in the field's unit."""
    return np.array([_worth(field) for field in fields], np.float32)


def _worth(field: Field) -> float:
    if field.kind is Kind.CONTINUOUS:
        return float(2.0**-FRAC_BITS)
    return field.step if field.kind is Kind.AXIS else 1.0


@dataclass(frozen=True)
class Batch:
    """dense (B, dense_columns), ids (B, slots * slot_ids), session (B, S), now and after (B, 2, len(STATE))."""

    dense: Tensor
    ids: Tensor
    session: Tensor
    now: Tensor
    after: Tensor


class WindowTensors:
    """All slots of a corpus; `batch(t)` gathers windows that end at frames `t`.

    With `as_codes` the dense columns are INT8 codes (held in float32), else value * scale.
    """

    def __init__(self, corpus: Corpus, encoding: Encoding, as_codes: bool) -> None:
        self.encoding = encoding
        self.states = torch.from_numpy(corpus.frames.astype(np.float32) * _to_units(STATE))
        slots = slot_codes if as_codes else slot_values
        self.dense = torch.from_numpy(slots(encoding, corpus.frames, corpus.inputs).astype(np.float32))
        self.ids = torch.from_numpy(slot_ids(encoding, corpus.frames))
        self.session = torch.from_numpy(corpus.session(encoding, np.arange(len(corpus.game))))
        self.starts = torch.from_numpy(corpus.windows(encoding))
        self.lengths = np.bincount(corpus.game)

    def batch(self, t: Tensor) -> Batch:
        """Windows ending at frames `t` (B,) int64, each of `starts`; a game's last frame has no `after`."""
        after = self._after(t)
        return Batch(
            self._window_dense(t), self._stack(self.ids, t), self.session[t], self.states[t], self.states[after]
        )

    def _after(self, t: Tensor) -> Tensor:
        return (t + 1).clamp_max(len(self.states) - 1)

    def _stack(self, slots: Tensor, t: Tensor) -> Tensor:
        """(T, C) -> (B, K * C): slots t-K+1..t side by side, through a strided view of the whole."""
        k, (rows, width) = self.encoding.slots, slots.shape
        view = slots.as_strided((rows - k + 1, k * width), (width, 1))
        return view[t - (k - 1)]

    def _window_dense(self, t: Tensor) -> Tensor:
        window = self._stack(self.dense, t)
        if not self.encoding.conditioned:
            return window
        following = self.dense[self._after(t)].view(len(t), 2, -1)[..., -len(CONTROLS) :]
        return torch.cat([window, following.flatten(1)], 1)


def slot_values(encoding: Encoding, frames: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Float encoding of window slots: (N, 2, len(STATE)), (N, 2, len(CONTROLS)) -> (N, slot_columns) float32."""
    state = [(i, f) for i, f in enumerate(STATE) if f in encoding.state and f.is_dense]
    fields = tuple(f for _, f in state) + CONTROLS
    scale = np.array([f.scale for f in fields], np.float32) * _to_units(fields)
    both = np.concatenate([frames[..., [i for i, _ in state]], inputs], -1).astype(np.float32)
    return (both * scale).reshape(len(both), encoding.slot_columns)


def dense_values(encoding: Encoding, frames: np.ndarray, inputs: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Float encoding of whole windows, (B, dense_columns) float32; arguments as in world.window_codes."""
    batch = len(frames)
    flat = slot_values(encoding, frames.reshape(-1, *frames.shape[2:]), inputs.reshape(-1, *inputs.shape[2:]))
    parts = [flat.reshape(batch, -1)]
    if encoding.conditioned:
        scale = np.array([f.scale for f in CONTROLS], np.float32) * _to_units(CONTROLS)
        parts.append((following.astype(np.float32) * scale).reshape(batch, -1))
    return np.concatenate(parts, 1)


def column_gain(tensors: WindowTensors) -> Tensor:
    """(dense_columns,) what brings each float column to unit spread; pooled over slots, bounded for rare fields."""
    encoding = tensors.encoding
    spread = tensors.dense.std(0)
    gain = (1 / spread.clamp_min(1e-6)).clamp(max=200.0)
    gain = torch.where(spread < 1e-6, torch.ones_like(gain), gain).view(2, -1)
    following = gain[:, -len(CONTROLS) :].flatten() if encoding.conditioned else gain.new_zeros(0)
    return torch.cat([gain.flatten().repeat(encoding.slots), following])
