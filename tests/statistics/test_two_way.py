"""A mean over objects and seeds that are both draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from acqplan.errors import UsageError
from acqplan.statistics.objects import two_way


def table(objects: float, seeds: float, cells: float, *, n: tuple[int, int] = (12, 8), seed: int = 0) -> np.ndarray:
    """Differences with a spread over objects, over seeds, and of single cells; no difference on average."""
    random = np.random.default_rng(seed)
    return random.normal(0, objects, (n[0], 1)) + random.normal(0, seeds, (1, n[1])) + random.normal(0, cells, n)


def test_a_full_table_has_the_variance_of_crossed_random_effects() -> None:
    values = table(1.0, 0.7, 0.5)
    n, m = values.shape
    rows, columns, grand = values.mean(axis=1, keepdims=True), values.mean(axis=0, keepdims=True), values.mean()
    between_rows = m * ((rows - grand) ** 2).sum() / (n - 1)
    between_columns = n * ((columns - grand) ** 2).sum() / (m - 1)
    rest = ((values - rows - columns + grand) ** 2).sum() / ((n - 1) * (m - 1))
    expected = (between_rows + between_columns - rest) / (n * m)
    assert two_way(values).error ** 2 == pytest.approx(expected)


def test_where_seeds_agree_it_is_the_t_test_on_objects() -> None:
    values = np.repeat(np.random.default_rng(1).normal(0.3, 1.0, (10, 1)), 5, axis=1)
    found, expected = two_way(values), stats.ttest_1samp(values[:, 0], 0.0)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval())
    assert found.freedom == pytest.approx(9)


def test_where_objects_agree_it_is_the_t_test_on_seeds() -> None:
    values = np.repeat(np.random.default_rng(2).normal(0.3, 1.0, (1, 6)), 20, axis=0)
    assert two_way(values).p == pytest.approx(stats.ttest_1samp(values[0], 0.0).pvalue)


def test_one_seed_is_judged_by_its_objects_and_one_object_by_its_seeds() -> None:
    numbers = np.random.default_rng(3).normal(0.2, 1.0, 9)
    expected = stats.ttest_1samp(numbers, 0.0).pvalue
    assert two_way(numbers[:, None]).p == pytest.approx(expected)
    assert two_way(numbers[None]).p == pytest.approx(expected)


@pytest.mark.parametrize(("objects", "seeds"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_no_difference_is_found_in_about_five_of_a_hundred(objects: float, seeds: float) -> None:
    found = [two_way(table(objects, seeds, 1.0, seed=seed)).p < 0.05 for seed in range(800)]
    assert np.mean(found) < 0.05 + 3 * (0.05 * 0.95 / 800) ** 0.5


def test_numbers_that_are_missing_are_left_out() -> None:
    values = table(1.0, 0.5, 0.5)
    gaps = values.copy()
    gaps[3, 2:] = np.nan
    assert np.isfinite([two_way(gaps).mean, two_way(gaps).p]).all()
    padded = np.full((14, 9), np.nan)
    padded[:12, :8] = values
    assert two_way(padded).p == pytest.approx(two_way(values).p)


@given(st.integers(0, 99), st.floats(-1, 1))
@settings(deadline=None)
def test_swapping_the_sides_negates_and_order_does_not_matter(seed: int, shift: float) -> None:
    values = table(0.5, 0.5, 0.5, n=(5, 4), seed=seed) + shift
    found, swapped = two_way(values), two_way(-values)
    assert (swapped.mean, swapped.low, swapped.high) == pytest.approx((-found.mean, -found.high, -found.low))
    shuffled = two_way(values[[3, 0, 4, 1, 2]][:, [2, 0, 3, 1]])
    assert (shuffled.p, shuffled.mean) == pytest.approx((found.p, found.mean))
    assert found.low <= found.mean <= found.high


def test_what_never_varies_is_certain() -> None:
    same = two_way(np.full((4, 3), 0.02))
    assert (same.p, same.low, same.high) == pytest.approx((0.0, 0.02, 0.02))
    assert (same.p_within(0.03), same.p_within(0.01)) == (0.0, 1.0)
    assert two_way(np.zeros((4, 3))).p == 1.0


def test_equivalence_is_two_one_sided_tests() -> None:
    values = np.random.default_rng(5).normal(0.001, 0.01, (30, 1))
    mean, error = values.mean(), values.std(ddof=1) / 30**0.5
    expected = max(stats.t.sf((mean + 0.01) / error, 29), stats.t.sf((0.01 - mean) / error, 29))
    assert two_way(values).p_within(0.01) == pytest.approx(expected)


@pytest.mark.parametrize("values", [np.zeros(3), np.full((2, 2), np.nan), np.array([[np.inf, 1.0]]), np.zeros((0, 3))])
def test_tables_that_cannot_be_are_refused(values: np.ndarray) -> None:
    with pytest.raises(UsageError, match="objects x seeds"):
        two_way(values)
