"""Factors: what is made to matter is found to matter, what is not is not, and silence where nothing can be told."""

from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest

from acqplan.advice.advise import advise_history
from acqplan.advice.answers import QUARTER, SAME_VIEWS, Advice, Factor
from acqplan.advice.factors import measure_factors
from acqplan.advice.sentences import advice_sentences
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from acqplan.rng import generator
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space
from acqplan.statistics.objects import Estimate

SPACE = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 30))),
        Interval(name="elevation", values=(30.0, 45.0, 60.0), unit="deg"),
        Category(name="lighting", values=("L0", "L1", "L2", "L3")),
    )
)
OBJECTS = Objects(
    names=tuple(f"object-{row:02d}" for row in range(15)), labels=tuple(f"class-{row % 3}" for row in range(15))
)
Which = Callable[[Shots], np.ndarray]


def captured(which: Which, *, rule: str = "lattice", images: int = 12) -> History:
    """Images in which a class looks otherwise in each of four settings, and objects and noise add a little."""
    every = Shots.every(SPACE, OBJECTS)
    rows = find_strategy(rule).propose(every, History.empty(every), images * len(OBJECTS), 0).rows
    shots, random = every.take(rows), generator(0, "factors")
    looks = random.normal(size=(4, 3, 8))
    features = (
        random.normal(scale=0.6, size=(len(shots), 4, 8)) + random.normal(scale=0.3, size=(15, 1, 8))[shots.object_rows]
    )
    settings = which(shots)
    features[np.arange(len(shots)), settings] += 2.0 * looks[settings, shots.class_rows]
    return History(shots=shots, features=features.reshape(len(shots), -1).astype(np.float32))


def by_azimuth(shots: Shots) -> np.ndarray:
    return (shots.coordinates[:, 0] // 90.0).astype(np.int64)


def by_lighting(shots: Shots) -> np.ndarray:
    return np.rint(shots.coordinates[:, 2]).astype(np.int64)


@pytest.fixture(scope="module")
def turning() -> History:
    return captured(by_azimuth)


@pytest.fixture(scope="module")
def factors(turning: History) -> dict[str, Factor]:
    return {factor.name: factor for factor in measure_factors(turning)}


def worth(factor: Factor) -> Estimate:
    assert factor.worth is not None, factor.reason
    return factor.worth


def test_what_changes_the_picture_is_worth_varying(factors: dict[str, Factor]) -> None:
    azimuth, elevation = worth(factors["azimuth"]), worth(factors["elevation"])
    assert azimuth.low > 0.1
    assert elevation.low < 0.02
    assert elevation.high < azimuth.low
    assert factors["azimuth"].narrowed == QUARTER
    assert factors["elevation"].narrowed == "one elevation"
    assert factors["azimuth"].images == 3
    further = factors["azimuth"].next
    assert further is not None
    assert 0.0 <= further.low <= further.estimate <= further.high


def test_lights_can_be_what_matters() -> None:
    found = {factor.name: factor for factor in measure_factors(captured(by_lighting))}
    assert worth(found["lighting"]).low > 0.1
    assert found["lighting"].narrowed == "one lighting"
    assert worth(found["azimuth"]).high < worth(found["lighting"]).low


def test_neither_the_order_of_rows_nor_names_matter(turning: History, factors: dict[str, Factor]) -> None:
    mixed = turning.take(generator(1, "order").permutation(len(turning)))
    renamed = replace(OBJECTS, names=OBJECTS.names[::-1])
    mixed = replace(mixed, shots=replace(mixed.shots, objects=renamed))
    assert measure_factors(mixed) == tuple(factors.values())
    assert measure_factors(turning, seed=1) != tuple(factors.values())


def test_same_views_take_objects_that_share_views(factors: dict[str, Factor]) -> None:
    assert "few views" in factors[SAME_VIEWS].reason, "the lattice gives every object other views"
    shared = measure_factors(captured(by_azimuth, rule="even", images=24))[-1]
    assert worth(shared).low > 0.0, "six views of all objects show four sides less often than six of each"
    assert shared.next is None


def test_what_was_not_varied_is_not_judged(turning: History) -> None:
    level = turning.take(np.flatnonzero(turning.shots.coordinates[:, 1] == 45.0))
    found = {factor.name: factor for factor in measure_factors(level)}
    assert found["elevation"].worth is None
    assert "one level" in found["elevation"].reason
    own_light = turning.take(np.flatnonzero(by_lighting(turning.shots) == turning.shots.object_rows % 4))
    assert all("4 images" in factor.reason and factor.worth is None for factor in measure_factors(own_light))


def test_lights_that_objects_do_not_share_cannot_be_taken_out() -> None:
    every = Shots.every(SPACE, OBJECTS)
    rows = np.flatnonzero((by_lighting(every) == every.object_rows // 3 % 4) & (every.coordinates[:, 0] % 60.0 == 0.0))
    shots = every.take(rows)
    features = generator(0, "own lights").normal(size=(len(shots), 8)) + np.eye(8)[shots.class_rows]
    found = {
        factor.name: factor for factor in measure_factors(History(shots=shots, features=features.astype(np.float32)))
    }
    assert found["lighting"].worth is None
    assert "from 4 of its 4 levels" in found["lighting"].reason


def test_levels_that_were_not_captured_promise_nothing(turning: History) -> None:
    half = turning.take(np.flatnonzero(turning.shots.coordinates[:, 0] < 240.0))
    found = {factor.name: factor for factor in measure_factors(half)}
    assert worth(found["azimuth"]).estimate > 0.05
    assert found["azimuth"].next is None
    assert found["azimuth"].narrowed.endswith("of 8 levels"), "a quarter of what is captured is none of the circle"
    assert found["elevation"].next is not None


@pytest.fixture(scope="module")
def advice(turning: History) -> Advice:
    return advise_history(turning)


def test_advice_has_the_factors_and_keeps_them(advice: Advice, factors: dict[str, Factor]) -> None:
    assert advice.factors == tuple(factors.values())
    fields = asdict(advice)
    assert Advice.of(fields) == advice
    del fields["factors"]
    assert Advice.of(fields) == replace(advice, factors=()), "advice of earlier versions"
    assert sum("vary the azimuth: worth +" in sentence for sentence in advice_sentences(advice)) == 1


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.011, 0.047, "vary the azimuth: worth +2.9 points (95 %: +1.1 to +4.7) over a quarter of the circle"),
        (-0.009, 0.008, "varying the azimuth hardly matters: worth 0.0 points (95 %: −0.9 to +0.8) over"),
        (-0.02, -0.001, "varying the azimuth is no gain: worth"),
        (-0.01, 0.03, "cannot tell whether to vary the azimuth: worth +1.0 points (95 %: −1.0 to +3.0)"),
    ],
)
def test_sentences_say_what_the_interval_carries(low: float, high: float, words: str, advice: Advice) -> None:
    found = Estimate(estimate=(low + high) / 2.0, low=low, high=high, level=0.95)
    factor = Factor(name="azimuth", narrowed=QUARTER, images=4, worth=found, next=found)
    said = next(one for one in advice_sentences(replace(advice, factors=(factor,))) if "azimuth" in one)
    assert said.startswith(words)
    assert "at 4 images of each object" in said
    assert said.endswith("no turntable needed") is ("hardly" in words)
    assert ("gain at most +4.7 points" in said) is (low > 0.0)
