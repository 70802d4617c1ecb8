"""Situations: views by number, and columns of distances and similarities."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from acqplan.plan.base import History, Situation, from_first_levels
from acqplan.plan.greedy import gaps
from acqplan.space import Circle, Interval, Objects, Shots, Space
from acqplan.space import kernel as pairs
from acqplan.space.kernel import distances

MakeObjects = Callable[..., Objects]


def test_a_table_of_all_combinations_is_a_grid(small: Space) -> None:
    table = np.random.default_rng(0).permutation(small.views())
    assert from_first_levels(Space(axes=small.axes, table=table)).is_grid


def test_a_table_with_a_hole_stays_a_table(small: Space) -> None:
    space = from_first_levels(Space(axes=small.axes, table=small.views()[1:]))
    assert space.table is not None
    assert space.n_views == small.n_views - 1


def test_every_candidate_is_found_again_by_its_number(photographs: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(photographs, objects_of(2, 1)).take(np.random.default_rng(2).permutation(75)[:50])
    situation = Situation.of(shots, History.empty(shots))
    rows = np.concatenate(situation.rows)
    views = situation.views[np.concatenate(situation.free)]
    found = [situation.names.index(name) for name in shots.take(rows).names]
    assert sorted(rows.tolist()) == list(range(50))
    assert found == [number for number, free in enumerate(situation.free) for _ in free]
    np.testing.assert_allclose(views + np.array([0.0, 22.0]), shots.coordinates[rows])  # the first levels


@pytest.mark.parametrize("kind", ["small", "photographs"])
def test_a_capture_beside_its_view_counts_as_that_view(
    kind: str, request: pytest.FixtureRequest, objects_of: MakeObjects
) -> None:
    space = request.getfixturevalue(kind)
    shots = Shots.every(space, objects_of(1))
    reached = shots.take([7])
    beside = reached.coordinates + np.array([0.3] + [0.0] * (len(space.axes) - 1))
    missed = Shots(space=space, objects=shots.objects, object_rows=reached.object_rows, coordinates=beside)
    exact = Situation.of(shots, History(shots=reached)).taken[0]
    assert Situation.of(shots, History(shots=missed)).taken[0].tolist() == exact.tolist()


@pytest.mark.parametrize("kind", ["norb", "photographs"])
def test_large_spaces_get_the_same_columns_without_a_matrix(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = from_first_levels(request.getfixturevalue(kind))
    expected = [pairs.distance_columns(space)(11), pairs.Similarity(space).column(11), pairs.Similarity(space).mean()]
    monkeypatch.setattr(pairs, "LARGEST_MATRIX", 1)
    monkeypatch.setattr(pairs, "SAMPLED_VIEWS", space.n_views)
    found = [pairs.distance_columns(space)(11), pairs.Similarity(space).column(11), pairs.Similarity(space).mean()]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", ["norb", "small", "photographs"])
def test_no_two_views_are_farther_apart_than_the_diameter(kind: str, request: pytest.FixtureRequest) -> None:
    space = from_first_levels(request.getfixturevalue(kind))
    assert distances(space, space.views(), space.views()).max() <= pairs.diameter(space) + 1e-12


def test_gaps_are_told_in_words(small: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(small, objects_of(1))
    situation = Situation.of(shots, History.empty(shots))
    # 12 azimuths x 2 elevations x 2 lightings: numbers of (0, 10, dim), (0, 10, bright), (90, 10, dim), (120, 40, dim)
    words = [gap.words for gap in gaps(situation, 0, np.array([0, 1, 12, 18]))]
    assert words == [
        "first view of animal-00",
        "another lighting",
        "fills a gap of 90 degrees",
        "fills a gap of 42 degrees",
    ]


def test_gaps_of_other_units_are_told_by_axis(objects_of: MakeObjects) -> None:
    axes = (
        Circle(name="turn", values=(0.0, 1.0, 2.0), unit="steps", period=4.0),
        Interval(name="lift", values=(0.0, 5.0), unit="mm"),
    )
    shots = Shots.every(Space(axes=axes), objects_of(1))
    situation = Situation.of(shots, History.empty(shots))
    assert gaps(situation, 0, np.array([0, 3]))[1].words == "fills a gap of 1 steps of turn and 5 mm of lift"


def test_gaps_do_not_depend_on_blocks(norb: Space, objects_of: MakeObjects, monkeypatch: pytest.MonkeyPatch) -> None:
    shots = Shots.every(norb, objects_of(1))
    situation = Situation.of(shots.take(np.arange(100, 972)), History(shots=shots.take(np.arange(100))))
    views = np.random.default_rng(0).permutation(np.arange(100, 972))[:60]
    expected = [gap.distance for gap in gaps(situation, 0, views)]
    monkeypatch.setattr("acqplan.plan.greedy.BLOCK", 7)
    assert [gap.distance for gap in gaps(situation, 0, views)] == expected
