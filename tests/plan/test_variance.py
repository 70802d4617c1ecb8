"""Integrated variance and learned herding: what they choose, and what they learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from acqplan.errors import StrategyError
from acqplan.plan.base import Choice, History, check_choice
from acqplan.plan.designs import RandomShots
from acqplan.plan.surrogate import ShotKernel, class_points, covariance, points_of
from acqplan.plan.variance import Variance
from acqplan.space import Objects, Shots, Space
from benchmarks.reference import integrated_variance

MakeObjects = Callable[..., Objects]
Split = Callable[..., tuple[Shots, History]]


def left(shots: Shots, history: History, choice: Choice, kernel: ShotKernel) -> float:
    points = points_of(history.shots.join(shots.take(choice.rows)))
    targets = class_points(0, shots.space.views())
    return integrated_variance(shots.space, replace(kernel, common=0.0), points, targets)


def test_each_shot_takes_away_most(small: Space, objects_of: MakeObjects, captured: Split) -> None:
    shots, history = captured(Shots.every(small, objects_of(3)), np.array([3, 50, 51, 52]))
    kernel = ShotKernel(lengths=(40.0, 20.0, 2.0), common=0.0)
    choice = Variance(kernel=kernel).propose(shots, history, 25, 0)
    points, targets = points_of(shots), class_points(0, small.views())
    for place, row in enumerate(choice.rows):
        taken = np.concatenate([points_of(history.shots), points[choice.rows[:place]]])
        gram = covariance(small, kernel, taken, taken) + kernel.noise * np.eye(len(taken))
        old = covariance(small, kernel, taken, points)
        solved = np.linalg.solve(gram, covariance(small, kernel, taken, targets))
        cross = covariance(small, kernel, targets, points) - solved.T @ old
        spread = kernel.shared + kernel.offset + kernel.deviation
        variance = spread - (old * np.linalg.solve(gram, old)).sum(axis=0) + kernel.noise
        gains = (cross**2).mean(axis=0) / variance
        gains[shots.object_rows != shots.object_rows[row]] = -np.inf
        gains[choice.rows[:place]] = -np.inf
        assert gains[row] == pytest.approx(gains.max(), abs=1e-6)
        assert choice.gain[place] == pytest.approx(gains[row] / kernel.shared, abs=1e-6)


def test_leaves_less_unknown_than_lots(norb: Space, objects_of: MakeObjects) -> None:
    shots, kernel = Shots.every(norb, objects_of(3)), ShotKernel.default(norb)
    start = History.empty(shots)
    ours = left(shots, start, Variance().propose(shots, start, 60, 0), kernel)
    lots = left(shots, start, RandomShots().propose(shots, start, 60, 0), kernel)
    assert ours < 0.95 * lots


def test_plans_do_not_depend_on_the_memory_that_objects_may_take(
    small: Space, objects_of: MakeObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    shots = Shots.every(small, objects_of(2, 2))
    plans = []
    for most in (1e9, 0.0):
        monkeypatch.setattr("acqplan.plan.variance.KEPT_BYTES", most)
        monkeypatch.setattr("acqplan.plan.variance.FEW", 2)
        plans.append(Variance().propose(shots, History.empty(shots), len(shots) // 2, 0))
    np.testing.assert_array_equal(plans[0].rows, plans[1].rows)
    np.testing.assert_allclose(plans[0].gain, plans[1].gain, rtol=1e-9)


@pytest.mark.parametrize("n", [40, 200])
def test_neighbours_are_told_apart_by_lot(norb: Space, objects_of: MakeObjects, n: int) -> None:
    shots, strategy = Shots.every(norb, objects_of(3)), Variance(largest=120)
    start, kernel = History.empty(shots), ShotKernel.default(norb)
    choice = check_choice(strategy.propose(shots, start, n, 0), shots, n, strategy=strategy)
    exact = left(shots, start, Variance().propose(shots, start, n, 0), kernel)
    assert left(shots, start, choice, kernel) < 1.1 * exact


@pytest.mark.parametrize("kind", ["small", "photographs"])
def test_views_that_matter_more_are_taken_more(
    kind: str, request: pytest.FixtureRequest, objects_of: MakeObjects
) -> None:
    space = request.getfixturevalue(kind)
    shots, high = Shots.every(space, objects_of(2)), space.views()[:, 1] > 39.0
    strategy = Variance(view_weights=tuple(high.astype(float).tolist()))
    for turned in (shots, replace(shots, space=space.turned("azimuth", 45.0))):
        chosen = turned.take(strategy.propose(turned, History.empty(turned), 16, 0).rows)
        assert np.mean(chosen.coordinates[:, 1] > 39.0) > high.mean() + 0.1 * (1.0 - high.mean())


@pytest.mark.parametrize(
    "wrong", [{"largest": 0}, {"view_weights": (0.0, 0.0)}, {"view_weights": (1.0, -1.0)}, {"view_weights": (np.nan,)}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(StrategyError, match="variance"):
        Variance(**wrong)  # type: ignore[arg-type]


def test_weights_of_another_space_are_refused(small: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(small, objects_of(1))
    with pytest.raises(StrategyError, match="2 weights of views, the space has 48"):
        Variance(view_weights=(1.0, 1.0)).propose(shots, History.empty(shots), 3, 0)


def test_a_kernel_of_another_space_is_refused(small: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(small, objects_of(1))
    with pytest.raises(StrategyError, match="1 lengths, the space has 3 axes"):
        Variance(kernel=ShotKernel(lengths=(30.0,))).propose(shots, History.empty(shots), 3, 0)


def test_views_spread_along_the_axis_that_changes_the_picture(
    norb: Space, objects_of: MakeObjects, captured: Split
) -> None:
    strategy = Variance()
    # images that change with the elevation within 4 degrees, hardly with the azimuth
    every = Shots.every(norb, objects_of(2, 2))
    shots, history = captured(every, np.random.default_rng(0).permutation(len(every))[:120])
    points = points_of(history.shots)
    truth = ShotKernel(lengths=(200.0, 4.0, 5.0), noise=0.02)
    gram = covariance(norb, truth, points, points) + 0.02 * np.eye(120)
    features = np.linalg.cholesky(gram) @ np.random.default_rng(1).standard_normal((120, 30))
    seen = replace(history, features=features.astype(np.float32))
    blind, learned = (shots.take(strategy.propose(shots, one, 16, 0).rows) for one in (history, seen))
    assert len(np.unique(learned.coordinates[:, 1])) >= len(np.unique(blind.coordinates[:, 1]))
    assert strategy.propose(shots, seen, 16, 0).reason[0].startswith("learned kernel")
