"""Sentences for people who take shots by hand."""

import pytest

from acqplan.campaign.wording import changes, sentence, steps_of
from acqplan.space.axes import Axis, Category, Circle, Interval

AZIMUTH = Circle(name="azimuth", values=(0, 120, 240))
ELEVATION = Interval(name="elevation", values=(30, 60), unit="deg")
LIGHTING = Category(name="lighting", values=("left", "right"))


def test_a_shot_is_a_sentence() -> None:
    steps = steps_of((AZIMUTH, ELEVATION, LIGHTING), "cup-02", (240.0, 60, "left"))
    assert sentence(steps) == "Put cup-02 on the table, turn it to 240°, camera at 60°, lamp left."
    assert [step["still"] for step in steps] == [
        "same object",
        "still at 240°",
        "camera still at 60°",
        "lamp still left",
    ]


@pytest.mark.parametrize(
    ("axis", "value", "words"),
    [
        (Interval(name="distance", values=(30, 40), unit="cm"), 37.5, "camera 37.5 cm away"),
        (Interval(name="height", values=(0, 50)), 50.0, "height at 50"),
        (Category(name="background", values=("grey", "white")), "grey", "background grey"),
        (Category(name="Light box", values=("on", "off")), "off", "lamp off"),
        (Circle(name="roll", values=(0, 90)), 90.0, "roll at 90°"),  # the table is the circle before it
        (Interval(name="zoom", values=(50, 100), unit="%"), 50, "zoom at 50 %"),
    ],
)
def test_an_axis_of_any_name_has_words(axis: Axis, value: float | str, words: str) -> None:
    steps = steps_of((AZIMUTH, axis), "x", (0.0, value))
    assert steps[-1]["do"] == words
    assert steps[-1]["setting"] == value


def test_the_first_circle_is_the_table_whatever_it_is_called_and_where_it_stands() -> None:
    hours = Circle(name="hour", values=(0, 6, 18), unit="h", period=24)
    steps = steps_of((LIGHTING, hours), "a, b", ("right", 6))
    assert sentence(steps) == "Put a, b on the table, turn it to 6 h, lamp right."


def test_what_differs_from_the_shot_before_is_what_there_is_to_do() -> None:
    axes = (AZIMUTH, ELEVATION, LIGHTING)
    before = steps_of(axes, "cup-02", (240, 60, "left"))
    assert changes(before, None) == [True] * 4
    assert changes(steps_of(axes, "cup-02", (120, 60.0, "left")), before) == [False, True, False, False]
    assert changes(steps_of(axes, "cup-03", (240, 60, "right")), before) == [True, False, False, True]
