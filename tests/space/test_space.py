import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acqplan.errors import SpaceError
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, ViewValue
from acqplan.space.kernel import distances, nearest_views, view_kernel
from tests.space.covering import covering_radius

NORB = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 341, 20))),
        Interval(name="elevation", values=tuple(range(30, 71, 5)), unit="deg"),
        Category(name="lighting", values=("L0", "L1", "L2", "L3", "L4", "L5")),
    )
)
OBJECTS = Objects(names=("car-1", "car-0", "truck-0"), labels=("car", "car", "truck"))


def test_grid_has_every_combination_once() -> None:
    views = NORB.views()
    assert NORB.n_views == len(views) == 972
    assert len(np.unique(views, axis=0)) == 972


def test_views_read_as_written() -> None:
    view: dict[str, ViewValue] = {"azimuth": 40.0, "elevation": 55.0, "lighting": "L2"}
    assert NORB.view(NORB.coordinates(view)) == view


def test_unknown_axis_names_the_nearest() -> None:
    with pytest.raises(SpaceError, match="did you mean 'azimuth'"):
        NORB.index("azimut")


def test_unknown_level_names_the_nearest() -> None:
    with pytest.raises(SpaceError, match="did you mean"):
        NORB.coordinates({"azimuth": 0.0, "elevation": 30.0, "lighting": "L9"})


def test_view_without_an_axis_is_refused() -> None:
    with pytest.raises(SpaceError, match="does not set 'lighting'"):
        NORB.coordinates({"azimuth": 0.0, "elevation": 30.0})


@given(turn=st.integers(0, 17), rows=st.lists(st.integers(0, 971), min_size=2, max_size=9))
def test_distances_and_similarities_do_not_change_when_the_circle_turns(turn: int, rows: list[int]) -> None:
    turned = NORB.turned("azimuth", 20.0 * turn)
    before, after = NORB.views()[rows], turned.views()[rows]
    np.testing.assert_allclose(distances(NORB, before, before), distances(turned, after, after), atol=1e-9)
    np.testing.assert_allclose(view_kernel(NORB, before, before), view_kernel(turned, after, after), atol=1e-9)


def test_the_first_and_last_azimuth_are_neighbours() -> None:
    views = np.array([[0.0, 30.0, 0.0], [340.0, 30.0, 0.0], [180.0, 30.0, 0.0]])
    apart = distances(NORB, views, views)
    assert apart[0, 1] == pytest.approx(20 / 30)
    assert apart[0, 2] == pytest.approx(180 / 30)


@given(rows=st.lists(st.integers(0, 971), min_size=2, max_size=30, unique=True))
def test_view_kernel_is_positive_definite(rows: list[int]) -> None:
    views = NORB.views()[rows]
    similarity = view_kernel(NORB, views, views)
    assert np.linalg.eigvalsh(similarity).min() > -1e-9
    np.testing.assert_allclose(np.diag(similarity), 1.0)


def test_covering_radius_of_everything_is_zero() -> None:
    assert covering_radius(NORB, NORB.views()) == 0.0


def test_digest_tells_spaces_apart() -> None:
    assert NORB.digest() == NORB.turned("azimuth", 0.0).digest()
    assert NORB.digest() != NORB.turned("azimuth", 20.0).digest()
    assert NORB.digest() != Space(axes=NORB.axes, table=NORB.views()[:5]).digest()


def test_levels_turn_with_the_axis() -> None:
    turned = NORB.turned("azimuth", 60.0)
    np.testing.assert_array_equal(NORB.levels(NORB.views()), turned.levels(turned.views()))


def test_canonical_order_forgets_the_order_of_rows_and_the_zero_of_the_circle() -> None:
    shots = Shots.every(NORB, OBJECTS)
    shuffled = shots.take(np.random.default_rng(0).permutation(len(shots)))
    assert shuffled.take(shuffled.canonical_order()).pairs() == shots.take(shots.canonical_order()).pairs()
    turned = Shots.every(NORB.turned("azimuth", 100.0), OBJECTS)
    np.testing.assert_array_equal(turned.canonical_order(), shots.canonical_order())


def test_shots_know_their_objects() -> None:
    shots = Shots.every(NORB, OBJECTS).take([0, 972, 2000])
    assert shots.names == ["car-1", "car-0", "truck-0"]
    assert shots.labels == ["car", "car", "truck"]
    assert shots.class_rows.tolist() == [0, 0, 1]
    assert shots.views()[0] == {"azimuth": 0.0, "elevation": 30.0, "lighting": "L0"}


def test_a_reached_view_belongs_to_the_nearest_allowed_one() -> None:
    reached = np.array([[40.3, 31.0, 2.0], [351.0, 69.0, 0.0]])
    np.testing.assert_array_equal(nearest_views(NORB, reached), [[40, 30, 2], [0, 70, 0]])
    table = Space(axes=NORB.axes, table=np.array([[0.0, 30.0, 2.0], [60.0, 30.0, 2.0]]))
    np.testing.assert_array_equal(nearest_views(table, reached[:1]), [[60, 30, 2]])


def test_narrowing_keeps_the_shots_of_some_objects_and_their_names() -> None:
    shots = Shots.every(NORB, OBJECTS)
    narrow = shots.narrow(np.array([0, 2]))
    assert narrow.objects.names == ("car-1", "truck-0")
    kept = [pair for pair in shots.pairs() if pair[0] != "car-0"]
    assert narrow.pairs() == kept
