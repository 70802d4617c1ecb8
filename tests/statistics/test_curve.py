from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from acqplan.errors import UsageError
from acqplan.statistics.clustered import sign_flip
from acqplan.statistics.curves import area_under_curve, common_runs, mean_ranks
from acqplan.statistics.objects import two_way_mean
from benchmarks.resampling import two_way_interval

BUDGETS = [90, 270, 810, 2430]
CURVES = np.random.default_rng(0).uniform(0.5, 1.0, size=(4, 6, 5))


def test_area_of_a_flat_curve_is_its_height_and_of_a_line_in_log_images_its_middle() -> None:
    assert area_under_curve(np.full((4, 2, 3), 0.7), BUDGETS) == pytest.approx(np.full((2, 3), 0.7))
    logs = np.log([100, 230, 1000, 2000])
    line = 0.4 + 0.1 * (logs - logs[0])
    area = area_under_curve(np.broadcast_to(line[:, None, None], (4, 2, 3)), [100, 230, 1000, 2000])
    assert area == pytest.approx(np.full((2, 3), (line[0] + line[-1]) / 2))


def test_area_agrees_with_numpy_and_is_linear() -> None:
    logs = np.log(np.array(BUDGETS, dtype=float))
    expected = np.trapezoid(CURVES, logs, axis=0) / (logs[-1] - logs[0])
    assert area_under_curve(CURVES, BUDGETS) == pytest.approx(expected)
    assert area_under_curve(CURVES - CURVES[:, ::-1], BUDGETS) == pytest.approx(expected - expected[::-1])


def test_area_depends_on_ratios_of_budgets_only() -> None:
    tenfold = [10 * budget for budget in BUDGETS]
    assert area_under_curve(CURVES, tenfold) == pytest.approx(area_under_curve(CURVES, BUDGETS))


def test_a_measured_budget_on_the_line_changes_no_area() -> None:
    budgets, line = [10, 1000], np.stack([np.full((2, 2), 0.4), np.full((2, 2), 0.8)])
    with_middle = np.stack([line[0], np.full((2, 2), 0.6), line[1]])
    assert area_under_curve(with_middle, [10, 100, 1000]) == pytest.approx(area_under_curve(line, budgets))


def test_areas_feed_tests_and_intervals() -> None:
    difference = area_under_curve(CURVES + 0.05, BUDGETS) - area_under_curve(CURVES, BUDGETS)
    found = two_way_interval(difference, draws=99)
    assert (found.low, found.estimate, found.high) == pytest.approx((0.05, 0.05, 0.05))
    assert sign_flip(difference.mean(axis=1)) == 2 / 2**6


def test_a_run_that_failed_once_is_left_out_in_all_arms_and_at_all_budgets() -> None:
    arms = np.stack([CURVES, CURVES + 0.01])
    arms[1, 2, :, 3] = np.nan  # one arm, one budget, one seed, all objects
    arms[0, 1, 4, 0] = np.nan
    kept = common_runs(arms)
    assert np.isnan(kept[:, :, :, 3]).all()
    assert np.isnan(kept[:, :, 4, 0]).all()
    assert np.isfinite(kept).sum() == 2 * 4 * (6 * 5 - 6 - 1)
    other_seeds = two_way_mean(np.delete(CURVES, 3, axis=2))
    failed = CURVES.copy()
    failed[2, :, 3] = np.nan
    assert two_way_mean(common_runs(failed[None])[0]) == pytest.approx(other_seeds)
    assert np.isnan(area_under_curve(failed, BUDGETS)[:, 3]).all()


def test_objects_count_equally_however_many_seeds_they_have() -> None:
    accuracy = np.full((2, 2, 4), np.nan)
    accuracy[:, 0, :], accuracy[:, 1, 0] = 0.2, 1.0
    assert two_way_mean(accuracy) == pytest.approx([0.6, 0.6])


def test_ranks_by_hand_with_ties_averaged() -> None:
    accuracy = np.array([[[0.9, 0.8]], [[0.9, 0.7]], [[0.5, 0.9]]])
    assert mean_ranks(accuracy)[:, 0] == pytest.approx([(1.5 + 2) / 2, (1.5 + 3) / 2, (3 + 1) / 2])


@given(st.integers(2, 6), st.integers(1, 4), st.integers(1, 9), st.integers(0, 10**6))
@settings(deadline=None)
def test_ranks_agree_with_scipy_and_sum_to_the_same(arms: int, budgets: int, blocks: int, seed: int) -> None:
    accuracy = np.random.default_rng(seed).integers(0, 5, size=(arms, budgets, blocks)) / 5
    ranks = mean_ranks(accuracy)
    assert ranks == pytest.approx(stats.rankdata(-accuracy, axis=0).mean(axis=2))
    assert ranks.sum(axis=0) == pytest.approx(np.full(budgets, arms * (arms + 1) / 2))
    assert mean_ranks(accuracy[::-1]) == pytest.approx(ranks[::-1])
    assert mean_ranks(0.5 * accuracy + 0.1) == pytest.approx(ranks)


def test_a_block_without_one_arm_is_left_out_at_that_budget() -> None:
    accuracy = np.random.default_rng(1).random((3, 2, 5))
    failed = accuracy.copy()
    failed[0, 1, 2] = np.nan
    ranks = mean_ranks(failed)
    assert ranks[:, 0] == pytest.approx(mean_ranks(accuracy)[:, 0])
    assert ranks[:, 1] == pytest.approx(mean_ranks(np.delete(accuracy, 2, axis=2))[:, 1])
    failed[0, 1] = np.nan
    assert np.isnan(mean_ranks(failed)[:, 1]).all()


def test_last_digits_do_not_break_ties() -> None:
    assert mean_ranks(np.array([[[0.1 + 0.2]], [[0.3]]])).tolist() == [[1.5], [1.5]]


@pytest.mark.parametrize("budgets", [[90, 270, 270, 810], [90, 810, 270, 2430], [0, 1, 2, 3], [90, 270]])
def test_budgets_that_do_not_fit_are_refused(budgets: list[int]) -> None:
    with pytest.raises(UsageError, match="budgets"):
        area_under_curve(CURVES, budgets)


def test_curves_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match="at least two"):
        area_under_curve(CURVES[:1], [90])
    with pytest.raises(UsageError, match="objects, seeds"):
        area_under_curve(CURVES[:, 0], BUDGETS)
    with pytest.raises(UsageError, match="infinite"):
        area_under_curve(np.where(CURVES > 0.9, np.inf, CURVES), BUDGETS)
    for wrong in (CURVES[:1], np.zeros((2, 2)), np.zeros((2, 2, 0)), np.full((2, 2, 2), np.inf)):
        with pytest.raises(UsageError, match="two arms"):
            mean_ranks(wrong)
