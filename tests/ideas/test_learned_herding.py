"""Herding with learned length scales: what it chooses, and what it learns from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from acqplan.plan.base import History, from_first_levels
from acqplan.plan.greedy import Herding
from acqplan.plan.surrogate import ShotKernel, covariance, points_of
from acqplan.space import Objects, Shots, Space
from benchmarks.ideas import LearnedHerding
from tests.space.covering import covering_radius

MakeObjects = Callable[..., Objects]
Split = Callable[..., tuple[Shots, History]]


def test_views_spread_along_the_axis_that_changes_the_picture(
    norb: Space, objects_of: MakeObjects, captured: Split
) -> None:
    strategy = LearnedHerding()
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


def test_herding_without_features_is_herding(small: Space, objects_of: MakeObjects, captured: Split) -> None:
    shots, history = captured(Shots.every(small, objects_of(2, 2)), np.arange(0, 60, 7))
    ours, plain = (strategy.propose(shots, history, 30, 4) for strategy in (LearnedHerding(), Herding()))
    assert ours.rows.tobytes() == plain.rows.tobytes()


def test_herding_with_the_default_lengths_is_herding(
    small: Space, objects_of: MakeObjects, captured: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    from acqplan.plan.surrogate import Surrogate
    from benchmarks.ideas import learned_herding

    shots, history = captured(Shots.every(small, objects_of(2, 2)), np.arange(0, 60, 7))
    space = from_first_levels(small)
    monkeypatch.setattr(
        learned_herding,
        "fit_surrogate",
        lambda *_, **__: Surrogate(kernel=ShotKernel(lengths=tuple(space.scales.tolist())), n_shots=9),
    )
    ours, plain = (strategy.propose(shots, history, 30, 4) for strategy in (LearnedHerding(), Herding()))
    np.testing.assert_allclose(ours.gain, plain.gain, atol=1e-12)
    assert covering_radius(small, shots.take(ours.rows).coordinates) < 2.0
