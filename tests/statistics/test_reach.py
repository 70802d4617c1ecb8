from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acqplan.errors import UsageError
from acqplan.statistics.curves import Bounds, ImagesToReach, SpeedUp, images_to_match
from acqplan.statistics.objects import outward

BUDGETS = [100, 1_000, 10_000]


def runs(*means: float, spread: float = 0.0, seed: int = 0) -> np.ndarray:
    """Curves of 8 objects and 6 seeds with these means."""
    random = np.random.default_rng(seed)
    objects = random.normal(0.0, spread, size=(1, 8, 1))
    seeds = random.normal(0.0, spread / 3, size=(1, 1, 6))
    return np.array(means)[:, None, None] + (objects - objects.mean()) + (seeds - seeds.mean())


def images_to_reach(
    accuracy: np.ndarray, budgets: list[int], *, target: float, draws: int = 300, level: float = 0.95
) -> ImagesToReach:
    """What a flat baseline at the target has at any budget."""
    flat = np.full_like(accuracy, target)
    return images_to_match(accuracy, flat, budgets, at=budgets[0], draws=draws, level=level)[0]


def reach(accuracy: np.ndarray, target: float, draws: int = 300) -> ImagesToReach:
    return images_to_reach(accuracy, BUDGETS, target=target, draws=draws)


def faster(accuracy: np.ndarray, baseline: np.ndarray, at: int) -> SpeedUp:
    return images_to_match(accuracy, baseline, BUDGETS, at=at, draws=300)[1]


def exactly(number: float) -> Bounds:
    return Bounds(low=number, high=number)


def test_crossing_is_linear_in_log_images() -> None:
    found = reach(runs(0.5, 0.7, 0.9), 0.6)
    assert found.images.low == found.images.high == pytest.approx(10**2.5)
    assert found.text == "316"
    assert found.interval.low == pytest.approx(found.interval.high)
    assert (found.n_runs, found.smallest, found.largest) == (48, 100, 10_000)


@pytest.mark.parametrize(("target", "images"), [(0.7, 1_000), (0.9, 10_000)])
def test_a_measured_budget_that_reaches_the_target_is_the_answer(target: float, images: float) -> None:
    assert reach(runs(0.5, 0.7, 0.9), target).images.low == pytest.approx(images)


def test_what_was_not_reached_is_censored() -> None:
    found = reach(runs(0.5, 0.7, 0.9), 0.95)
    assert found.images == found.interval == Bounds(low=10_000, high=math.inf)
    assert not found.images.known
    assert found.text == "> 10,000"
    assert json.dumps(found.images.to_dict()) == '{"low": 10000.0, "high": null}'


def test_what_all_budgets_reach_is_censored_below() -> None:
    found = reach(runs(0.5, 0.7, 0.9), 0.5)
    assert found.images == Bounds(low=0.0, high=100)
    assert found.text == "≤ 100"
    assert found.images.to_dict() == {"low": None, "high": 100.0}


def test_the_first_crossing_counts_and_later_dips_do_not() -> None:
    assert reach(runs(0.5, 0.8, 0.6), 0.65).images == reach(runs(0.5, 0.8, 0.8), 0.65).images
    assert reach(runs(0.8, 0.5, 0.9), 0.75).text == "≤ 100"


def test_interval_holds_the_estimate_and_may_be_censored_on_one_side() -> None:
    found = reach(runs(0.5, 0.7, 0.9, spread=0.1), 0.85, draws=2_000)
    assert found.images.known
    assert found.interval.low < found.images.low < found.interval.high == math.inf


def test_interval_agrees_with_resampling_in_loops() -> None:
    accuracy = runs(0.5, 0.7, 0.9, spread=0.05)
    random = np.random.default_rng(1)
    crossings = []
    for _ in range(4_000):
        curve = accuracy[:, random.integers(0, 8, 8)][:, :, random.integers(0, 6, 6)].mean(axis=(1, 2))
        crossings.append(np.interp(0.7, curve, np.log10(BUDGETS)))
    found = images_to_reach(accuracy, BUDGETS, target=0.7, draws=4_000, level=0.8)
    expected = np.quantile(crossings, [outward(0.8, 8), 1.0 - outward(0.8, 8)])
    assert [math.log10(found.interval.low), math.log10(found.interval.high)] == pytest.approx(expected, abs=0.02)


@given(st.lists(st.floats(0.1, 1.0), min_size=3, max_size=3), st.floats(0.1, 0.99), st.floats(0.0, 0.1))
@settings(deadline=None, max_examples=40)
def test_more_is_never_reached_with_fewer_images(means: list[float], target: float, more: float) -> None:
    low, high = reach(runs(*means), target, draws=20), reach(runs(*means), target + more, draws=20)
    assert low.images.low <= high.images.low * (1 + 1e-9)
    assert low.images.high <= high.images.high * (1 + 1e-9)
    assert low.images.low <= low.images.high


@given(st.integers(2, 50))
def test_images_scale_with_budgets(factor: int) -> None:
    accuracy = runs(0.5, 0.7, 0.9, spread=0.05)
    one = images_to_reach(accuracy, BUDGETS, target=0.8, draws=50)
    other = images_to_reach(accuracy, [factor * budget for budget in BUDGETS], target=0.8, draws=50)
    assert other.images.low == pytest.approx(factor * one.images.low)
    assert other.interval.low == pytest.approx(factor * one.interval.low)


def test_speed_up_is_the_ratio_of_images() -> None:
    found = faster(runs(0.7, 0.8, 0.9), runs(0.6, 0.7, 0.8), 10_000)
    assert found.ratio.known
    assert found.ratio.low == pytest.approx(10)
    assert found.text == "10.0"
    slower = faster(runs(0.6, 0.7, 0.8), runs(0.7, 0.8, 0.9), 1_000)
    assert slower.ratio.low == slower.ratio.high == pytest.approx(0.1)


def test_an_arm_against_itself_is_as_fast_without_doubt() -> None:
    arm = runs(0.6, 0.7, 0.8, spread=0.02)
    found = faster(arm, arm, 1_000)
    assert (found.ratio, found.interval) == (exactly(1.0), exactly(1.0))


def test_speed_up_over_what_was_crossed_outside_the_budgets_is_a_bound() -> None:
    fast, slow = runs(0.7, 0.8, 0.9), runs(0.5, 0.6, 0.7)
    at_least = faster(fast, slow, 10_000)  # 10,000 images against at most 100
    assert at_least.ratio.low == pytest.approx(100)
    assert at_least.ratio.high == math.inf
    assert at_least.text == "≥ 100.0"
    at_most = faster(slow, fast, 1_000)  # 1,000 images against more than 10,000
    assert (at_most.ratio.low, at_most.text) == (0.0, "≤ 0.1")
    assert at_most.ratio.high == pytest.approx(0.1)
    unknown = faster(fast, slow, 100)
    assert unknown.text == "unknown"
    assert unknown.ratio.to_dict() == {"low": None, "high": None}


def test_failed_runs_are_left_out_in_both_arms() -> None:
    fast, slow = runs(0.7, 0.8, 0.9, spread=0.03), runs(0.6, 0.7, 0.8, spread=0.05, seed=1)
    failed = fast.copy()
    failed[1, :, 2] = np.nan
    reached, found = images_to_match(failed, slow, BUDGETS, at=10_000, draws=300)
    without = np.delete(fast, 2, axis=2), np.delete(slow, 2, axis=2)
    assert found.ratio == faster(*without, 10_000).ratio
    assert found.ratio.known
    assert reached.n_runs == 40


def test_one_object_says_nothing_of_others() -> None:
    found = reach(runs(0.5, 0.7, 0.9)[:, :1], 0.7)
    assert found.images.known
    assert found.interval == Bounds(low=0.0, high=math.inf)


def test_what_cannot_be_is_refused() -> None:
    accuracy = runs(0.5, 0.7, 0.9)
    with pytest.raises(UsageError, match="no run has all budgets"):
        reach(np.where(np.arange(3)[:, None, None] == 1, np.nan, accuracy), 0.7)
    with pytest.raises(UsageError, match="same runs"):
        faster(accuracy, accuracy[:, :3], 100)
    with pytest.raises(UsageError, match="budgets"):
        images_to_reach(accuracy, [100, 1_000], target=0.7)
    with pytest.raises(UsageError, match="resamples"):
        reach(accuracy, 0.7, draws=0)


def test_a_target_that_is_what_the_baseline_reaches_moves_with_the_objects() -> None:
    random = np.random.default_rng(1)
    objects = random.normal(0.0, 0.1, size=(1, 12, 1))  # far more than the curves rise
    noise = random.normal(0.0, 0.002, size=(3, 12, 6))
    mine, theirs = (np.array(means)[:, None, None] + objects for means in ((0.62, 0.68, 0.70), (0.56, 0.62, 0.68)))
    found, ratio = images_to_match(mine + noise, theirs - noise, BUDGETS, at=10_000, draws=500)
    assert found.images.low == pytest.approx(1_000, rel=0.2)
    assert 500 < found.interval.low < found.interval.high < 2_000
    fixed = images_to_reach(mine + noise, BUDGETS, target=found.target, draws=500)
    assert fixed.images.low == pytest.approx(found.images.low)
    assert fixed.interval.low < found.interval.low
    assert fixed.interval.high == math.inf
    assert ratio.ratio.low == pytest.approx(10_000 / found.images.low)
    assert 5 < ratio.interval.low < 10 < ratio.interval.high < 20


def test_a_baseline_matches_itself_with_as_many_images() -> None:
    curve = runs(0.5, 0.7, 0.9, spread=0.05)
    reached, ratio = images_to_match(curve, curve, BUDGETS, at=1_000, draws=200)
    assert reached.images.low == pytest.approx(1_000)
    assert ratio.ratio.low == pytest.approx(1.0)
    with pytest.raises(UsageError, match="known: 100, 1000, 10000"):
        images_to_match(curve, curve, BUDGETS, at=500)
