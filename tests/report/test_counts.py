import numpy as np
import pytest

from acqplan.numbers import printable
from acqplan.plan.plan import Plan
from acqplan.report.counts import cut, object_counts, picture_axes, positions
from acqplan.report.plot.curves import spread
from acqplan.report.plot.style import DARK, LIGHT, heat_step, strategy_colours
from acqplan.space import Category, Circle, Interval, Space


def test_every_shot_is_counted_once(any_plan: Plan) -> None:
    assert positions(any_plan.shots)[1].sum() == len(any_plan)
    assert object_counts(any_plan.shots).sum() == len(any_plan)
    for column, axis in enumerate(any_plan.shots.space.axes):
        assert cut(axis, any_plan.shots.coordinates[:, column], most=18).count().sum() == len(any_plan)


@pytest.mark.parametrize("most", [1, 2, 5, 7, 12, 18])
@pytest.mark.parametrize(
    "axis",
    [
        Circle(name="azimuth", values=tuple(np.linspace(0, 355, 72))),
        Circle(name="prime", values=tuple(np.arange(19) * 360 / 19)),
        Circle(name="odd", values=tuple(np.arange(19.0) ** 2)),
        Interval(name="squares", values=tuple(np.arange(23.0) ** 2 - 17.3)),
        Interval(name="height", values=tuple(np.linspace(-0.013, 0.9, 77))),
        Interval(name="far", values=tuple(np.linspace(1e6, 1.7e6, 40))),
    ],
    ids=lambda axis: axis.name,
)
def test_bins_are_few_of_one_width_and_hold_what_their_labels_say(axis: Circle | Interval, most: int) -> None:
    bins = cut(axis, axis.codes(), most=most)
    assert len(bins) <= most
    assert bins.width > 0
    for code, row in zip(axis.codes(), bins.rows, strict=True):
        low, high = (float(end) for end in bins.labels[row].split("–"))
        rounding = 1e-5 * max(abs(low), abs(high))  # labels have six digits
        assert low - rounding <= code <= high + rounding


def test_bins_of_regular_levels_hold_equally_many() -> None:
    azimuth = Circle(name="azimuth", values=tuple(range(0, 360, 20)))
    elevation = Interval(name="elevation", values=tuple(range(0, 90, 3)))
    assert cut(azimuth, azimuth.codes(), most=17).count().tolist() == [2] * 9
    assert cut(elevation, elevation.codes(), most=12).count().tolist() == [3] * 10


def test_few_levels_have_a_bin_each_in_ascending_order() -> None:
    axis = Circle(name="azimuth", values=(350.0, 0.0, -20.0))
    bins = cut(axis, np.array([0.0, 350.0, 340.0, 359.9]), most=18)
    assert bins.labels == ("0", "340", "350")
    assert bins.rows.tolist() == [0, 2, 1, 0]


def test_picture_prefers_a_circle_across_and_a_number_down() -> None:
    lamp, height = Category(name="lamp", values=("a", "b")), Interval(name="height", values=(1.0, 2.0))
    azimuth = Circle(name="azimuth", values=(0.0, 90.0))
    assert picture_axes(Space(axes=(lamp, height, azimuth))) == (2, 1)
    assert picture_axes(Space(axes=(lamp, height))) == (1, 0)
    assert picture_axes(Space(axes=(azimuth, lamp))) == (0, 1)
    assert picture_axes(Space(axes=(lamp,))) == (0, None)


def test_turning_the_space_turns_the_counts(toy_plan: Plan) -> None:
    shots = toy_plan.shots
    bins = cut(shots.space.axes[0], shots.coordinates[:, 0], most=18)
    turned = cut(shots.space.axes[0], (shots.coordinates[:, 0] + 40) % 360, most=18)
    assert np.roll(bins.count(), 2).tolist() == turned.count().tolist()


@pytest.mark.parametrize("places", [[0.5], [0.5, 0.5, 0.5], [0.9, 0.1], [0.2, 0.25, 0.6, 0.62, 0.64, 0.9], [1.0] * 7])
def test_labels_are_spread_in_order_and_around_where_they_belong(places: list[float]) -> None:
    placed = spread(places, gap=0.1)
    ordered = np.sort(placed)
    assert (np.diff(ordered) >= 0.1 - 1e-9).all()
    assert np.mean(placed) == pytest.approx(np.mean(places))
    assert [placed[row] for row in np.argsort(places, kind="stable")] == ordered.tolist()


def test_colours_are_distinct_so_that_the_page_can_swap_them() -> None:
    for theme in (LIGHT, DARK):
        assert len(set(theme.values())) == len(theme)
    assert LIGHT.keys() == DARK.keys()
    assert set(strategy_colours(["even", "auto", "x"], "auto").values()) <= LIGHT.keys()
    assert [heat_step(count, 10) for count in (1, 2, 3, 5, 9, 10)] == [0, 0, 1, 2, 4, 4]


def test_control_characters_do_not_reach_the_reader() -> None:
    assert printable("car\x1b[2J\n") == "car\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}"
