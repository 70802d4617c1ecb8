"""Patterns proposed for the names that turntables, data sets and people give to images."""

from collections.abc import Callable
from itertools import product

import pytest

from acqplan.errors import UnclearError
from acqplan.exchange.found import Told
from acqplan.exchange.name_patterns import proposed_pattern

AROUND = range(0, 360, 45)
ETH80 = [(0, 0), *((35, a) for a in (45, 135, 225)), *((66, a) for a in AROUND), *((90, a) for a in (22, 45, 68, 270))]


def of(name: Callable[..., str], *levels: object) -> list[str]:
    """Names of all combinations."""
    return [name(*combination) for combination in product(*levels)]  # type: ignore[call-overload]


CASES: dict[str, tuple[list[str], Told, str]] = {
    "words before angles": (
        of(lambda c, o, a, e: f"{c}_{o:02}_az{a:03}_el{e}.jpg", ("cup", "bowl"), (1, 2), AROUND, (-30, 30)),
        Told(),
        "{object}_az{azimuth}_el{elevation}.jpg",
    ),
    "one class": (
        of(lambda o, a: f"cup_{o:02}_azimuth-{a}.png", (1, 2), AROUND),
        Told(),
        "{object}_azimuth-{azimuth}.png",
    ),
    "degrees": (of(lambda c, a: f"mug-{c}/{a}deg.jpg", ("red", "blue"), AROUND), Told(), "{object}/{azimuth}deg.jpg"),
    "COIL-100": (of(lambda o, a: f"obj{o}__{a}.png", (1, 2, 10), range(0, 360, 5)), Told(), "{object}__{azimuth}.png"),
    "COIL-20": (of(lambda o, n: f"obj{o}__{n}.png", (1, 2), range(72)), Told(step="turn"), "{object}__{index}.png"),
    "ETH-80": (
        of(lambda c, o, v: f"{c}{o}/{c}{o}-{v[0]:03}-{v[1]:03}.png", ("apple", "cow"), (1, 10), ETH80),
        Told(),
        "{object}/*-{polar}-{azimuth}.png",
    ),
    "RGB-D Object": (
        of(lambda c, o, s, n: f"{c}_{o}_{s}_{n}_crop.png", ("apple", "food_bag"), (1, 2), (1, 2, 4), range(1, 99, 5)),
        Told(step=1.5),
        "{object}_{sequence:d}_{index}_crop.png",
    ),
    "OpenScan": (
        of(lambda o, n: f"cup-{o}/scan{o:02}_{n:03}.jpg", (1, 2), range(1, 25)),
        Told(step="turn"),
        "{object}/scan*_{index}.jpg",
    ),
    "smallNORB's numbers": (
        of(lambda o, a, e, n: f"car/car-0{o}_{a}_{e}_L{n}.png", (0, 1), AROUND, (30, 50), (0, 1)),
        Told(polar=False),
        "{label}/{object}_{azimuth}_{elevation}_L{lighting}.png",
    ),
    "a light in words": (
        of(lambda c, a, w: f"{c}/az{a}_light-{w}.png", ("red", "blue"), AROUND, ("left", "right")),
        Told(),
        "{object}/az{azimuth}_light-{lighting}.png",
    ),
    "a second camera": (
        of(lambda c, a, k: f"{c}/rot{a:03}_cam{k}.png", ("red", "blue"), AROUND, (1, 2)),
        Told(),
        "{object}/rot{azimuth}_cam{cam}.png",
    ),
    "a folder of a day": (
        of(lambda o, a: f"2026-05-01/cup_{o}_az{a}.png", (1, 2), AROUND),
        Told(),
        "{label}/{object}_az{azimuth}.png",
    ),
    "frames in two formats": (
        [*of(lambda n: f"cup/{n:04}.jpg", range(36)), *of(lambda n: f"mug/{n:04}.png", range(36))],
        Told(step=10.0),
        "{object}/{index}.*",
    ),
}


@pytest.mark.parametrize(("names", "told", "text"), CASES.values(), ids=CASES)
def test_names_are_given_their_pattern_and_fit_it(names: list[str], told: Told, text: str) -> None:
    pattern, _ = proposed_pattern(names, told)
    assert pattern is not None
    assert pattern.text == text
    rows = pattern.read(names)
    assert set(rows.names) == set(names)
    views = set(zip(rows.objects, *rows.axes.values(), strict=True))
    assert len(views) == len(names), "two images would be one shot"


def test_a_stranger_among_many_changes_nothing() -> None:
    names, told, text = CASES["words before angles"]
    pattern, _ = proposed_pattern([*names, "table.jpg", "cup/old.jpg"], told)
    assert pattern is not None
    assert pattern.text == text


NO_VIEW = {
    "dates of a telephone": of(lambda c, n: f"{c}/a/IMG_20260501_10{n:04}.jpg", ("cup", "mug"), range(12)),
    "a counter that goes on": of(lambda o, n: f"cup/c{o}/IMG_{36 * o + n:04}.jpg", (1, 2), range(36)),
    "words": of(lambda c, w: f"{c}/{w}.jpg", ("cup", "mug"), ("front", "back")),
    "braces": ["{a}_az10.png"],
    "nothing": [],
}


@pytest.mark.parametrize("names", NO_VIEW.values(), ids=NO_VIEW)
def test_names_that_say_no_view_have_no_pattern(names: list[str]) -> None:
    assert proposed_pattern(names, Told()) == (None, ())


UNCLEAR = {
    "step": of(lambda o, n: f"obj{o}__{n}.png", (1, 2), range(72)),
    "polar": of(lambda o, e, a: f"cup{o}/{e}-{a}.png", (1, 2), (30, 60), AROUND),
    "pattern": of(lambda c, a, e, d: f"{c}/{a}_{e}_{d}.png", ("red", "blue"), AROUND, (10, 20), (50, 60)),
}


@pytest.mark.parametrize("question", UNCLEAR)
def test_what_may_mean_two_things_is_a_question(question: str) -> None:
    with pytest.raises(UnclearError) as caught:
        proposed_pattern(UNCLEAR[question], Told())
    assert caught.value.question == question
    assert f"--{question}" in caught.value.hint
