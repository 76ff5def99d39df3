"""Which systems of a frame go into one transaction."""

import pytest

from wm_live.bolt.rollup_match import Groups, together

SYSTEMS = 5


@pytest.mark.parametrize(
    ("units", "sizes"),
    [
        ([40, 40, 20, 100, 1], [3, 1, 1]),
        ([100, 101, 1, 99, 1], [1, 1, 2, 1]),
        ([20] * 5, [5]),
        ([500] * 5, [1] * 5),
    ],
)
def test_neighbours_that_fit_together(units: list[int], sizes: list[int]) -> None:
    groups = together(units, 100)
    assert [len(units[group]) for group in groups] == sizes
    assert [one for group in groups for one in units[group]] == units


def test_what_is_whole_stays_whole() -> None:
    groups = Groups(SYSTEMS, whole=True)
    for _ in range(3):
        assert groups.now == [slice(SYSTEMS)]
        groups.took([10**9])


def test_two_frames_are_measured_and_the_second_counts() -> None:
    groups = Groups(SYSTEMS, whole=False)
    alone = [slice(i, i + 1) for i in range(SYSTEMS)]
    groups.took([1_000_000] * SYSTEMS)
    assert groups.now == alone
    groups.took([300_000] * SYSTEMS)
    assert groups.now == [slice(0, 4), slice(4, 5)]
    groups.took([1_300_000, 300_000])
    assert groups.now == [slice(0, 4), slice(4, 5)]
