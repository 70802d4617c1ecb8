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
from acqplan.statistics.objects import mean_interval, objects_needed, smallest_difference

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


def test_power_by_simulation() -> None:
    """20,000 studies of 8 objects: the share found has a standard error of .0035."""
    values = np.random.default_rng(2).normal(1.0, 1.0, size=(20_000, 8))
    t = values.mean(axis=1) / (values.std(axis=1, ddof=1) / 8**0.5)
    found = float((np.abs(t) > 2.364624).mean())
    low, high = (smallest_difference(1.0, 8, power=found + error) for error in (-4 * 0.0035, 4 * 0.0035))
    assert low <= 1.0 <= high


def test_smaller_differences_take_more_objects_or_less_power() -> None:
    by_power = [smallest_difference(1.0, 2, power=chance) for chance in np.linspace(0.06, 0.999, 60)]
    by_objects = [smallest_difference(1.0, n_objects) for n_objects in range(2, 60)]
    assert by_power == sorted(by_power)
    assert by_objects == sorted(by_objects, reverse=True)


@given(st.floats(0.2, 5.0), st.floats(0.5, 8.0))
@settings(deadline=None, max_examples=30)
def test_objects_needed_are_the_fewest(difference: float, deviation: float) -> None:
    n = objects_needed(difference, deviation)
    assert n == 2 or smallest_difference(deviation, n - 1) > difference * (1 - 1e-6)
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
    with pytest.raises(UsageError, match="standard deviation of 0"):
        smallest_difference(0.0, 25)
    with pytest.raises(UsageError, match="0 < level < power < 1"):
        smallest_difference(2.0, 25, power=0.01)
    with pytest.raises(UsageError, match="finite and not zero"):
        objects_needed(0.0, 2.0)
    with pytest.raises(UsageError, match="no study"):
        objects_needed(1e-6, 2.0)
