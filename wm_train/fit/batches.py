"""A Corpus as torch tensors, gathered into batches of windows without copying the frames, where torch makes them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wm_train.games.corpus import Corpus
from wm_train.grid.arithmetic import FRAC_BITS
from wm_train.measure.window import Window
from wm_train.world.encoding import Encoding
from wm_train.world.fields import Field, Kind
from wm_train.world.step import codes, inputs_ahead, newest_ids, slot_codes, slot_ids, window_codes, window_ids


def _to_units(fields: tuple[Field, ...]) -> np.ndarray:
    """What one step of each field's integer is worth in the field's unit."""
    return np.array([_worth(field) for field in fields], np.float32)


def _worth(field: Field) -> float:
    if field.kind is Kind.CONTINUOUS:
        return float(2.0**-FRAC_BITS)
    return field.step if field.kind is Kind.AXIS else 1.0


@dataclass(frozen=True)
class Batch:
    """dense (B, dense_columns), ids (B, id_columns), session (B, S), now and after (B, 2, len(frame_fields)): the
    newest Frame that the window shows, and the one to be predicted."""

    dense: Tensor
    ids: Tensor
    session: Tensor
    now: Tensor
    after: Tensor


class WindowTensors:
    """All slots of a corpus; `batch(t)` gathers windows whose newest known frame is `t`: they predict Frame t+1.

    With `as_codes` the dense columns are INT8 codes (held in float32), else value * scale.
    """

    def __init__(self, corpus: Corpus, encoding: Encoding, as_codes: bool) -> None:
        self.encoding = encoding
        self.states = in_units(encoding, corpus.frames)
        slots = slot_codes if as_codes else slot_values
        self.dense = torch.as_tensor(slots(encoding, corpus.frames, corpus.inputs).astype(np.float32))
        self.ids = torch.as_tensor(slot_ids(encoding, corpus.frames))
        self.newest = torch.as_tensor(newest_ids(encoding, corpus.frames))
        self.inputs = torch.as_tensor(corpus.inputs)
        self.worth = torch.as_tensor(_code_worth(encoding) if as_codes else _value_worth(encoding.next_controls))
        self.session = torch.as_tensor(corpus.session(encoding, np.arange(len(corpus.game))))
        self.starts = torch.as_tensor(corpus.windows(encoding))
        self.lengths = np.bincount(corpus.game)

    def batch(self, t: Tensor) -> Batch:
        """Windows by their newest known frames `t` (B,) int64, each of `starts`; after a game's last frame, `after` and
        the inputs after the window mean nothing."""
        shown = t + 1 - self.encoding.lookahead
        ids = torch.cat([self._stack(self.ids, shown), self.newest[shown]], 1)
        dense = torch.cat([self._stack(self.dense, shown), self._following(shown)], 1)
        return Batch(dense, ids, self.session[t], self.states[shown], self.states[self._inside(t + 1)])

    def _inside(self, t: Tensor) -> Tensor:
        return t.clamp_max(len(self.states) - 1)

    def _stack(self, slots: Tensor, t: Tensor) -> Tensor:
        """(T, C) -> (B, K * C): slots t-K+1..t side by side, through a strided view of the whole."""
        k, (rows, width) = self.encoding.slots, slots.shape
        view = slots.as_strided((rows - k + 1, k * width), (width, 1))
        return view[t - (k - 1)]

    def _following(self, shown: Tensor) -> Tensor:
        """(B, next_columns) the inputs after frames `shown`."""
        ahead = shown[:, None] + torch.arange(1, self.encoding.lookahead + 1)
        return (self.inputs[self._inside(ahead)][..., : len(self.worth)].float() * self.worth).flatten(1)


def _code_worth(encoding: Encoding) -> np.ndarray:
    """(len(next_controls),) the code of 1 of each control: codes of controls are multiples of it."""
    fields = encoding.next_controls
    return codes(fields, np.ones(len(fields), np.int64)).astype(np.float32) if fields else np.zeros(0, np.float32)


def _value_worth(fields: tuple[Field, ...]) -> np.ndarray:
    """(len(fields),) what one step of each field's integer is worth as a network input."""
    return np.array([f.scale for f in fields], np.float32) * _to_units(fields)


def slot_values(encoding: Encoding, frames: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Float encoding of window slots, (N, slot_columns) float32; arguments as in world.slot_codes."""
    state, controls = tuple(f for f in encoding.state if f.is_dense), encoding.slot_controls
    picked = frames[..., [encoding.frame_index[f.name] for f in state]]
    both = np.concatenate([picked, inputs[..., : len(controls)]], -1).astype(np.float32)
    return (both * _value_worth(state + controls)).reshape(len(both), encoding.slot_columns)


def dense_values(encoding: Encoding, frames: np.ndarray, inputs: np.ndarray, following: np.ndarray) -> np.ndarray:
    """Float encoding of whole windows, (B, dense_columns) float32; arguments as in world.window_codes."""
    shown, pads = frames[:, : encoding.slots], inputs[:, : encoding.slots]
    flat = slot_values(encoding, shown.reshape(-1, *shown.shape[2:]), pads.reshape(-1, *pads.shape[2:]))
    worth = _value_worth(encoding.next_controls)
    ahead = inputs_ahead(encoding, inputs, following)[..., : len(worth)].astype(np.float32) * worth
    return np.concatenate([flat.reshape(len(frames), -1), ahead.reshape(len(frames), -1)], 1)


def in_units(encoding: Encoding, frames: np.ndarray) -> Tensor:
    """Frames as float32 in the fields' units, same shape."""
    return torch.as_tensor(frames.astype(np.float32) * _to_units(encoding.frame_fields))


def seen(encoding: Encoding, window: Window, as_codes: bool) -> tuple[Tensor, Tensor, Tensor]:
    """What a network reads of windows: dense, ids and session of a Batch."""
    dense = window_codes if as_codes else dense_values
    columns = dense(encoding, window.frames, window.inputs, window.following).astype(np.float32, copy=False)
    ids = window_ids(encoding, window.frames)
    return torch.as_tensor(columns), torch.as_tensor(ids), torch.as_tensor(window.session)


def column_gain(tensors: WindowTensors) -> Tensor:
    """(dense_columns,) what brings each float column to unit spread; pooled over slots, bounded for rare fields."""
    encoding = tensors.encoding
    gain = [_gain(tensors.dense).repeat(encoding.slots)]
    if encoding.conditioned:
        controls = tensors.inputs.float() * tensors.worth
        gain.append(_gain(controls.flatten(1)).repeat(encoding.lookahead))
    return torch.cat(gain)


def _gain(columns: Tensor) -> Tensor:
    """(C,) of columns (T, C)."""
    spread = columns.std(0)
    gain = (1 / spread.clamp_min(1e-6)).clamp(max=200.0)
    return torch.where(spread < 1e-6, torch.ones_like(gain), gain)
