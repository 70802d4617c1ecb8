"""Integrated variance: rank-1 updates against plain linear algebra, and against botorch."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from acqplan.plan.surrogate import ShotKernel, class_points, covariance, points_of
from acqplan.plan.variance import ClassVariance, basis_of, groups_of
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, parse_values
from benchmarks.reference import integrated_variance
from tests.plan.surrogate.reference import shot_module

TWINS = Objects(names=("car-0", "car-1", "plane-0"), labels=("car", "car", "plane"))


def kernel_of(space: Space, common: float = 0.0) -> ShotKernel:
    return ShotKernel(lengths=tuple((1.3 * space.scales).tolist()), common=common, noise=0.05)


@pytest.mark.parametrize("weighted", [False, True])
def test_gains_are_what_variance_falls_by(space: Space, weighted: bool) -> None:
    kernel, n_views = kernel_of(space), space.n_views
    draw = np.random.default_rng(1)
    weights = draw.random(n_views) * (draw.random(n_views) < 0.5) if weighted else np.ones(n_views)
    points, targets = points_of(Shots.every(space, TWINS)), class_points(0, space.views())

    def left(rows: list[int]) -> float:
        return integrated_variance(space, kernel, points[rows], targets, weights / weights.sum())

    state = ClassVariance(kernel, basis_of(space, space.views(), kernel.lengths, weights=weights, rank=n_views), 2)
    taken: list[int] = []
    for step in range(9):
        gains, number = state.gains(step % 2), step % 2
        for view in draw.permutation(n_views)[:5]:
            expected = left(taken) - left([*taken, number * n_views + int(view)])
            assert gains[view] == pytest.approx(expected, abs=1e-9)
        view = int(np.argmax(gains)) if step != 4 else taken[-1] % n_views  # a view a second time
        state.add(number, view)
        taken.append(number * n_views + view)
        assert state.unknown == pytest.approx(left(taken), abs=1e-9)


def test_equal_to_botorch(space: Space) -> None:
    torch = pytest.importorskip("torch")

    kernel = kernel_of(space, common=0.2)
    shots = points_of(Shots.every(space, TWINS))
    draw = np.random.default_rng(0)
    known, candidates = np.split(draw.permutation(len(shots))[:22], [6])
    targets = class_points(0, space.views())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from botorch.acquisition.active_learning import qNegIntegratedPosteriorVariance
        from botorch.models import SingleTaskGP
        from gpytorch.means import ZeroMean

        module = shot_module(space, kernel)
        surrogate = SingleTaskGP(
            torch.from_numpy(shots[known]),
            torch.zeros(len(known), 1, dtype=torch.float64),
            train_Yvar=torch.full((len(known), 1), kernel.noise, dtype=torch.float64),
            covar_module=module,
            mean_module=ZeroMean(),
            outcome_transform=None,
        )
        theirs = qNegIntegratedPosteriorVariance(surrogate, mc_points=torch.from_numpy(targets))
        for row in candidates:
            with torch.no_grad():
                found = -float(theirs(torch.from_numpy(shots[None, [row]])).mean())
            assert integrated_variance(space, kernel, shots[[*known, row]], targets) == pytest.approx(found, abs=1e-6)


def test_the_greedy_choice_is_that_of_botorch(space: Space) -> None:
    torch = pytest.importorskip("torch")

    kernel, shots = kernel_of(space), points_of(Shots.every(space, TWINS))[: 2 * space.n_views]
    taken, state = [1, space.n_views + 5], ClassVariance(kernel, basis_of(space, space.views(), kernel.lengths), 2)
    for row in taken:
        state.add(row // space.n_views, row % space.n_views)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from botorch.acquisition.active_learning import qNegIntegratedPosteriorVariance
        from botorch.models import SingleTaskGP
        from gpytorch.means import ZeroMean

        surrogate = SingleTaskGP(
            torch.from_numpy(shots[taken]),
            torch.zeros(len(taken), 1, dtype=torch.float64),
            train_Yvar=torch.full((len(taken), 1), kernel.noise, dtype=torch.float64),
            covar_module=shot_module(space, kernel),
            mean_module=ZeroMean(),
            outcome_transform=None,
        )
        targets = torch.from_numpy(class_points(0, space.views()))
        theirs = qNegIntegratedPosteriorVariance(surrogate, mc_points=targets)
        with torch.no_grad():
            found = [float(theirs(torch.from_numpy(shots[None, [row]])).mean()) for row in range(0, len(shots), 7)]
    ours = np.concatenate([state.gains(0), state.gains(1)])[::7] - state.unknown
    np.testing.assert_allclose(ours, found, rtol=0.0, atol=1e-6)


def test_taking_the_common_part_as_known_costs_little() -> None:
    # the greedy choice under the whole kernel against ours, both judged under the whole kernel
    space = Space(
        axes=(
            Circle(name="azimuth", values=parse_values("0:330:30")),
            Interval(name="elevation", values=(10.0, 40.0), unit="deg"),
        )
    )
    kernel = replace(kernel_of(space), common=0.2, lengths=(25.0, 30.0))
    points = points_of(Shots.every(space, TWINS))
    targets = np.concatenate([class_points(number, space.views()) for number in (0, 1)])
    ours, whole = _ours(space, kernel, [0, 2, 1] * 4), _greedy(space, kernel, points, targets, [0, 2, 1] * 4)
    left = [integrated_variance(space, kernel, points[rows], targets) for rows in (ours, whole)]
    assert left[0] <= 1.03 * left[1]


def _ours(space: Space, kernel: ShotKernel, order: list[int]) -> list[int]:
    basis = basis_of(space, space.views(), kernel.lengths)
    states = [ClassVariance(kernel, basis, 2), ClassVariance(kernel, basis, 1)]
    rows: list[int] = []
    for number in order:
        state, place = states[number // 2], number % 2
        gains = state.gains(place)
        gains[[row - number * space.n_views for row in rows if row // space.n_views == number]] = -np.inf
        rows.append(number * space.n_views + int(np.argmax(gains)))
        state.add(place, rows[-1] % space.n_views)
    return rows


def _greedy(space: Space, kernel: ShotKernel, points: np.ndarray, targets: np.ndarray, order: list[int]) -> list[int]:
    joint = covariance(space, kernel, np.concatenate([points, targets]), points)
    variance, cross = joint[: len(points)].copy(), joint[len(points) :].copy()
    rows: list[int] = []
    for number in order:
        gains = (cross**2).sum(axis=0) / (variance.diagonal() + kernel.noise)
        gains[rows] = -np.inf
        gains[points[:, 1] != number] = -np.inf
        best = int(np.argmax(gains))
        rows.append(best)
        column, scale = variance[:, best].copy(), variance[best, best] + kernel.noise
        cross -= np.outer(cross[:, best], column / scale)
        variance -= np.outer(column, column / scale)
    return rows


def test_groups_are_small_and_hold_every_view(space: Space) -> None:
    lengths = tuple(space.scales.tolist())
    whole = groups_of(space, lengths)
    assert whole.of_view.tolist() == list(range(space.n_views))
    joined = groups_of(space, lengths, largest=space.n_views // 2)
    assert len(joined.of_view) == space.n_views
    assert len(joined.centres) == len(np.unique(joined.of_view)) <= space.n_views
    for column, axis in enumerate(space.axes):
        if axis.kind == "category":
            np.testing.assert_array_equal(joined.centres[joined.of_view, column], space.views()[:, column])


def test_levels_of_categories_are_joined_last() -> None:
    space = Space(
        axes=(
            Category(name="lens", values=tuple(map(str, range(40)))),
            Interval(name="elevation", values=parse_values("10:70:10"), unit="deg"),
        )
    )
    assert len(groups_of(space, (1.0, 30.0), largest=200).centres) == 40 * 5
    assert len(groups_of(space, (1.0, 30.0), largest=40).centres) == 40
    assert len(groups_of(space, (1.0, 30.0), largest=7).centres) == 7
