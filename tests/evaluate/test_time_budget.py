"""As many images as fit into a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from acqplan.errors import BudgetError, UsageError
from acqplan.evaluate.recommend import recommend
from acqplan.evaluate.task import images_in_time
from acqplan.rig.source import LiveSource
from acqplan.rig.spec import Rig
from acqplan.space import Category, Circle, Interval, Objects, Space

SPACE = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 30)), seconds_per_unit=0.05),
        Interval(name="elevation", values=(30.0, 50.0, 70.0), unit="deg", seconds_per_unit=0.1),
        Category(name="lighting", values=("L0", "L1"), seconds_per_change=0.2),
    )
)
OBJECTS = Objects(names=("a-0", "a-1", "b-0", "b-1"), labels=("a", "a", "b", "b"))
SETUP = Rig(source=LiveSource(space=SPACE, objects=OBJECTS), seconds_per_shot=0.4, seconds_per_object=15.0)


def lines(start: float, slope: float) -> Callable[[int], float]:
    return lambda images: start + slope * images


@pytest.mark.parametrize(("limit", "expected"), [(30.0, 10), (31.9, 10), (32.0, 11), (1e9, 500), (14.0, 2)])
def test_the_largest_number_that_fits_is_found(limit: float, expected: int) -> None:
    assert images_in_time(lines(10.0, 2.0), limit, least=2, most=500) == expected


@pytest.mark.parametrize("limit", [12.0, 14.5, 33.3, 120.0, 1000.0, 1020.0])
def test_what_is_found_fits_and_one_more_does_not(limit: float) -> None:
    def seconds(images: int) -> float:
        return 10.0 + images**0.5 + images

    found = images_in_time(seconds, limit, least=1, most=990)
    assert seconds(found) <= limit
    assert found == 990 or seconds(found + 1) > limit


def test_an_even_plan_that_is_quicker_than_smaller_ones_is_found() -> None:
    def seconds(images: int) -> float:
        return images + (0.0 if images % 10 == 0 else 15.0)

    assert images_in_time(seconds, 75.0, least=10, most=200, step=10) == 70
    assert images_in_time(seconds, 95.0, least=10, most=200, step=10) == 90
    assert images_in_time(seconds, 500.0, least=10, most=200, step=10) == 200


def test_plans_that_take_no_time_are_no_trouble() -> None:
    assert images_in_time(lambda images: max(0.0, images - 4.0), 7.5, least=1, most=40) == 11


def test_a_time_below_the_least_is_refused() -> None:
    with pytest.raises(BudgetError, match=r"10 s, but the fewest images that can be planned \(4\) take 18 s"):
        images_in_time(lines(10.0, 2.0), 10.0, least=4, most=9)


@pytest.mark.parametrize("strategy", ["auto", "even", "random-shots"])
def test_a_plan_fits_and_one_more_image_would_not(strategy: str) -> None:
    plan = recommend(SETUP, time_budget=150.0, strategy=strategy).plan
    assert plan.route_seconds is not None
    assert plan.route_seconds <= 150.0
    more = recommend(SETUP, plan.budget + 1, strategy=strategy).plan
    assert more.route_seconds is not None
    assert more.route_seconds > 150.0 or plan.budget == 288
    assert recommend(SETUP, plan.budget, strategy=strategy).plan.to_csv() == plan.to_csv()


def test_the_smaller_of_both_budgets_counts() -> None:
    assert recommend(SETUP, 20, time_budget=3600.0).plan.budget == 20
    assert recommend(SETUP, 280, time_budget=100.0).plan.budget < 280
    assert recommend(SETUP, time_budget=1e6).plan.budget == 288


def test_no_budget_and_a_time_on_a_rig_without_times_are_refused() -> None:
    with pytest.raises(UsageError, match="neither a budget"):
        recommend(SETUP)
    timeless = Rig(source=LiveSource(space=Space(axes=(Circle(name="azimuth", values=(0, 90)),)), objects=OBJECTS))
    with pytest.raises(UsageError, match=r"rig\.toml does not say how long anything takes; give seconds_per_unit"):
        recommend(timeless, time_budget=60.0)


@pytest.mark.parametrize("seconds", [0.0, -5.0, float("nan"), float("inf")])
def test_a_time_that_cannot_be_is_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="give a time above zero"):
        recommend(SETUP, time_budget=seconds)
