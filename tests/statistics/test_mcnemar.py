from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as outside

from acqplan.errors import UsageError
from acqplan.statistics.clustered import mcnemar, mcnemar_counts

COUNTS = st.integers(0, 400)


@given(COUNTS, COUNTS)
def test_exact_and_asymptotic_p_agree_with_statsmodels(n01: int, n10: int) -> None:
    found = mcnemar_counts(n01=n01, n10=n10)
    if n01 + n10 == 0:
        assert (found.p_exact, found.p_asymptotic, found.p_mid, found.chi2) == (1.0, 1.0, 1.0, 0.0)
        return
    table = [[5, n10], [n01, 5]]
    assert found.p_exact == pytest.approx(outside(table, exact=True).pvalue, rel=1e-9)
    if n01 != n10:  # statsmodels corrects a difference of zero up to one
        asymptotic = outside(table, exact=False, correction=True)
        assert found.p_asymptotic == pytest.approx(asymptotic.pvalue, rel=1e-9)
        assert found.chi2 == pytest.approx(asymptotic.statistic)


def test_published_example_of_the_mid_p() -> None:
    """Airway hyper-responsiveness before and after transplantation: table 1 of Fagerland et al. 2013."""
    found = mcnemar_counts(n01=1, n10=7)
    assert round(found.p_exact, 3) == 0.070
    assert found.p_mid == pytest.approx(0.0390625)  # 2 * (1 + 8) / 256 - 8 / 256


def test_thesis_bound_of_one_percent() -> None:
    """The thesis rejects at .01 where chi-square exceeds 6.635."""
    assert mcnemar_counts(n01=100, n10=138).p > 0.01  # 37**2 / 238 = 5.75
    assert mcnemar_counts(n01=100, n10=142).p < 0.01  # 41**2 / 242 = 6.95
    assert mcnemar_counts(n01=100, n10=142).chi2 == pytest.approx(41**2 / 242)


def test_p_is_exact_up_to_twenty_discordant_images() -> None:
    few, many = mcnemar_counts(n01=5, n10=15), mcnemar_counts(n01=5, n10=16)
    assert few.p == few.p_exact != few.p_asymptotic
    assert many.p == many.p_asymptotic != many.p_exact


@given(COUNTS, COUNTS)
def test_swapping_classifiers_swaps_the_odds_and_keeps_p(n01: int, n10: int) -> None:
    one, other = mcnemar_counts(n01=n01, n10=n10), mcnemar_counts(n01=n10, n10=n01)
    assert (one.p, one.p_mid, one.chi2) == (other.p, other.p_mid, other.chi2)
    if n01 and n10:
        assert one.odds_ratio == pytest.approx(1 / other.odds_ratio)
    assert 0.0 <= one.p_mid <= one.p_exact <= 1.0


def test_odds_ratio_without_one_kind_of_discordance() -> None:
    assert mcnemar_counts(n01=0, n10=3).odds_ratio == math.inf
    assert mcnemar_counts(n01=3, n10=0).odds_ratio == 0.0
    assert mcnemar_counts(n01=0, n10=0).odds_ratio == 1.0


def test_counts_are_those_of_the_images() -> None:
    a, b = np.array([1, 1, 1, 0, 0, 1], dtype=bool), np.array([1, 0, 0, 1, 0, 0], dtype=bool)
    found = mcnemar(a, b)
    assert (found.n10, found.n01) == (3, 1)


def test_other_images_are_refused() -> None:
    with pytest.raises(UsageError, match="same images"):
        mcnemar(np.ones(3, dtype=bool), np.ones(4, dtype=bool))
    with pytest.raises(UsageError, match="not negative"):
        mcnemar_counts(n01=-1, n10=3)
