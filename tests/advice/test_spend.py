"""What images, hours and money buy: sums add up, objects are as even as may be, and what cannot be meant is refused."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from acqplan.advice.spend import Captured, Costs, Outlay
from acqplan.errors import UsageError
from acqplan.plan.route import Times
from acqplan.space import Circle, Objects, Shots, Space

PILOT = Captured(classes=3, objects=4.0, shots=8.0, views=50)
RING = Space(axes=(Circle(name="azimuth", values=tuple(range(0, 360, 30)), seconds_per_unit=0.1),))


def test_new_objects_are_filled_up_to_the_old_ones_and_all_of_them_further() -> None:
    few = PILOT.purchase(Costs(), 2, 8.0)  # 4 images of each new one: less than the 8 of the old
    assert few.design[0] == pytest.approx(40.0**2 / (4 * 64 + 2 * 16))
    assert few.design[0] * few.design[1] == pytest.approx(40.0)
    assert few.design[0] < 6.0
    many = PILOT.purchase(Costs(), 2, 28.0)
    assert many.design == pytest.approx((6.0, 10.0))
    assert PILOT.purchase(Costs(), 0, 8.0).design == pytest.approx((4.0, 10.0))


@given(some.floats(10, 5000), some.floats(0.0, 5), some.floats(0, 200))
def test_nothing_costs_more_than_the_sum_or_takes_more_views_than_there_are(
    spent: float, image: float, one: float
) -> None:
    if image == 0.0 and one == 0.0:
        return
    for purchase in PILOT.purchases(Costs(image=image, object=one), spent):
        assert purchase.cost <= spent * (1 + 1e-9)
        assert purchase.images >= max(purchase.objects, 1)
        assert purchase.images <= PILOT.room(purchase.objects) + 1e-9
        assert purchase.cost == pytest.approx(3 * (purchase.images * image + purchase.objects * one))


def test_hours_are_those_of_the_rig() -> None:
    objects = Objects(names=("a-0", "a-1"), labels=("a", "a"))
    shots = Shots.every(RING, objects)  # 12 views of each, 3 s apart, and the 3 s back that a full turn takes
    costs, spent = Outlay(seconds=7200.0).priced(shots, Times(per_shot=1.0, per_object=36.0))
    assert (spent, costs.unit) == (2.0, "hours")
    assert costs.object == pytest.approx(0.01)
    assert costs.image * 3600.0 == pytest.approx((24 * 1.0 + 22 * 3.0) / 24, abs=0.15)


@pytest.mark.parametrize(
    "wrong",
    [
        {"images": 5, "money": 3.0, "image_cost": 1.0},
        {"images": 0},
        {"seconds": math.inf},
        {"money": 10.0},
        {"images": 10, "object_cost": 2.0},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Outlay(**wrong)
    with pytest.raises(UsageError, match="costs"):
        Costs(image=0.0)
    still = Space(axes=(Circle(name="azimuth", values=(0.0, 90.0)),))
    shots = Shots.every(still, Objects(names=("a",), labels=("a",)))
    with pytest.raises(UsageError, match="how long"):
        Outlay(seconds=10.0).priced(shots, Times())
    assert np.isclose(Costs().image, 1.0)
