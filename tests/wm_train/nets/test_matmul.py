"""matmul.py: products that only gradients need are rounded where training multiplies in bfloat16, nowhere else."""

from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from wm_train.nets import matmul  # noqa: E402
from wm_train.nets.matmul import linear, use_exact_matmul, use_fast_matmul  # noqa: E402

#: bfloat16 has 8 bits: half of the last one in each factor and in what comes of them, of sums of some hundred terms.
ROUNDED = 2.0**-6


@pytest.fixture(autouse=True)
def exact() -> Iterator[None]:
    """Fast products are for the whole process."""
    threads = torch.get_num_threads()
    yield
    use_exact_matmul()
    torch.set_num_threads(threads)


def results(layer: Any, biased: bool) -> list[Any]:
    """What a layer gives for (2, 50, 40), and its gradients."""
    torch.manual_seed(0)
    leaves = [torch.randn(shape).requires_grad_() for shape in ((2, 50, 40), (30, 40), (30,))][: 2 + biased]
    out = layer(*leaves)
    out.backward(torch.randn_like(out))
    return [out.detach(), *(leaf.grad for leaf in leaves)]


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(("training", "has"), [(False, True), (True, False)])
def test_elsewhere_they_are_autograds(training: bool, has: bool, biased: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In evaluation, and on a processor that has no bfloat16."""
    monkeypatch.setattr(matmul, "_multiplies_bfloat16", lambda: has)
    if training:
        use_fast_matmul(1)
    else:
        use_exact_matmul()
    for got, want in zip(results(linear, biased), results(functional.linear, biased), strict=True):
        assert got.dtype == torch.float32
        assert (got - want).abs().max() <= 1e-6 * want.abs().max()  # float32, sums in another order


@pytest.mark.parametrize("biased", [True, False])
def test_in_training_gradients_are_rounded_and_values_are_as_before(
    biased: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matmul, "_multiplies_bfloat16", lambda: True)
    use_fast_matmul(1)
    value, to_x, to_weight, *to_bias = results(linear, biased)
    assert (value == results(functional.linear, biased)[0]).all()
    use_exact_matmul()
    _, *wants = results(functional.linear, biased)
    for got, want in ((to_x, wants[0]), (to_weight, wants[1])):
        off = (got - want).abs().max() / want.abs().max()
        assert got.dtype == torch.float32 and 1e-4 < off < ROUNDED
    assert all((got == want).all() for got, want in zip(to_bias, wants[2:], strict=True))
