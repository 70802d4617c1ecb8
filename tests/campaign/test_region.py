"""Regions: what operators write, and which shots lie in them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acqplan.campaign.settings import Region
from acqplan.errors import SpaceError
from tests.campaign.spaces import AZIMUTH, ELEVATION, LIGHTING, TERMS

NAMES = sorted(TERMS.objects)
azimuths, elevations = st.floats(0.0, 359.99), st.floats(0.0, 90.0)
degrees = st.integers(0, 359)


def holds(text: str, name: str = "car-00", azimuth: float = 0.0, elevation: float = 30.0, lighting: str = "L0") -> bool:
    view = {"azimuth": azimuth, "elevation": elevation, "lighting": lighting}
    return bool(Region.parse(text, TERMS).holds(name, TERMS.objects[name], view))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("elevation>65", {"elevation": 70.0}, {"elevation": 65.0}),
        ("elevation >= 65", {"elevation": 65.0}, {"elevation": 64.9}),
        ("elevation<30.5", {"elevation": 30.0}, {"elevation": 30.5}),
        ("elevation<=30", {"elevation": 30.0}, {"elevation": 30.1}),
        ("elevation in 40..60", {"elevation": 40.0}, {"elevation": 61.0}),
        ("azimuth=420", {"azimuth": 60.0}, {"azimuth": 0.0}),
        ("azimuth>180", {"azimuth": 240.0}, {"azimuth": 0.0}),
        ("azimuth in 350..10", {"azimuth": 355.0}, {"azimuth": 11.0}),
        ("azimuth in -10..10", {"azimuth": 355.0}, {"azimuth": 349.0}),
        ("azimuth in 10..350", {"azimuth": 180.0}, {"azimuth": 0.0}),
        ("lighting=L1", {"lighting": "L1"}, {"lighting": "L0"}),
        ("lighting!=L1", {"lighting": "L0"}, {"lighting": "L1"}),
        ("object=car-01", {"name": "car-01"}, {"name": "car-00"}),
        ("label=truck", {"name": "truck-00"}, {"name": "car-00"}),
        ("label != truck", {"name": "car-00"}, {"name": "truck-00"}),
        ("elevation>40 and lighting=L1", {"elevation": 50.0, "lighting": "L1"}, {"elevation": 50.0, "lighting": "L0"}),
        ("elevation>40, label=car", {"elevation": 50.0}, {"elevation": 50.0, "name": "truck-00"}),
        ("elevation>40 && azimuth<90", {"elevation": 50.0, "azimuth": 60.0}, {"elevation": 50.0, "azimuth": 120.0}),
    ],
)
def test_a_region_holds_what_it_says(text: str, inside: dict[str, object], outside: dict[str, object]) -> None:
    assert holds(text, **inside)  # type: ignore[arg-type]
    assert not holds(text, **outside)  # type: ignore[arg-type]


@given(degrees, degrees, azimuths)
def test_an_arc_and_the_arc_back_are_the_whole_circle(low: int, high: int, azimuth: float) -> None:
    forth, back = (holds(f"azimuth in {a}..{b}", azimuth=azimuth) for a, b in ((low, high), (high, low)))
    on_an_end = any(abs((azimuth - end + 180.0) % 360.0 - 180.0) < 1e-9 for end in (low, high))
    if low != high and not on_an_end:
        assert forth != back


@given(azimuths, st.integers(-2, 2), st.integers(-2, 2))
def test_arcs_may_be_written_with_any_turns(azimuth: float, before: int, behind: int) -> None:
    text = f"azimuth in {300 + 360 * before}..{300 + 360 * before + 100}"
    other = f"azimuth in {300 + 360 * behind}..{40 + 360 * behind + 360}"
    assert holds(text, azimuth=azimuth) == holds(other, azimuth=azimuth) == holds("azimuth in 300..40", azimuth=azimuth)


@given(azimuths)
def test_a_whole_turn_is_everywhere(azimuth: float) -> None:
    assert holds("azimuth in 0..360", azimuth=azimuth)
    assert holds("azimuth<=360", azimuth=azimuth)
    assert holds("azimuth in -180..180", azimuth=azimuth)


@given(
    st.sampled_from(["azimuth in 350..10", "azimuth<90", "elevation>=50", "elevation in 40..60", "lighting!=L1"]),
    st.sampled_from(["label=car", "object!=car-00", "azimuth in 200..100", "lighting=L0"]),
    st.lists(
        st.tuples(st.sampled_from(NAMES), azimuths, elevations, st.sampled_from(["L0", "L1"])), min_size=1, max_size=20
    ),
)
def test_arrays_are_judged_as_their_rows(one: str, other: str, rows: list[tuple[str, float, float, str]]) -> None:
    region = Region.parse(f"{one} and {other}", TERMS)
    names, azimuth, elevation, lighting = (np.array(column) for column in zip(*rows, strict=True))
    labels = np.array([TERMS.objects[name] for name, *_ in rows])
    view = {"azimuth": azimuth, "elevation": elevation, "lighting": lighting}
    assert region.holds(names, labels, view).tolist() == [holds(region.text, *row) for row in rows]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read at ''; write e.g. 'elevation>65'"),
        ("elevation", "cannot be read at 'elevation'"),
        ("elevation>", "cannot be read at"),
        ("elevation>65 and", "'65 and' is not a number"),
        ("elevaton>65", "did you mean 'elevation'"),
        ("elevation>high", "'high' is not a number; give deg"),
        ("elevation>inf", "'inf' is not a number"),
        ("elevation in 70..30", "70 is above 30; write 'elevation in 30..70'"),
        ("elevation in 30..top", "'top' is not a number"),
        ("azimuth>-10", "azimuth runs from 0 to 360; write an arc"),
        ("azimuth<400", "write an arc"),
        ("lighting>L0", "'lighting' has no order; use = or !="),
        ("lighting in L0..L1", "has no order; a range needs an axis of numbers"),
        ("object in a..b", "has no order"),
        ("label<car", "'label' has no order"),
        ("lighting=L7", "no level 'L7'"),
        ("object=car-07", "no object is called 'car-07'; did you mean 'car-0"),
        ("label=cat", "no label is called 'cat'; did you mean 'car'"),
    ],
)
def test_what_cannot_be_read_is_told_with_a_remedy(text: str, said: str) -> None:
    with pytest.raises(SpaceError) as refused:
        Region.parse(text, TERMS)
    assert said in str(refused.value)


def test_objects_of_an_old_region_may_be_gone() -> None:
    region = Region.parse("object=car-99", TERMS, known_only=False)
    assert region.holds("car-99", "car", {})
    assert not region.holds("car-00", "car", {})


def test_terms_have_the_axes_that_regions_speak_of() -> None:
    assert TERMS.axes == (AZIMUTH, ELEVATION, LIGHTING)
