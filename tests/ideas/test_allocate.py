"""Soft errors, what is believed of them, and the totals that follow them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from acqplan.errors import StrategyError
from acqplan.plan.base import Choice, History, check_choice
from acqplan.plan.lattice import Lattice
from acqplan.space import Objects, Shots, Space
from benchmarks.ideas import Allocate

MakeObjects = Callable[..., Objects]


def seen(shots: Shots, errors: np.ndarray) -> History:
    """A history in which each shot's soft error is as given."""
    n_classes = len(shots.objects.classes)
    beliefs = np.repeat((errors / max(n_classes - 1, 1))[:, None], n_classes, axis=1)
    beliefs[np.arange(len(shots)), shots.class_rows] = 1.0 - errors
    return History(shots=shots, beliefs=beliefs.astype(np.float32))


def after_lattice(space: Space, objects: Objects, n: int, of_object: np.ndarray) -> tuple[Shots, History]:
    """What is left after a first round of the lattice, with the same soft error in all shots of an object."""
    every = Shots.every(space, objects)
    rows = Lattice().propose(every, History.empty(every), n, 3).rows
    taken = every.take(rows)
    wobble = np.tile([-0.01, 0.01], n)[:n]
    left = np.setdiff1d(np.arange(len(every)), rows)
    return every.take(left), seen(taken, np.clip(of_object[taken.object_rows] + wobble, 0.0, 1.0))


def totals(history: History, shots: Shots, choice: Choice) -> list[int]:
    both = history.shots.join(shots.take(choice.rows))
    return np.bincount(both.object_rows, minlength=len(shots.objects)).tolist()


@pytest.mark.parametrize("wrong", [np.full((2, 2), np.nan), np.full((2, 2), 3.0), np.zeros((2, 1)), np.zeros((1, 2))])
def test_beliefs_that_are_none_are_refused(small: Space, objects_of: MakeObjects, wrong: np.ndarray) -> None:
    shots = Shots.every(small, objects_of(2, 1))
    history = History(shots=shots.take([0, 50]), beliefs=wrong.astype(np.float32))
    with pytest.raises(StrategyError, match="beliefs"):
        Allocate().propose(shots.take(np.arange(100, 140)), history, 1, 0)


def test_more_shots_of_what_is_wrong(small: Space, objects_of: MakeObjects) -> None:
    errors = np.array([0.1, 0.1, 0.1, 0.2, 0.2, 0.8])
    shots, history = after_lattice(small, objects_of(3, 3), 36, errors)
    choice = check_choice(Allocate().propose(shots, history, 36, 3), shots, 36, strategy=Allocate())
    found = totals(history, shots, choice)
    assert found[5] > found[3] > found[0]
    assert sum(found) == 72
    assert min(found) >= 6
    assert max(found) <= 24
    # half of each total is the equal share, half in proportion to the errors
    np.testing.assert_allclose(found, 6.0 + 36.0 * errors / errors.sum(), atol=1.5)
    assert all(reason.startswith("errors known to 9") or "100%" in reason for reason in choice.reason)


@pytest.mark.parametrize("kind", ["small", "photographs"])
def test_equal_errors_give_the_views_of_equal_shares(
    kind: str, request: pytest.FixtureRequest, objects_of: MakeObjects
) -> None:
    shots, history = after_lattice(request.getfixturevalue(kind), objects_of(3, 2), 20, np.full(5, 0.4))
    history = seen(history.shots, np.full(20, 0.4))
    ours, plain = (rule.propose(shots, history, 23, 5) for rule in (Allocate(), Lattice()))
    assert set(ours.rows.tolist()) == set(plain.rows.tolist())


def test_a_pilot_is_not_enough(small: Space, objects_of: MakeObjects) -> None:
    shots, history = after_lattice(small, objects_of(3, 3), 12, np.array([0.1, 0.1, 0.1, 0.2, 0.2, 0.8]))
    ours, plain = (rule.propose(shots, history, 48, 5) for rule in (Allocate(), Lattice()))
    assert ours.rows.tobytes() == plain.rows.tobytes()


def test_order_of_rows_does_not_matter(small: Space, objects_of: MakeObjects) -> None:
    errors = np.array([0.1, 0.3, 0.2, 0.5, 0.9])
    shots, history = after_lattice(small, objects_of(2, 3), 30, errors)
    back = np.random.default_rng(0).permutation(len(shots)), np.random.default_rng(1).permutation(30)
    assert history.beliefs is not None
    mixed = replace(history, shots=history.shots.take(back[1]), beliefs=history.beliefs[back[1]])
    one, other = Allocate().propose(shots, history, 30, 2), Allocate().propose(shots.take(back[0]), mixed, 30, 2)
    assert back[0][other.rows].tolist() == one.rows.tolist()


@pytest.mark.parametrize(
    "wrong", [{"tilt": 1.1}, {"floor": -0.1}, {"ceiling": 0.9}, {"power": -1.0}, {"pilot": 2.0}, {"power": np.nan}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(StrategyError, match="allocate"):
        Allocate(**wrong)  # type: ignore[arg-type]
