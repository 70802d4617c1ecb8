"""Soft errors of objects and of views, and what is believed of them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from acqplan.plan.base import History, Situation
from acqplan.plan.lattice import Lattice
from acqplan.space import Objects, Shots, Space
from benchmarks.ideas.errors_by_view import ErrorMaps, SoftErrors, error_maps, expected_errors, soft_errors

MakeObjects = Callable[..., Objects]
Rule = Callable[[Shots], np.ndarray]


def seen(shots: Shots, errors: np.ndarray) -> History:
    """A history in which each shot's soft error is as given."""
    n_classes = len(shots.objects.classes)
    beliefs = np.repeat((errors / max(n_classes - 1, 1))[:, None], n_classes, axis=1)
    beliefs[np.arange(len(shots)), shots.class_rows] = 1.0 - errors
    return History(shots=shots, beliefs=beliefs.astype(np.float32))


def table(*groups: list[list[float]]) -> SoftErrors:
    """Soft errors of objects, class by class."""
    names = [(f"{label}{number}", label, own) for label, group in zip("abc", groups, strict=False)
             for number, own in enumerate(group)]  # fmt: skip
    return SoftErrors(
        names=tuple(name for name, _, _ in names),
        labels=tuple(label for _, label, _ in names),
        views=tuple(np.arange(len(own)) for _, _, own in names),
        errors=tuple(np.array(own) for _, _, own in names),
    )


def test_soft_errors_by_hand(small: Space, objects_of: MakeObjects) -> None:
    # the second class has one object, which no head knows without: it is not judged
    shots = Shots.every(small, objects_of(2, 1)).take([5, 2, 50, 100])
    found = soft_errors(seen(shots, np.array([0.1, 0.2, 0.7, 0.9])))
    assert found is not None
    assert found.names == ("animal-00", "animal-01")
    assert [own.tolist() for own in found.views] == [[2, 5], [2]]
    np.testing.assert_allclose(found.means, [0.15, 0.7], atol=1e-6)


@pytest.mark.parametrize("rows", [[], [3], [3, 100]])
def test_nothing_is_known_without_two_objects_of_a_class(
    small: Space, objects_of: MakeObjects, rows: list[int]
) -> None:
    shots = Shots.every(small, objects_of(2, 1)).take(rows)
    assert soft_errors(seen(shots, np.full(len(rows), 0.5))) is None
    assert soft_errors(History(shots=shots)) is None


def test_means_are_believed_as_far_as_they_are_no_noise() -> None:
    # by hand: noise .02 a shot, .01 a mean of two; means .1 and .5 differ with variance .08, of which .07 is theirs
    found = expected_errors(table([[0.0, 0.2], [0.4, 0.6]]))
    assert found.reliability == pytest.approx(0.875)
    assert found.of_objects["a0"] == pytest.approx(0.3 - 0.875 * 0.2)
    assert found.of_objects["a1"] == pytest.approx(0.3 + 0.875 * 0.2)
    assert found.of("a7", "a") == found.of("z", "z") == pytest.approx(0.3)


def test_noise_is_not_believed() -> None:
    found = expected_errors(table([[0.1, 0.9], [0.2, 0.8]], [[0.3, 0.7], [0.0, 1.0]]))
    assert found.reliability == 0.0
    assert set(found.of_objects.values()) == {0.5}


def test_with_one_shot_an_object_only_classes_can_differ() -> None:
    found = expected_errors(table([[0.10], [0.12], [0.11]], [[0.80], [0.82], [0.81]]))
    assert found.reliability == 0.0
    assert len(set(found.of_objects.values())) == 2
    assert found.of("a0", "a") == pytest.approx(0.11, abs=0.01)
    assert found.of("b2", "b") == pytest.approx(0.81, abs=0.01)


def test_reliability_is_what_halves_of_the_shots_would_show() -> None:
    draw = np.random.default_rng(0)
    true = draw.normal(0.5, 0.1, 400)
    shots = true[:, None] + draw.normal(0.0, 0.2, (400, 8))
    halves = np.corrcoef(shots[:, ::2].mean(axis=1), shots[:, 1::2].mean(axis=1))[0, 1]
    found = expected_errors(table(shots.tolist()))
    assert found.reliability == pytest.approx(2.0 * halves / (1.0 + halves), abs=0.03)


def low(shots: Shots) -> np.ndarray:
    """Soft errors that are large at low elevations."""
    return np.where(shots.coordinates[:, 1] < 49.0, 0.7, 0.1)


def low_animals(shots: Shots) -> np.ndarray:
    """Animals are difficult from below, cars from above."""
    return np.where((shots.coordinates[:, 1] < 49.0) == (shots.class_rows == 0), 0.7, 0.1)


def objects_alone(shots: Shots) -> np.ndarray:
    """Objects differ, views do not."""
    return 0.1 + 0.1 * shots.object_rows


def lots(shots: Shots) -> np.ndarray:
    """Nothing holds for another object."""
    return np.random.default_rng(0).uniform(0.0, 1.0, len(shots))


def after(space: Space, objects: Objects, rule: Rule, n: int = 240) -> tuple[Shots, History]:
    every = Shots.every(space, objects)
    rows = Lattice().propose(every, History.empty(every), n, 3).rows
    taken = every.take(rows)
    errors, others = rule(taken), max(len(objects.classes) - 1, 1)
    beliefs = np.repeat((errors / others)[:, None], len(objects.classes), axis=1)
    beliefs[np.arange(n), taken.class_rows] = 1.0 - errors
    left = np.setdiff1d(np.arange(len(every)), rows)
    return every.take(left), History(shots=taken, beliefs=beliefs.astype(np.float32))


def maps_of(history: History) -> ErrorMaps:
    found = soft_errors(history)
    assert found is not None
    return error_maps(Situation.of(history.shots, history).space, found, seed=0)


def test_a_map_that_objects_share_is_found(norb: Space, objects_of: MakeObjects) -> None:
    _, history = after(norb, objects_of(4, 4), low)
    maps = maps_of(history)
    assert maps.common_reliability > 0.7
    assert maps.overall == pytest.approx(low(history.shots).mean(), abs=0.05)
    elevation = norb.views()[:, 1]
    assert maps.of("car")[elevation < 45.0].min() > maps.of("car")[elevation > 55.0].max()
    assert maps.of("no such class").tolist() == (maps.overall + maps.common).tolist()


def test_a_map_that_classes_do_not_share_is_found(norb: Space, objects_of: MakeObjects) -> None:
    maps = maps_of(after(norb, objects_of(4, 4), low_animals)[1])
    below = norb.views()[:, 1] < 45.0
    assert maps.own_reliability > 0.7
    assert maps.of("animal")[below].min() > maps.overall > maps.of("car")[below].max()


@pytest.mark.parametrize("rule", [objects_alone, lots])
def test_what_is_no_map_of_views_is_not_believed(rule: Rule, norb: Space, objects_of: MakeObjects) -> None:
    maps = maps_of(after(norb, objects_of(4, 4), rule)[1])
    assert maps.reliability < 0.5
    assert np.ptp(maps.of("animal")) < 0.15
