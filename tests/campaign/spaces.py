"""Terms of campaigns, drawn by hypothesis and fixed."""

from hypothesis import strategies as st

from acqplan.campaign.settings import CampaignSettings
from acqplan.numbers import name_fault
from acqplan.space import Axis, Category, Circle, Interval

AZIMUTH = Circle(name="azimuth", values=(0.0, 60.0, 120.0, 180.0, 240.0, 300.0), seconds_per_unit=0.05)
ELEVATION = Interval(name="elevation", values=(30.0, 50.0, 70.0), unit="deg", seconds_per_unit=0.1)
LIGHTING = Category(name="lighting", values=("L0", "L1"), seconds_per_change=0.2)
TERMS = CampaignSettings(
    rig="live",
    axes=(AZIMUTH, ELEVATION, LIGHTING),
    objects={"car-00": "car", "car-01": "car", "truck-00": "truck"},
    seconds_per_shot=0.4,
    seconds_per_object=3.0,
)

finite = st.floats(-1e4, 1e4)
words = st.text(min_size=1, max_size=6).filter(lambda word: not name_fault(word))
seconds = st.floats(0.0, 10.0)


@st.composite
def axes(draw: st.DrawFn, name: str) -> Axis:
    kind = draw(st.sampled_from(["circle", "interval", "category"]))
    if kind == "category":
        levels = tuple(draw(st.lists(words, min_size=1, max_size=4, unique=True)))
        return Category(name=name, values=levels, seconds_per_change=draw(seconds))
    period = draw(st.sampled_from([360.0, 180.0, 24.0])) if kind == "circle" else 360.0
    inside = st.floats(0.0, period, exclude_max=True) if kind == "circle" else finite
    numbers = tuple(draw(st.lists(inside, min_size=1, max_size=5, unique_by=lambda value: round(value, 3))))
    if kind == "circle":
        return Circle(name=name, values=numbers, period=period, seconds_per_unit=draw(seconds))
    return Interval(name=name, values=numbers, unit="deg", seconds_per_unit=draw(seconds))


@st.composite
def all_terms(draw: st.DrawFn) -> CampaignSettings:
    names = draw(st.lists(words.filter(str.strip), min_size=1, max_size=4, unique=True))
    chosen = tuple(draw(axes(name)) for name in names)
    views = st.tuples(*(st.sampled_from(axis.values) for axis in chosen))
    table = draw(st.none() | st.lists(views, min_size=1, max_size=6, unique=True).map(tuple))
    weights = st.none() | st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6).map(tuple)
    return CampaignSettings(
        rig=draw(words),
        axes=chosen,
        objects=draw(st.dictionaries(words, words, min_size=1, max_size=4)),
        table=table,
        view_weights=draw(weights),
        seed=draw(st.integers(0, 2**40)),
        backbone=draw(st.none() | words),
        lease_seconds=draw(st.floats(0.001, 1e6)),
        most_tries=draw(st.integers(1, 9)),
        stop_when_saturated=draw(st.booleans()),
    )
