"""Terms: what a store keeps of a rig is what the rig is."""

import json
import math
import subprocess
import sys
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acqplan.campaign.settings import CampaignSettings
from acqplan.errors import SpaceError, UsageError
from acqplan.plan.route import travel_seconds
from acqplan.rig.source import LiveSource
from acqplan.rig.spec import Rig
from acqplan.space import Axis, Circle, Interval, Objects
from tests.campaign.spaces import TERMS, all_terms


@given(all_terms())
def test_json_and_back(settings: CampaignSettings) -> None:
    assert CampaignSettings.from_dict(json.loads(json.dumps(settings.to_dict()))) == settings


@given(all_terms())
def test_a_space_of_terms_has_these_terms(settings: CampaignSettings) -> None:
    objects = Objects(names=tuple(settings.objects), labels=tuple(settings.objects.values()))
    again = CampaignSettings.of(Rig(source=LiveSource(space=settings.space(), objects=objects)))
    assert [axis.name for axis in again.axes] == list(settings.names)
    assert again.space().digest() == settings.space().digest()
    assert dict(again.objects) == dict(settings.objects)


def settings_of(axis: Axis) -> st.SearchStrategy[Any]:
    return st.sampled_from(axis.values) if axis.kind == "category" else st.floats(-720.0, 720.0)


@given(all_terms(), st.data())
def test_seconds_between_two_shots_are_those_of_a_route(settings: CampaignSettings, data: st.DataObject) -> None:
    views = [tuple(axis.read(data.draw(settings_of(axis))) for axis in settings.axes) for _ in range(2)]
    space = settings.space()
    rows = [space.coordinates(dict(zip(settings.names, view, strict=True)))[None, :] for view in views]
    found = settings.seconds_between(("a", views[0]), ("a", views[1])) - settings.seconds_per_shot
    assert found == pytest.approx(float(travel_seconds(space, *rows)[0]), abs=1e-6)


def test_changing_the_object_takes_its_time_and_the_first_shot_none() -> None:
    a, b = (0.0, 30.0, "L0"), (300.0, 50.0, "L1")
    assert TERMS.seconds_between(("car-00", a), ("car-00", a)) == pytest.approx(0.4)
    assert TERMS.seconds_between(("car-00", a), ("car-01", b)) == pytest.approx(60 * 0.05 + 20 * 0.1 + 0.2 + 3.0 + 0.4)
    assert TERMS.seconds_between(None, ("car-01", b)) == 0.4


def test_what_is_not_said_was_reached_as_commanded() -> None:
    view = (60.0, 50.0, "L1")
    assert TERMS.reached(view, {}) == view
    assert TERMS.reached(view, {"azimuth": "-0.5"}) == (359.5, 50.0, "L1")
    assert TERMS.reached(view, {"elevation": 51, "lighting": "L0"}) == (60.0, 51.0, "L0")


@pytest.mark.parametrize("value", [np.float32(12.5), np.array(12.5), Decimal("12.5"), " 12.5 "])
def test_numbers_of_any_library_can_have_been_reached(value: object) -> None:
    assert TERMS.reached((60.0, 50.0, "L1"), {"azimuth": value, "lighting": np.str_("L0")}) == (12.5, 50.0, "L0")
    assert TERMS.reached((60.0, 50.0, "L1"), {"azimuth": np.int64(-360)}) == (0.0, 50.0, "L1")


def test_what_an_axis_commands_can_be_reached() -> None:
    axes = (Interval(name="roll", values=(0.0, 720.0), unit="deg"), Circle(name="hour", values=(23.0,), period=24.0))
    terms = CampaignSettings(rig="live", axes=(*axes, Interval(name="mm", values=(9.0,))), objects={"a": "b"})
    assert terms.reached((0.0, 23.0, 9.0), {"roll": 720, "hour": -1, "mm": 4000}) == (720.0, 23.0, 4000.0)
    for name, value in (("roll", 721), ("hour", 25), ("mm", 1e16)):
        with pytest.raises(SpaceError):
            terms.reached((0.0, 23.0, 9.0), {name: value})


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ({"azimut": 3.0}, "no axis is called 'azimut'; did you mean 'azimuth'"),
        ({"azimuth": "left"}, "'left' is not a number; give deg"),
        ({"azimuth": math.nan}, "is not a number"),
        ({"elevation": math.inf}, "is not finite"),
        ({"elevation": "inf"}, "'inf' is not finite"),
        ({"elevation": 1e308}, "'1e+308' is more than a full turn; give degrees from -360 to 360"),
        ({"azimuth": 725}, "'725' is more than a full turn; give degrees from -360 to 360"),
        ({"azimuth": "1e308"}, "is more than a full turn"),
        ({"azimuth": True}, "'True' is not a number"),
        ({"azimuth": np.True_}, "'True' is not a number"),
        ({"azimuth": "١٢"}, "'١٢' is not a number"),
        ({"azimuth": "1_2"}, "'1_2' is not a number"),
        ({"azimuth": b"12"}, "is not a number"),
        ({"azimuth": 10**400}, "is not a number"),
        ({"azimuth": 10**5000}, "a value of type int is not a number"),
        ({"azimuth": np.zeros(2)}, "is not a number"),
        ({"azimuth": 3j}, "is not a number"),
        ({"lighting": np.zeros(2)}, "has no level"),
        ({"lighting": b"L1"}, "has no level"),
        ({"elevation": None}, "'None' is not a number"),
        ({"lighting": "L9"}, "axis 'lighting' has no level 'L9'"),
        ({"lighting": 0}, "has no level '0'"),
    ],
)
def test_what_cannot_have_been_reached_is_refused(said: dict[str, object], complaint: str) -> None:
    with pytest.raises(SpaceError) as refused:
        TERMS.reached((60.0, 50.0, "L1"), said)
    assert complaint in str(refused.value)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"objects": {}}, "without objects"),
        ({"lease_seconds": 0.0}, "a lease of 0 seconds"),
        ({"lease_seconds": math.inf}, "a lease of inf seconds"),
        ({"most_tries": 0}, "0 tries"),
        ({"failure_limit": 0.0}, "a failure limit of 0"),
        ({"failure_limit": 1.1}, "a failure limit of 1.1"),
    ],
)
def test_terms_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        CampaignSettings(**{"rig": "live", "axes": TERMS.axes, "objects": TERMS.objects, **wrong})


def test_the_ways_round_a_circle_are_equal() -> None:
    apart = TERMS.axes[0].apart
    assert apart(350.0, 10.0) == apart(10.0, 350.0) == pytest.approx(20.0)
    assert np.isclose(apart(0.0, 180.0), 180.0)


def test_settings_and_their_axes_load_no_numpy() -> None:
    code = (
        "import sys\n"
        "import acqplan.space.axes, acqplan.campaign.settings\n"
        "from acqplan.space import Circle\n"
        "assert Circle(name='azimuth', values=(0.0, 350.0)).apart(350.0, 0.0) == 10.0\n"
        "assert 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
