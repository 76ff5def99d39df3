"""average.py: the mean is what it says, the network gets its own weights back, and decay 0 costs nothing."""

import pytest

torch = pytest.importorskip("torch")

from wm_train.fit.average import Average  # noqa: E402


def test_the_mean_of_a_walk() -> None:
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(net.weight, 0.0)
    average = Average(net, 0.15)
    expected = 0.0
    for step in range(4):
        torch.nn.init.constant_(net.weight, step + 1.0)
        average.update(step)
        kept = min(0.15, (1 + step) / (10 + step))  # 0.1, then 0.15
        expected = kept * expected + (1 - kept) * (step + 1.0)
    with average.in_place():
        assert net.weight.item() == pytest.approx(expected, rel=1e-6) and net.weight.item() != 4.0
    assert net.weight.item() == 4.0
    again = Average(net, 0.15)
    again.load(average.weights)
    assert again.weights["weight"].item() == average.weights["weight"].item()


def test_off_is_the_network_itself() -> None:
    net = torch.nn.Linear(2, 2)
    average = Average(net, 0.0)
    average.update(0)
    before = net.weight.detach().clone()
    with average.in_place():
        assert (net.weight == before).all()
    assert average.weights == {}
