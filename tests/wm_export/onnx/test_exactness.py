"""exactness.py: ONNX Runtime is exact on extremes on this machine; where it saturates it is refused."""

import tomllib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.factories import small_qnet
from wm_export.errors import WmExportError
from wm_export.onnx import exactness
from wm_export.onnx.graph import onnx_model
from wm_export.onnx.runtime import OrtRunner
from wm_train.grid.arithmetic import CODE_MAX, CODE_MIN

ROOT = Path(__file__).resolve().parents[3]


def in_pairs_of_16_bits(codes: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """What x86 without VNNI makes of uint8 by int8: pairs of products are added with saturation."""
    products = (codes + 128)[:, :, None] * rows
    padded = np.pad(products, ((0, 0), (0, products.shape[1] % 2), (0, 0)))
    pairs = np.clip(padded[:, ::2] + padded[:, 1::2], -(1 << 15), (1 << 15) - 1)
    summed: NDArray[np.int64] = pairs.sum(1) - 128 * rows.sum(0)
    return summed


@pytest.mark.parametrize("columns", [1, 2, 31, 64, 606, 4096])
def test_products_are_exact_here(columns: int) -> None:
    rng = np.random.default_rng(columns)
    codes = rng.choice([CODE_MIN, CODE_MAX], (5, columns)).astype(np.int64)
    codes[0], codes[1] = CODE_MAX, CODE_MIN
    rows = rng.choice([-CODE_MAX, CODE_MAX], (columns, 67)).astype(np.int64)
    rows[:, 0] = CODE_MAX
    assert (exactness.multiplied(codes, rows) == codes @ rows).all()
    exactness.need_exact_products()


def wrong_from_the_second_tile(codes: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Kernels that go wrong in what follows a whole tile of 16 worlds."""
    found: NDArray[np.int64] = codes @ rows
    found[16:] += 1
    return found


def test_a_runtime_that_saturates_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = onnx_model(small_qnet()).SerializeToString()
    exactness.need_exact_products.cache_clear()
    monkeypatch.setattr(exactness, "multiplied", in_pairs_of_16_bits)
    with pytest.raises(WmExportError, match=r"multiplies integers wrongly on this processor \(\d+ of 111 products"):
        OrtRunner(graph)
    monkeypatch.undo()
    OrtRunner(graph)


def test_known_products_are_longer_than_a_tile_and_take_every_value(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.unique(np.concatenate([exactness._mixed(*shape)[0].ravel() for shape in exactness.MIXED]))
    assert (values == np.arange(CODE_MIN, CODE_MAX + 1)).all()
    exactness.need_exact_products.cache_clear()
    monkeypatch.setattr(exactness, "multiplied", wrong_from_the_second_tile)
    with pytest.raises(WmExportError, match=r"multiplies integers wrongly .* of 1855 products of mixed codes"):
        exactness.need_exact_products()


def test_a_version_with_a_known_fault_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = onnx_model(small_qnet()).SerializeToString()
    exactness.need_exact_products.cache_clear()
    monkeypatch.setattr(exactness.onnxruntime, "__version__", "1.23.1")
    with pytest.raises(WmExportError, match=r"ONNX Runtime 1\.23\.1 .*next: pip install 'onnxruntime>1\.23\.1'"):
        OrtRunner(graph)
    monkeypatch.undo()
    OrtRunner(graph)


def test_versions_with_a_known_fault_are_never_installed() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (of_runtime,) = (line for line in wanted if line.startswith("onnxruntime"))
    assert all(f"!={version}" in of_runtime for version in exactness.FAULTY)
