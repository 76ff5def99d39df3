"""batches.py: what the network trains on is what the world encodes."""

import numpy as np
import pytest

from tests.factories import AHEAD_ONLY, EVERY_FLAG, random_corpus
from wm_train.measure.window import window_at
from wm_train.melee.field_table import CONTROLS
from wm_train.world.encoding import Encoding
from wm_train.world.fields import Kind
from wm_train.world.step import window_codes, window_ids

torch = pytest.importorskip("torch")

from wm_train.fit.batches import WindowTensors, column_gain, dense_values  # noqa: E402

ENCODINGS = ("v1", "v2", "v2.1", "v2.2")


READ = [*(Encoding(name, 3) for name in ENCODINGS), *(Encoding("v2.2", 3, f) for f in (EVERY_FLAG, AHEAD_ONLY))]


@pytest.mark.parametrize("encoding", READ, ids=str)
def test_a_batch_is_the_window_it_names(encoding: Encoding) -> None:
    corpus = random_corpus(encoding=encoding)
    t = corpus.windows(encoding)[[0, 5, 36, -1]]
    window = window_at(corpus, encoding, t)
    arguments = (encoding, window.frames, window.inputs, window.following)
    for as_codes, dense in ((True, window_codes(*arguments)), (False, dense_values(*arguments))):
        batch = WindowTensors(corpus, encoding, as_codes).batch(torch.from_numpy(t))
        assert batch.dense.dtype == torch.float32 and (batch.dense.numpy() == dense).all()
        assert (batch.ids.numpy() == window_ids(encoding, window.frames)).all()
        assert (batch.session.numpy() == window.session).all()
    units = np.array([2.0**-12 if f.kind is Kind.CONTINUOUS else 1.0 for f in encoding.frame_fields])
    assert (batch.now.numpy() == window.frames[:, 2] * units).all()
    assert (batch.after.numpy() == corpus.frames[t + 1] * units).all()


@pytest.mark.parametrize("encoding", READ, ids=str)
def test_float_columns_are_codes_times_step(encoding: Encoding) -> None:
    corpus = random_corpus(1, encoding=encoding)
    t = torch.from_numpy(corpus.windows(encoding))
    codes, values = (WindowTensors(corpus, encoding, flag).batch(t).dense.numpy() for flag in (True, False))
    fields = [f for _, _, f in encoding.dense_fields()]
    step, scale = (np.array([getattr(f, part) for f in fields]) for part in ("step", "scale"))
    inside = (codes > -128) & (codes < 127)
    off = np.abs(codes * step - values / scale)
    assert (off <= step / 2 + 1e-3 * step)[inside].all() and inside.mean() > 0.5
    exact = np.array([f.kind is not Kind.CONTINUOUS for f in fields])
    assert off[:, exact].max() < 1e-6


def test_starts_are_the_corpus_windows() -> None:
    encoding, corpus = Encoding("v2.2", 4), random_corpus()
    assert (WindowTensors(corpus, encoding, True).starts.numpy() == corpus.windows(encoding)).all()


def test_gain_brings_columns_to_unit_spread() -> None:
    encoding, corpus = Encoding("v2.2", 3), random_corpus(2, (400, 300))
    corpus.inputs[:, 1, 0] = 7
    tensors = WindowTensors(corpus, encoding, as_codes=False)
    gain = column_gain(tensors).numpy()
    assert gain.shape == (encoding.dense_columns,)
    batch = tensors.batch(tensors.starts)
    spread = (batch.dense.numpy() * gain).std(0)
    constant = [i for i, (_, p, f) in enumerate(encoding.dense_fields()) if p == 1 and f is CONTROLS[0]]
    assert len(constant) == 4 and (gain[constant] == 1).all() and (spread[constant] < 1e-3).all()
    assert np.delete(spread, constant) == pytest.approx(1, abs=0.05)
    assert (gain <= 200).all()


def test_gain_is_bounded_for_rare_fields() -> None:
    encoding, corpus = Encoding("v1", 1), random_corpus(3, (2000,))
    corpus.inputs[:, 0, 5] = 0
    corpus.inputs[0, 0, 5] = 1
    corpus.frames[:, 0, 0] = 0
    corpus.frames[0, 0, 0] = 4096
    gain = column_gain(WindowTensors(corpus, encoding, as_codes=False))
    assert gain.max() == 200 and gain.isfinite().all()


def test_gain_of_presses_is_their_own() -> None:
    encoding = Encoding("v2.2", 3, AHEAD_ONLY)
    corpus = random_corpus(2, (600,), encoding)
    corpus.inputs[..., len(CONTROLS) :] = 0
    corpus.inputs[::4, 1, len(CONTROLS)] = 1
    gain = column_gain(WindowTensors(corpus, encoding, as_codes=False)).numpy()
    assert gain.shape == (encoding.dense_columns,)
    ahead = gain[-encoding.next_columns :].reshape(2, 2, -1)
    assert (ahead[0] == ahead[1]).all() and (np.delete(ahead[:, 1, len(CONTROLS) :], 0, 1) == 1).all()
    assert ahead[0, 1, len(CONTROLS)] == pytest.approx(1 / np.sqrt(0.25 * 0.75), abs=0.01)
