"""Scales of activations: two observers, held against torchao's of the same names."""

from typing import Any

import pytest

from wm_train.config import CALIBRATIONS
from wm_train.errors import WmTrainError

torch = pytest.importorskip("torch")

from wm_train.nets.observers import OBSERVERS, least_squares, min_max  # noqa: E402

MOST = 127


def torchaos(name: str, values: Any) -> float:
    """The scale that an observer of torchao's finds."""
    from torchao.quantization import observer
    from torchao.quantization.granularity import PerTensor
    from torchao.quantization.quant_primitives import MappingType

    import wm_train.nets.ao  # noqa: F401  imports torchao in silence

    made = getattr(observer, name)(MappingType.SYMMETRIC, torch.int8, PerTensor(), quant_min=-MOST, quant_max=MOST)
    made(values)
    return float(made.calculate_qparams()[0])


def tailed(seed: int) -> Any:
    """Values of which a few are large."""
    return torch.randn(64, 256, generator=torch.Generator().manual_seed(seed)) ** 3


def squared(values: Any, unit: float) -> float:
    return float(((values / unit).round().clamp(-MOST, MOST) * unit - values).square().mean())


def test_the_config_names_them() -> None:
    assert tuple(OBSERVERS) == CALIBRATIONS


@pytest.mark.parametrize("seed", range(3))
def test_min_max_is_torchaos(seed: int) -> None:
    values = tailed(seed)
    assert min_max("x", values, MOST) == pytest.approx(torchaos("AffineQuantizedMinMaxObserver", values), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_least_squares_is_about_as_good_as_torchaos_search_and_better_than_min_max(seed: int) -> None:
    values = tailed(seed)
    mine, theirs = least_squares("x", values, MOST), torchaos("AffineQuantizedMSEObserver", values)
    assert squared(values, mine) < 1.1 * squared(values, theirs)
    assert squared(values, mine) < squared(values, min_max("x", values, MOST))


@pytest.mark.parametrize("observe", OBSERVERS.values(), ids=OBSERVERS)
def test_values_that_are_all_zero_are_refused(observe: Any) -> None:
    with pytest.raises(WmTrainError, match=r"^calibration: hidden1 is 0 on every training frame looked at"):
        observe("hidden1", torch.zeros(3), MOST)
