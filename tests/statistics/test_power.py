from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from acqplan.errors import UsageError
from acqplan.statistics.clustered import equivalence
from acqplan.statistics.objects import mean_interval, objects_needed, power, smallest_difference

VALUES = np.random.default_rng(0).normal(0.002, 0.015, size=25)


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=30), st.floats(0.002, 0.1))
@settings(deadline=None)
def test_equivalence_agrees_with_statsmodels(numbers: list[int], margin: float) -> None:
    values = np.array(numbers) / 1000
    found = equivalence(values, margin=margin)
    if min(numbers) == max(numbers):
        assert found.p in (0.0, 1.0)
        return
    p, below, above = DescrStatsW(values).ttost_mean(-margin, margin)
    assert (found.p, found.p_below, found.p_above) == pytest.approx((p, below[1], above[1]), abs=1e-9)


def test_equivalence_says_what_a_ninety_percent_interval_within_the_margin_says() -> None:
    for margin in np.linspace(0.001, 0.02, 40):
        _, low, high = mean_interval(VALUES, lowest=-1.0, level=0.9)
        assert (equivalence(VALUES, margin=margin).p < 0.05) == (-margin < low and high < margin)


def test_swapping_arms_swaps_the_sides_of_equivalence() -> None:
    one, other = equivalence(VALUES), equivalence(-VALUES)
    assert (one.p_below, one.p_above, one.p) == (other.p_above, other.p_below, other.p)
    assert one.difference == -other.difference
    shuffled = np.random.default_rng(1).permutation(VALUES)
    assert equivalence(shuffled).p == pytest.approx(one.p)


def test_equivalence_of_degenerate_cases() -> None:
    assert equivalence(np.zeros(5)).p == 0.0
    assert equivalence(np.full(5, 0.5)).p == equivalence(np.full(5, 0.25), margin=0.25).p == 1.0
    assert equivalence(np.array([0.0])).p == 1.0


@pytest.mark.parametrize(("deviation", "expected"), [(2, 1.2), (4, 2.3), (6, 3.5)])
def test_smallest_difference_with_twenty_five_objects(deviation: float, expected: float) -> None:
    assert round(smallest_difference(deviation, 25), 1) == expected


@pytest.mark.parametrize("n_objects", [2, 5, 10, 25, 200])
@pytest.mark.parametrize("chance", [0.5, 0.8, 0.95])
def test_power_agrees_with_statsmodels(n_objects: int, chance: float) -> None:
    difference = smallest_difference(3.0, n_objects, power=chance)
    outside = TTestPower().power(difference / 3.0, n_objects, 0.05)
    if not math.isnan(outside):  # of two objects statsmodels does not know
        assert outside == pytest.approx(chance, abs=1e-6)
    assert power(difference, 3.0, n_objects) == pytest.approx(chance, abs=1e-9)
    assert power(-difference, 3.0, n_objects) == power(difference, 3.0, n_objects)


def test_power_by_simulation() -> None:
    """20,000 studies of 8 objects: the share found has a standard error of .0035."""
    values = np.random.default_rng(2).normal(1.0, 1.0, size=(20_000, 8))
    t = values.mean(axis=1) / (values.std(axis=1, ddof=1) / 8**0.5)
    assert power(1.0, 1.0, 8) == pytest.approx(float((np.abs(t) > 2.364624).mean()), abs=4 * 0.0035)


def test_power_is_the_level_without_a_difference_and_one_with_a_huge_one() -> None:
    assert power(0.0, 1.0, 12) == pytest.approx(0.05)
    assert power(0.0, 1.0, 12, alpha=0.01) == pytest.approx(0.01)
    assert power(1e6, 1.0, 2) == power(1e6, 1.0, 1000) == 1.0
    grid = [power(difference, 1.0, 2) for difference in np.geomspace(0.01, 1e4, 60)]
    assert grid == sorted(grid)


@given(st.floats(0.2, 5.0), st.floats(0.5, 8.0))
@settings(deadline=None, max_examples=30)
def test_objects_needed_are_the_fewest(difference: float, deviation: float) -> None:
    n = objects_needed(difference, deviation)
    assert power(difference, deviation, n) >= 0.8
    assert n == 2 or power(difference, deviation, n - 1) < 0.8
    assert objects_needed(-difference, deviation) == n
    assert smallest_difference(deviation, n) <= difference * (1 + 1e-6)


def test_designs_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="one finite number"):
        equivalence(np.array([0.1, np.nan]))
    with pytest.raises(UsageError, match="one finite number"):
        equivalence(np.array([]))
    with pytest.raises(UsageError, match="a margin of 0"):
        equivalence(VALUES, margin=0.0)
    with pytest.raises(UsageError, match="at least 2"):
        smallest_difference(2.0, 1)
    with pytest.raises(UsageError, match="at least 2"):
        power(1.0, 2.0, 1)
    with pytest.raises(UsageError, match="standard deviation of 0"):
        smallest_difference(0.0, 25)
    with pytest.raises(UsageError, match="0 < level < power < 1"):
        smallest_difference(2.0, 25, power=0.01)
    with pytest.raises(UsageError, match="finite and not zero"):
        objects_needed(0.0, 2.0)
    with pytest.raises(UsageError, match="no study"):
        objects_needed(1e-6, 2.0)
    with pytest.raises(UsageError, match="finite"):
        power(math.nan, 2.0, 5)
