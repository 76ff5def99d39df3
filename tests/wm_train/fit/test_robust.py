"""robust.py against numbers that are computed the long way."""

import math

import pytest

torch = pytest.importorskip("torch")

from wm_train.config import VALUE_LOSSES  # noqa: E402
from wm_train.fit.robust import ROBUST  # noqa: E402

ERRORS = (-30.0, -1.0, -0.25, 0.0, 0.01, 0.5, 2.0)


def one(name: str, error: float, scale: float, alpha: float) -> float:
    """The loss of one error, as it stands in the books."""
    x = error / scale
    if name == "l1":
        return abs(error)
    if name == "huber":
        return scale * (x * x / 2 if abs(x) < 1 else abs(x) - 0.5)
    if name == "charbonnier":
        return scale * (math.sqrt(x * x + 1) - 1)
    if alpha == 2:
        return scale * x * x / 2
    if alpha == 0:
        return scale * math.log(x * x / 2 + 1)
    return scale * abs(alpha - 2) / alpha * ((x * x / abs(alpha - 2) + 1) ** (alpha / 2) - 1)


def test_every_name_of_the_config_is_there() -> None:
    assert set(ROBUST) == set(VALUE_LOSSES)


@pytest.mark.parametrize("name", VALUE_LOSSES)
@pytest.mark.parametrize("scale", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("alpha", [2.0, 1.0, 0.5, 0.0, -2.0])
def test_as_in_the_books(name: str, scale: float, alpha: float) -> None:
    got = ROBUST[name](torch.tensor(ERRORS, dtype=torch.float64), scale, alpha)
    assert got.tolist() == pytest.approx([one(name, e, scale, alpha) for e in ERRORS], abs=1e-9)


@pytest.mark.parametrize("alpha", [1e-3, -1e-3, 1e-5, -1e-6, 1e-7, 1e-12, -1e-300])
def test_barron_near_cauchy_keeps_its_precision(alpha: float) -> None:
    """In float32, where a power that is nearly 1 has few digits behind it."""
    errors = torch.tensor([1e-4, 0.01, 0.3, 5.0, 1e4])
    got, cauchy = (ROBUST["barron"](errors, 0.1, a).double() for a in (alpha, 0.0))
    assert torch.allclose(got, cauchy, rtol=2e-6 + 20 * abs(alpha), atol=0)


def test_barron_with_alpha_one_is_charbonnier() -> None:
    errors = torch.tensor(ERRORS, dtype=torch.float64)
    assert torch.allclose(ROBUST["barron"](errors, 0.3, 1.0), ROBUST["charbonnier"](errors, 0.3, 7.0))


@pytest.mark.parametrize("name", VALUE_LOSSES)
def test_gradients_are_finite_and_point_to_less_error(name: str) -> None:
    errors = torch.tensor(ERRORS, requires_grad=True)
    ROBUST[name](errors, 0.1, -2.0).sum().backward()
    assert errors.grad is not None and torch.isfinite(errors.grad).all()
    assert (errors.grad * errors.detach() >= 0).all()
