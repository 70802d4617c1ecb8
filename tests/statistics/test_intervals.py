from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from acqplan.errors import UsageError
from acqplan.statistics.objects import (
    Estimate,
    interval,
    outward,
    two_way_draws,
    two_way_mean,
)
from benchmarks.resampling import bca_interval, two_way_interval

VALUES = np.random.default_rng(0).normal(0.02, 0.05, size=25)
MATRIX = VALUES[:, None] + np.random.default_rng(1).normal(0.0, 0.03, size=(25, 20))


def ends(found: Estimate) -> tuple[float, float, float]:
    return found.estimate, found.low, found.high


def test_bca_of_skewed_numbers_agrees_with_a_slow_one_from_the_paper() -> None:
    """Efron 1987, equations 2.3 and 6.6, in plain loops with resamples of its own."""
    values = np.random.default_rng(3).exponential(0.1, size=12)
    random = np.random.default_rng(4)
    means = np.array([random.choice(values, len(values)).mean() for _ in range(20_000)])
    centred = values - values.mean()
    speed = (centred**3).sum() / (6.0 * (centred**2).sum() ** 1.5)
    bias = stats.norm.ppf((means < values.mean()).mean())
    expected = []
    for tail in (0.025, 0.975):
        shifted = bias + stats.norm.ppf(tail)
        expected.append(np.quantile(means, stats.norm.cdf(bias + shifted / (1.0 - speed * shifted))))
    found = bca_interval(values, draws=20_000)
    assert (found.low, found.high) == pytest.approx(expected, abs=0.03 * means.std() * 5)
    assert found.high - found.estimate > found.estimate - found.low  # the long tail is on the right


def test_bca_of_many_regular_numbers_is_the_t_interval() -> None:
    values = stats.norm.ppf((np.arange(200) + 0.5) / 200) * 0.1
    assert ends(bca_interval(values))[1:] == pytest.approx(interval(values), abs=5e-4)


def test_order_of_objects_does_not_matter_and_the_sign_turns_the_interval() -> None:
    shuffled = np.random.default_rng(5).permutation(VALUES)
    one, other = ends(bca_interval(VALUES)), ends(bca_interval(shuffled))
    assert one == pytest.approx(other, rel=1e-12)
    turned = bca_interval(-VALUES)
    assert (-turned.high, -turned.low) == pytest.approx(one[1:], abs=0.002)


@pytest.mark.parametrize("shift", [-0.3, 0.01, 0.5])
def test_adding_a_constant_shifts_intervals(shift: float) -> None:
    assert ends(bca_interval(VALUES + shift)) == pytest.approx([end + shift for end in ends(bca_interval(VALUES))])
    moved = two_way_interval(MATRIX + shift, draws=999)
    assert ends(moved) == pytest.approx([end + shift for end in ends(two_way_interval(MATRIX, draws=999))])


def test_the_same_seed_gives_the_same_interval_and_another_nearly() -> None:
    assert bca_interval(VALUES) == bca_interval(VALUES) != bca_interval(VALUES, seed=1)
    assert two_way_interval(MATRIX) == two_way_interval(MATRIX) != two_way_interval(MATRIX, seed=1)
    error = VALUES.std() / 5
    assert ends(two_way_interval(MATRIX)) == pytest.approx(ends(two_way_interval(MATRIX, seed=1)), abs=error / 5)


def test_degenerate_cases() -> None:
    same = Estimate(estimate=0.25, low=0.25, high=0.25, level=0.95)
    assert bca_interval(np.full(6, 0.25)) == two_way_interval(np.full((6, 4), 0.25)) == same
    everything = Estimate(estimate=0.25, low=-1.0, high=1.0, level=0.95)
    assert bca_interval(np.array([0.25])) == two_way_interval(np.full((1, 4), 0.25)) == everything
    almost = np.array([0.1 + 0.2, 0.3, 0.3])
    assert bca_interval(almost).high - bca_interval(almost).low < 1e-12
    two = bca_interval(np.array([0.0, 0.1]))
    assert 0.0 <= two.low < two.estimate < two.high <= 0.1
    perfect = bca_interval(np.array([1.0, 1.0, 1.0, 0.9]), lowest=0.0)
    assert 0.9 <= perfect.low < perfect.high <= 1.0


def test_two_way_draws_agree_with_resampling_cell_by_cell() -> None:
    """The variance of the draws against its closed form (Owen 2007) for a matrix that is complete."""
    values = np.random.default_rng(6).normal(size=(6, 5))
    means = two_way_draws(values, draws=40_000)
    rows, columns = values.mean(axis=1), values.mean(axis=0)
    rest = values - rows[:, None] - columns[None] + values.mean()
    exact = rows.var() / 6 + columns.var() / 5 + (rest**2).mean() / 30
    assert means.mean() == pytest.approx(values.mean(), abs=5 * (exact / 40_000) ** 0.5)
    assert means.var() == pytest.approx(exact, rel=0.05)


def test_two_way_draws_with_gaps_agree_with_plain_loops() -> None:
    values = np.random.default_rng(7).normal(size=(4, 6))
    values[0, :3] = values[1, 3:] = np.nan
    random = np.random.default_rng(8)
    loops = []
    for _ in range(20_000):
        picked = values[random.integers(0, 4, 4)][:, random.integers(0, 6, 6)]
        rows = [row[np.isfinite(row)].mean() for row in picked if np.isfinite(row).any()]
        loops.append(np.mean(rows) if rows else np.nan)
    found = two_way_draws(values, draws=20_000)
    for quantile in (0.025, 0.5, 0.975):
        assert np.nanquantile(found, quantile) == pytest.approx(np.nanquantile(loops, quantile), abs=0.04)
    assert np.isnan(found).mean() == pytest.approx(np.isnan(loops).mean(), abs=0.003)


def test_draws_are_shared_by_all_curves_and_blocks_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    both = two_way_draws(np.stack([MATRIX, MATRIX + 0.1]), draws=50)
    assert both.shape == (50, 2)
    assert both[:, 1] - both[:, 0] == pytest.approx(np.full(50, 0.1))
    gapped = MATRIX.copy()
    gapped[:, 7] = np.nan
    dropped = two_way_mean(np.delete(MATRIX, 7, axis=1))
    assert two_way_mean(gapped) == pytest.approx(dropped)
    assert two_way_mean(np.vstack([gapped, np.full((1, 20), np.nan)])) == pytest.approx(dropped)
    monkeypatch.setattr("acqplan.statistics.objects.BLOCK", 100)
    assert two_way_draws(MATRIX, draws=50).shape == (50,)


def test_without_spread_of_seeds_two_way_is_the_t_interval() -> None:
    """Percentiles are moved out to Student's t."""
    regular = stats.norm.ppf((np.arange(10) + 0.5) / 10) * 0.1
    found = two_way_interval(np.repeat(regular[:, None], 8, axis=1), draws=40_000)
    assert (found.low, found.high) == pytest.approx(interval(regular), rel=0.05)
    one_seed = two_way_interval(regular[:, None], draws=40_000)
    assert (one_seed.low, one_seed.high) == pytest.approx(interval(regular), rel=0.05)


def test_seeds_that_differ_for_all_objects_alike_widen_the_two_way_interval() -> None:
    luck = np.random.default_rng(9).normal(0.0, 0.1, size=20)
    wide, narrow = two_way_interval(MATRIX + luck - luck.mean()), two_way_interval(MATRIX)
    assert wide.estimate == pytest.approx(narrow.estimate)
    assert wide.high - wide.low > 1.3 * (narrow.high - narrow.low)
    objects_only = interval((MATRIX + luck - luck.mean()).mean(axis=1))
    assert wide.high - wide.low > 1.3 * (objects_only[1] - objects_only[0])


def test_percentiles_move_outwards_for_few_objects_only() -> None:
    assert outward(0.95, 5) < outward(0.95, 25) < outward(0.95, 10**6)
    assert outward(0.95, 10**6) == pytest.approx(0.025, abs=1e-5)
    for n in (3, 5, 10, 20):  # a normal percentile of resamples, which vary (n - 1) / n as much, is then Student's
        assert stats.norm.ppf(outward(0.95, n)) * ((n - 1) / n) ** 0.5 == pytest.approx(stats.t.ppf(0.025, n - 1))


@given(
    st.lists(st.lists(st.floats(-1, 1) | st.just(float("nan")), min_size=3, max_size=3), min_size=1, max_size=6),
)
@settings(deadline=None, max_examples=40)
def test_two_way_interval_holds_its_mean_and_stays_within_bounds(rows: list[list[float]]) -> None:
    values = np.array(rows)
    if not np.isfinite(values).any():
        with pytest.raises(UsageError, match="objects x seeds"):
            two_way_interval(values)
        return
    found = two_way_interval(values, draws=400)
    assert -1.0 - 1e-9 <= found.low <= found.high <= 1.0 + 1e-9
    assert found.low - 0.2 <= found.estimate <= found.high + 0.2
    assert found.estimate == pytest.approx(float(two_way_mean(values)))


@pytest.mark.parametrize("wrong", [np.array([]), np.array([0.1, np.nan]), np.array([0.1, np.inf]), np.zeros((2, 2))])
def test_numbers_that_are_none_are_refused_by_bca(wrong: np.ndarray) -> None:
    with pytest.raises(UsageError, match="one finite number"):
        bca_interval(wrong)


@pytest.mark.parametrize(
    "wrong", [np.zeros(3), np.zeros((0, 3)), np.zeros((3, 0)), np.full((2, 2), np.nan), np.array([[1.0, np.inf]])]
)
def test_matrices_that_are_none_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(UsageError, match="objects x seeds"):
        two_way_interval(wrong)


def test_levels_and_draws_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        bca_interval(VALUES, level=95.0)
    with pytest.raises(UsageError, match="0 resamples"):
        two_way_interval(MATRIX, draws=0)
