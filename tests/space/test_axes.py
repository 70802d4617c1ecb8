import numpy as np
import pytest

from acqplan.errors import SpaceError
from acqplan.space import Category, Circle, Interval, parse_values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0:340:20", tuple(range(0, 341, 20))),
        ("30:70:5", tuple(range(30, 71, 5))),
        ("0:1:0.1", tuple(round(0.1 * step, 9) for step in range(11))),
        ("70:30:-20", (70, 50, 30)),
        ("5:5:1", (5,)),
        ("0:9:4", (0, 4, 8)),
    ],
)
def test_values_grammar_includes_stop(text: str, values: tuple[float, ...]) -> None:
    assert parse_values(text) == values


@pytest.mark.parametrize("text", ["", "0:340", "a:b:c", "0:10:0", "0:10:-1", "0:nan:1", "0:inf:1", "0:1:1e-9"])
def test_values_grammar_refuses(text: str) -> None:
    with pytest.raises(SpaceError):
        parse_values(text)


def test_angles_go_the_shorter_way_round() -> None:
    azimuth = Circle(name="azimuth", values=(0.0, 90.0))
    assert azimuth.difference(np.array(350.0), np.array(10.0)) == 20
    assert azimuth.difference(np.array(-10.0), np.array(10.0)) == 20
    assert azimuth.difference(np.array(0.0), np.array(180.0)) == 180


def test_a_full_turn_is_the_same_level_and_is_refused() -> None:
    with pytest.raises(SpaceError, match="appears twice"):
        Circle(name="azimuth", values=(0.0, 360.0))


@pytest.mark.parametrize("value", [725.0, -400.0, float("nan"), float("inf")])
def test_impossible_angles_are_refused(value: float) -> None:
    with pytest.raises(SpaceError):
        Circle(name="azimuth", values=(0.0, value))


def test_an_axis_without_values_is_refused() -> None:
    with pytest.raises(SpaceError, match="no values"):
        Interval(name="elevation", values=())
    with pytest.raises(SpaceError, match="no values"):
        Category(name="lighting", values=())
