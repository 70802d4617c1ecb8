from __future__ import annotations

import itertools
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as outside_mcnemar
from statsmodels.stats.multitest import multipletests

from acqplan.errors import UsageError
from acqplan.statistics import clustered
from acqplan.statistics.clustered import durkalski, holm, mcnemar_counts, obuchowski, sign_flip
from acqplan.statistics.objects import interval, mean_interval

# Agreement on 135 patients of 29 psychiatrists (Petryshen 1989), as printed by Durkalski et al. 2003: pairs of which
# only the one, or only the other said yes, and pairs in all.
PSYCHIATRY_B = np.array([0, 1, 1, 1, 0, 3, 3, 3, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 3, 1, 1, 2, 0, 0, 0, 0, 0, 0, 0])
PSYCHIATRY_C = np.array([4, 2, 3, 2, 1, 3, 0, 2, 2, 4, 2, 4, 3, 2, 1, 3, 1, 2, 0, 0, 0, 2, 1, 2, 2, 0, 0, 1, 1])
PSYCHIATRY_N = np.array([7, 6, 7, 6, 4, 6, 5, 8, 4, 7, 3, 6, 7, 6, 5, 4, 6, 5, 4, 3, 5, 4, 4, 2, 3, 2, 2, 3, 1])
# Glands of 21 patients that PET and SPECT show (Obuchowski 1998).
PET = [
    "000",
    "110",
    "111",
    "1",
    "110",
    "1111",
    "111",
    "11",
    "11",
    "1",
    "110",
    "11",
    "111",
    "11",
    "00",
    "110",
    "110",
    "110",
    "11",
    "1",
    "11",
]
SPECT = [
    "011",
    "111",
    "111",
    "1",
    "111",
    "1111",
    "111",
    "11",
    "10",
    "1",
    "110",
    "11",
    "111",
    "11",
    "11",
    "110",
    "110",
    "111",
    "11",
    "1",
    "11",
]


def thyroids() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pairs = [list(zip(a, b, strict=True)) for a, b in zip(PET, SPECT, strict=True)]
    b, c = (np.array([patient.count(kind) for patient in pairs]) for kind in (("1", "0"), ("0", "1")))
    return b, c, np.array([len(patient) for patient in pairs])


def test_published_statistics_of_the_psychiatry_data() -> None:
    """Values reported by Durkalski et al. 2003, as the R package clust.bin.pair checks them."""
    assert round(obuchowski(PSYCHIATRY_B, PSYCHIATRY_C).statistic, 2) == 7.19
    assert round(durkalski(PSYCHIATRY_B, PSYCHIATRY_C, PSYCHIATRY_N).statistic, 3) == 7.542
    total = outside_mcnemar([[0, PSYCHIATRY_B.sum()], [PSYCHIATRY_C.sum(), 0]], exact=False, correction=False)
    assert round(total.statistic, 4) == 11.8451


def test_published_statistics_of_the_thyroid_data() -> None:
    b, c, n = thyroids()
    assert round(obuchowski(b, c).statistic, 2) == 2.86
    assert round(durkalski(b, c, n).statistic, 2) == 2.32
    assert (int(b.sum()), int(c.sum())) == (1, 7)
    total = outside_mcnemar([[0, b.sum()], [c.sum(), 0]], exact=False, correction=False)
    assert total.statistic == pytest.approx(4.5)  # also reported by Durkalski et al.


@pytest.mark.parametrize("seed", range(5))
def test_swapping_classifiers_and_shuffling_objects_change_no_clustered_test(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = random.integers(5, 30, size=8)
    n01, n10 = random.binomial(n, 0.2), random.binomial(n, 0.3)
    order = random.permutation(8)
    for one, other in (
        (obuchowski(n01, n10), obuchowski(n10, n01)),
        (obuchowski(n01, n10), obuchowski(n01[order], n10[order])),
        (durkalski(n01, n10, n), durkalski(n10, n01, n)),
        (durkalski(n01, n10, n), durkalski(n01[order], n10[order], n[order])),
        (durkalski(n01, n10, n), durkalski(7 * n01, 7 * n10, 7 * n)),
    ):
        assert one.p == pytest.approx(other.p)
    differences = (n10 - n01) / n
    assert sign_flip(differences) == sign_flip(-differences[order])


def test_clustered_tests_of_equal_sizes_are_bounded_functions_of_t_over_objects() -> None:
    """Below K - 1 and K for K objects, however large t: that is why they seldom reject with few objects."""
    n01, n10 = np.array([3, 0, 2, 5, 1]), np.array([1, 4, 2, 9, 6])
    t = float(stats.ttest_1samp(n10 - n01, 0.0).statistic)
    assert obuchowski(n01, n10).statistic == pytest.approx(4 * t**2 / (4 + t**2))
    assert durkalski(n01, n10, np.full(5, 20)).statistic == pytest.approx(5 * t**2 / (4 + t**2))


def test_durkalski_with_equal_sizes_is_obuchowski_without_its_factor() -> None:
    n01, n10 = np.array([3, 0, 2, 5]), np.array([1, 4, 2, 9])
    both = durkalski(n01, n10, np.full(4, 20)), obuchowski(n01, n10)
    assert both[0].statistic * 3 / 4 == pytest.approx(both[1].statistic)


def test_without_a_difference_clustered_tests_say_one() -> None:
    same = np.array([2, 0, 3])
    assert obuchowski(same, same).p == durkalski(same, same, same + 5).p == 1.0


DIFFERENCES = st.lists(st.integers(-6, 6), min_size=1, max_size=9)


@given(DIFFERENCES)
def test_sign_flip_counts_all_patterns_ties_included(numbers: list[int]) -> None:
    differences = np.array(numbers) / 10
    patterns = itertools.product([-1, 1], repeat=len(numbers))
    sums = [abs(sum(sign * number for sign, number in zip(pattern, numbers, strict=True))) for pattern in patterns]
    assert sign_flip(differences) == pytest.approx(np.mean([total >= abs(sum(numbers)) for total in sums]))


@pytest.mark.parametrize("n", [2, 7, 13])
def test_sign_flip_agrees_with_scipy(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.05, 0.1, size=n)
    outside = stats.permutation_test((differences,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert sign_flip(differences) == pytest.approx(outside.pvalue)


def test_drawn_patterns_agree_with_counted_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(0.03, 0.1, size=30)
    counted = sign_flip(differences)
    monkeypatch.setattr(clustered, "EXACT_OBJECTS", 10)
    drawn = sign_flip(differences, seed=1)
    assert drawn == sign_flip(differences, seed=1) != sign_flip(differences, seed=2)
    assert drawn == pytest.approx(counted, abs=5 * (counted / clustered.DRAWS) ** 0.5)
    assert counted != drawn


@pytest.mark.parametrize("n", [25, 50])
def test_sign_flip_is_never_zero(n: int) -> None:
    assert sign_flip(np.ones(n)) == (2 / 2**25 if n == 25 else 1 / (1 + clustered.DRAWS))


def test_objects_that_do_not_differ_change_no_p() -> None:
    moved = np.array([0.1, 0.3, -0.2, 0.05, 0.2])
    assert sign_flip(np.concatenate([moved, np.zeros(40)])) == sign_flip(moved)
    assert sign_flip(np.zeros(7)) == 1.0


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30))
@settings(deadline=None)
def test_interval_turns_with_the_sign_and_holds_the_mean(numbers: list[float]) -> None:
    values = np.array(numbers)
    low, high = interval(values)
    assert -1.0 <= low <= values.mean() + 1e-12
    assert values.mean() - 1e-12 <= high <= 1.0
    assert interval(-values) == pytest.approx((-high, -low))


def test_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(1).normal(0.02, 0.05, size=25)
    outside = stats.ttest_1samp(values, 0.0).confidence_interval()
    assert interval(values) == pytest.approx((outside.low, outside.high))


def test_interval_of_degenerate_cases() -> None:
    assert interval(np.full(5, 0.25)) == (0.25, 0.25)
    assert interval(np.array([0.25])) == (-1.0, 1.0)
    mean, low, high = mean_interval(np.array([0.9, 1.0, 1.0]))
    assert (mean, low) == pytest.approx((29 / 30, 29 / 30 - 4.302653 / 30))
    assert high == 1.0


@pytest.mark.parametrize("wrong", [np.array([]), np.array([0.1, np.nan]), np.zeros((2, 2))])
def test_differences_that_are_none_are_refused(wrong: np.ndarray) -> None:
    for test in (sign_flip, interval):
        with pytest.raises(UsageError, match="one finite number"):
            test(wrong)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_agrees_with_statsmodels(p_values: list[float]) -> None:
    with patch("gc.collect"):  # it collects garbage at every call: half a second each in a run of all tests
        outside = list(multipletests(p_values, method="holm")[1])
    assert holm(p_values) == pytest.approx(outside, rel=1e-12)


def test_p_values_that_are_none_are_refused_by_holm() -> None:
    for wrong in (float("nan"), -0.1, 1.1):
        with pytest.raises(UsageError, match="between 0 and 1"):
            holm([0.5, wrong])


def test_holm_by_hand() -> None:
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert holm([0.5]) == [0.5]
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_sign_flip_holds_its_level_on_correlated_images_and_mcnemar_does_not() -> None:
    """Two classifiers that are equally good, each object shifted by its own luck: 400 studies of 12 objects.

    At a true level of .05 the shares of false alarms have a standard error of .011.
    """
    random = np.random.default_rng(7)
    alarms = {"object": 0, "durkalski": 0, "images": 0}
    for _ in range(400):
        luck = np.clip(random.normal(0.5, 0.2, size=12), 0, 1)
        n10 = random.binomial(40, luck)
        n01 = 40 - n10
        alarms["object"] += sign_flip((n10 - n01) / 100) <= 0.05
        alarms["durkalski"] += durkalski(n01, n10, np.full(12, 100)).p <= 0.05
        alarms["images"] += mcnemar_counts(n01=int(n01.sum()), n10=int(n10.sum())).p <= 0.05
    assert alarms["object"] / 400 < 0.05 + 4 * 0.011
    assert alarms["durkalski"] / 400 < 0.05 + 4 * 0.011
    assert alarms["images"] / 400 > 0.25
