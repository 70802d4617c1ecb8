from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import cochrans_q
from statsmodels.stats.contingency_tables import mcnemar as outside_mcnemar

from acqplan.errors import UsageError
from benchmarks.resampling import cochran_q

# The example of W. J. Conover, Practical Nonparametric Statistics, p. 253, three forecasters of 12 games, for which the
# manual of NIST's Dataplot (and after it the tests of statsmodels) give Q = 2.8 and p = .246597.
GAMES = ["111", "111", "010", "110", "000", "111", "111", "110", "001", "010", "111", "111"]


def table(rows: list[str]) -> np.ndarray:
    return np.array([[mark == "1" for mark in row] for row in rows]).T


def test_published_example() -> None:
    found = cochran_q(table(GAMES))
    assert found.statistic == pytest.approx(2.8)
    assert found.degrees_of_freedom == 2
    assert found.p == pytest.approx(0.246597, abs=1e-6)


@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 10**6))
@settings(deadline=None)
def test_agrees_with_statsmodels(n_classifiers: int, n_images: int, seed: int) -> None:
    correct = np.random.default_rng(seed).random((n_classifiers, n_images)) < 0.6
    found = cochran_q(correct)
    if (correct == correct[0]).all():
        assert (found.statistic, found.p) == (0.0, 1.0)
        return
    outside = cochrans_q(correct.T.astype(int))
    assert found.statistic == pytest.approx(outside.statistic, abs=1e-9)
    assert found.p == pytest.approx(outside.pvalue, rel=1e-9)


def test_two_classifiers_are_mcnemar_without_correction() -> None:
    correct = np.random.default_rng(0).random((2, 300)) < np.array([[0.7], [0.8]])
    a, b = correct
    outside = outside_mcnemar([[1, (a & ~b).sum()], [(~a & b).sum(), 1]], exact=False, correction=False)
    assert cochran_q(correct).statistic == pytest.approx(outside.statistic)
    assert cochran_q(correct).p == pytest.approx(outside.pvalue)


def test_order_and_images_on_which_all_agree_change_nothing() -> None:
    correct = table(GAMES)
    random = np.random.default_rng(1)
    shuffled = correct[random.permutation(3)][:, random.permutation(12)]
    padded = np.hstack([correct, np.ones((3, 40), dtype=bool), np.zeros((3, 7), dtype=bool)])
    for same in (shuffled, padded, ~correct):
        assert cochran_q(same).statistic == pytest.approx(cochran_q(correct).statistic)


@pytest.mark.parametrize(
    "wrong", [np.ones((1, 5), dtype=bool), np.ones((3, 0), dtype=bool), np.ones(5, dtype=bool), np.ones((2, 5))]
)
def test_tables_that_are_none_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(UsageError, match="at least two classifiers"):
        cochran_q(wrong)
