"""Factorial grids: the thesis' names, smallest covering radius, and the designs made of them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
import pytest

from acqplan.plan.base import Choice, History, from_first_levels
from acqplan.plan.designs import (
    Even,
    EvenStaggered,
    RandomSets,
    axey_name,
    even_factorial,
    shifted,
    staggered_factorial,
)
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, parse_values
from tests.space.covering import covering_radius

MakeObjects = Callable[..., Objects]


def every(step: int, count: int) -> tuple[int, ...]:
    return tuple(range(0, count, step))


@pytest.mark.parametrize(
    ("azimuth", "elevation", "name", "n_images"),
    [
        (1, 1, "A20E5", 24_300),
        (1, 2, "A20E10", 13_500),
        (1, 3, "A20E15", 8_100),
        (2, 1, "A40E5", 12_150),
        (2, 3, "A40E15", 4_050),
        (3, 1, "A60E5", 8_100),
        (3, 3, "A60E15", 2_700),
        (6, 3, "A120E15", 1_350),
    ],
)
def test_sets_of_the_thesis_have_its_names_and_sizes(
    azimuth: int, elevation: int, name: str, n_images: int, norb: Space
) -> None:
    levels = (every(azimuth, 18), every(elevation, 9), every(1, 6))
    assert axey_name(norb, levels) == name
    assert np.prod([len(own) for own in levels]) * 25 == n_images


def test_names_of_odd_grids(norb: Space) -> None:
    assert axey_name(norb, (every(18, 18), (4,), every(1, 6))) == "A360Emid"
    assert axey_name(norb, (every(9, 18), (0, 1, 5), every(1, 6))) == "A180E(3)"
    twins = Space(axes=(Interval(name="lift", values=(0.0, 1.0)), Interval(name="length", values=(0.0, 2.0))))
    assert axey_name(twins, ((0, 1), (0, 1))) == "Lift1Length2"
    assert axey_name(Space(axes=(Category(name="light", values=("a", "b")),)), ((0, 1),)) == "categories"


@pytest.mark.parametrize("size", [6, 12, 30, 97, 162, 324, 500, 972])
def test_the_even_grid_covers_best_among_those_that_fit(size: int, norb: Space) -> None:
    found = even_factorial(norb, size)
    poses = Space(axes=norb.axes[:2])
    azimuths = [every(18 // count, 18) for count in range(1, 19) if 18 % count == 0]
    elevations = [*(every(step, 9) for step in range(1, 9)), (4,)]
    best = min(
        (round(covering_radius(poses, grid_of(poses, levels)), 9), -len(levels[0]) * len(levels[1]))
        for levels in product(azimuths, elevations)
        if len(levels[0]) * len(levels[1]) * 6 <= size
    )
    radius = round(covering_radius(poses, grid_of(poses, found.levels[:2])), 9)
    assert (radius, -found.size // 6) == best
    assert found.radius == pytest.approx(radius)
    assert found.levels[2] == every(1, 6)


def grid_of(space: Space, levels: tuple[tuple[int, ...], ...]) -> np.ndarray:
    numbers = np.ravel_multi_index(tuple(np.meshgrid(*levels, indexing="ij")), space.shape).ravel()
    return space.views()[numbers]


@pytest.mark.parametrize(("size", "n_lights"), [(1, 1), (2, 2), (5, 5)])
def test_too_few_images_for_all_lights_take_fewer(size: int, n_lights: int, norb: Space) -> None:
    assert [len(own) for own in even_factorial(norb, size).levels] == [1, 1, n_lights]


@pytest.mark.parametrize("size", [1, 7, 20, 48])
def test_the_staggered_grid_covers_best_with_categories(size: int, small: Space) -> None:
    found = staggered_factorial(small, size)
    options = [[shifted(axis, count, 0.5) for count in range(1, len(axis.values) + 1)] for axis in small.axes]
    best = min(
        covering_radius(small, grid_of(small, levels))
        for levels in product(*options)
        if np.prod([len(own) for own in levels]) <= size
    )
    assert found.size <= size
    assert covering_radius(small, grid_of(small, found.levels)) == pytest.approx(best)
    assert found.radius == pytest.approx(best)


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("n_levels", range(1, 10))
def test_shifting_keeps_the_number_of_levels(norb: Space, n_levels: int, fraction: float) -> None:
    assert len(shifted(norb.axes[1], n_levels, fraction)) == n_levels
    assert len(shifted(norb.axes[0], n_levels, fraction)) == n_levels


def views_of_each(shots: Shots, choice: Choice) -> dict[str, set[tuple[float, ...]]]:
    views: dict[str, set[tuple[float, ...]]] = {name: set() for name in shots.objects.names}
    for name, view in shots.take(choice.rows).pairs():
        views[name].add(view)
    return views


@pytest.mark.parametrize("strategy", [Even(), RandomSets()])
@pytest.mark.parametrize("kind", ["norb", "photographs"])
def test_the_thesis_takes_the_same_views_of_every_object(
    strategy: Even | RandomSets, kind: str, request: pytest.FixtureRequest, objects_of: MakeObjects
) -> None:
    shots = Shots.every(request.getfixturevalue(kind), objects_of(2, 2))
    views = views_of_each(shots, strategy.propose(shots, History.empty(shots), 60, 3))
    assert len({frozenset(own) for own in views.values()}) == 1


def test_random_sets_have_the_shape_of_the_even_one(norb: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(norb, objects_of(3, 3))
    even, random = (rule.propose(shots, History.empty(shots), 700, 1) for rule in (Even(), RandomSets()))
    for column in range(3):
        levels = [norb.levels(shots.take(choice.rows).coordinates)[:, column] for choice in (even, random)]
        assert len(np.unique(levels[0])) == len(np.unique(levels[1]))
    assert len(even.rows) == len(random.rows)


def test_the_main_job_has_a_known_opponent(norb: Space, objects_of: MakeObjects) -> None:
    # 2,430 images of 25 objects leave 16 poses of each; six azimuths and two elevations cover best
    shots = Shots.every(norb, objects_of(5, 5, 5, 5, 5))
    choice = Even().propose(shots, History.empty(shots), 2_430, 0)
    assert len(choice.rows) == 25 * 6 * 2 * 6
    assert set(choice.reason) == {"grid A60E25, the same for every object"}


def test_captures_count_towards_the_even_grid(
    norb: Space, objects_of: MakeObjects, captured: Callable[..., tuple[Shots, History]]
) -> None:
    shots = Shots.every(norb, objects_of(2))
    whole = Even().propose(shots, History.empty(shots), 200, 0)
    rest, history = captured(shots, whole.rows[:50])
    more = Even().propose(rest, history, 150, 0)
    together = set(history.shots.pairs()) | set(rest.take(more.rows).pairs())
    assert together == set(shots.take(whole.rows).pairs())


@pytest.mark.parametrize("kind", ["norb", "photographs"])
def test_staggering_gives_every_object_of_a_class_other_views(
    kind: str, request: pytest.FixtureRequest, objects_of: MakeObjects
) -> None:
    shots = Shots.every(request.getfixturevalue(kind), objects_of(5))
    views = list(views_of_each(shots, EvenStaggered().propose(shots, History.empty(shots), 35, 0)).values())
    assert len({frozenset(own) for own in views}) == 5
    assert len(set().union(*views)) >= 18


def test_levels_of_a_descending_or_uneven_axis_are_sorted_out() -> None:
    space = Space(
        axes=(
            Circle(name="azimuth", values=(90.0, 0.0, 180.0, 270.0)),
            Interval(name="elevation", values=parse_values("70:30:-20"), unit="deg"),
        )
    )
    counted = from_first_levels(space)
    assert counted.axes[0].values == (0.0, 90.0, 180.0, 270.0)
    assert counted.axes[1].values == (-40.0, -20.0, 0.0)
