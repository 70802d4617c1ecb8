"""Travel times by hand, and orders that are never slower than the one given."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acqplan.errors import UsageError
from acqplan.numbers import clock_words, duration
from acqplan.plan.plan import Plan
from acqplan.plan.route import Times, change_words, cheap_order, route_seconds, route_words, routed, travel_seconds
from acqplan.space import Axis, Category, Circle, Interval, Objects, Shots, Space

AZIMUTH = Circle(name="azimuth", values=tuple(range(0, 360, 20)), seconds_per_unit=0.05)
ELEVATION = Interval(name="elevation", unit="deg", values=tuple(range(30, 71, 5)), seconds_per_unit=0.1)
LIGHTING = Category(name="lighting", values=("L0", "L1", "L2", "L3"), seconds_per_change=0.2)
STAGE = Space(axes=(AZIMUTH, ELEVATION, LIGHTING))
STILL = Space(
    axes=(
        replace(AZIMUTH, seconds_per_unit=0.0),
        replace(ELEVATION, seconds_per_unit=0.0),
        replace(LIGHTING, seconds_per_change=0.0),
    )
)
THREE = Objects(names=("a", "b", "c"), labels=("x", "x", "y"))


def some_shots(n: int, seed: int, space: Space = STAGE) -> Shots:
    every = Shots.every(space, THREE)
    return every.take(np.random.default_rng(seed).permutation(len(every))[:n])


def at(*views: tuple[float, float, float], objects: tuple[int, ...] = ()) -> Shots:
    return Shots(
        space=STAGE,
        objects=THREE,
        object_rows=np.array(objects or (0,) * len(views)),
        coordinates=np.array(views, dtype=float),
    )


def some_plan(shots: Shots, rounds: np.ndarray) -> Plan:
    n = len(shots)
    return Plan(
        shots=shots,
        rounds=rounds,
        gain=np.arange(n, dtype=float),
        reason=tuple(f"{name} {view}" for name, view in shots.pairs()),
        strategy="lattice",
        seed=0,
        budget=n,
    )


def test_travel_is_the_sum_of_the_moves_of_each_axis() -> None:
    a, b = at((0, 30, 0)).coordinates, at((60, 45, 3)).coordinates
    assert travel_seconds(STAGE, a, b) == pytest.approx([60 * 0.05 + 15 * 0.1 + 0.2])


def test_a_circle_takes_the_shorter_way_round() -> None:
    a, b = at((340, 30, 0), (10, 30, 0)).coordinates, at((0, 30, 0), (200, 30, 0)).coordinates
    assert travel_seconds(STAGE, a, b) == pytest.approx([20 * 0.05, 170 * 0.05])


def test_a_category_costs_the_same_between_any_levels_and_nothing_within_one() -> None:
    a, b = at((0, 30, 0), (0, 30, 0), (0, 30, 2)).coordinates, at((0, 30, 3), (0, 30, 1), (0, 30, 2)).coordinates
    assert travel_seconds(STAGE, a, b) == pytest.approx([0.2, 0.2, 0.0])


def test_a_route_is_exposures_moves_and_changes_of_the_object() -> None:
    shots = at((0, 30, 0), (20, 30, 0), (20, 35, 1), objects=(0, 0, 2))
    assert route_seconds(shots) == pytest.approx(1.0 + 0.5 + 0.2)
    assert route_seconds(shots, Times(per_shot=0.4, per_object=30.0)) == pytest.approx(1.7 + 3 * 0.4 + 30.0)


def test_the_rig_settles_after_a_move_and_not_after_a_change_of_light() -> None:
    shots = at((0, 30, 0), (0, 30, 1), (20, 35, 1), (20, 35, 1), objects=(0, 0, 0, 2))
    moved = 0.2 + (1.0 + 0.5)
    assert route_seconds(shots, Times(settle=3.0)) == pytest.approx(moved + 2 * 3.0)
    still = replace(shots, space=STILL)
    assert route_seconds(still, Times(settle=3.0)) == pytest.approx(2 * 3.0)


@given(n=st.integers(2, 60), seed=st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_settling_alone_keeps_the_lights_of_a_pose_together(n: int, seed: int) -> None:
    shots, times = some_shots(n, seed, STILL), Times(settle=1.0)
    driven = shots.take(cheap_order(shots, times))
    poses = {(name, *view[:2]) for name, view in zip(driven.names, driven.coordinates.tolist(), strict=True)}
    assert route_seconds(driven, times) == pytest.approx(len(poses) - 1)


@pytest.mark.parametrize("n", [0, 1])
def test_one_shot_or_none_needs_no_way(n: int) -> None:
    shots = some_shots(n, 0)
    assert route_seconds(shots, Times(per_shot=0.4, per_object=9.0)) == pytest.approx(0.4 * n)
    assert cheap_order(shots).tolist() == list(range(n))


def test_one_circle_is_driven_round_from_its_widest_gap() -> None:
    space = Space(axes=(AZIMUTH,))
    shots = Shots.every(space, Objects(names=("a",), labels=("x",))).take([3, 17, 0, 5, 16, 1])
    driven = shots.take(cheap_order(shots)).coordinates[:, 0].tolist()
    assert driven in ([320, 340, 0, 20, 60, 100], [100, 60, 20, 0, 340, 320])


def test_one_interval_is_swept_once() -> None:
    shots = Shots.every(Space(axes=(ELEVATION,)), THREE).take(np.random.default_rng(1).permutation(27))
    assert route_seconds(shots.take(cheap_order(shots))) == pytest.approx(40 * 0.1)


def test_a_full_grid_is_driven_without_a_detour() -> None:
    every = Shots.every(STAGE, THREE)
    shots = every.take(np.random.default_rng(2).permutation(len(every)))
    best = 17 * 1.0 + 18 * 8 * 0.5 + 18 * 9 * 3 * 0.2  # every other pass runs backwards: nothing is driven twice
    assert route_seconds(shots.take(cheap_order(shots))) <= best + 1e-6


def test_where_changing_the_object_is_slow_each_is_put_up_once() -> None:
    shots = some_shots(60, 3)
    order = cheap_order(shots, Times(per_object=60.0))
    assert (np.diff(shots.take(order).object_rows) != 0).sum() == 2


@given(n=st.integers(1, 150), seed=st.integers(0, 50), slow=st.sampled_from([0.0, 1.0, 1e4]))
@example(n=27, seed=20, slow=1.0)  # the round before ended with an object that is neither first nor last
@settings(max_examples=25, deadline=None)
def test_where_the_time_of_a_change_is_not_known_each_object_is_put_up_once_a_round(
    n: int, seed: int, slow: float
) -> None:
    space = Space(axes=(replace(AZIMUTH, seconds_per_unit=0.05 * slow), replace(LIGHTING, seconds_per_change=slow)))
    shots = some_shots(n, seed, space)
    rounds = (np.arange(n) >= n // 3).astype(np.int64)
    order = cheap_order(shots, Times(per_object=None), rounds=rounds)
    assert sorted(order.tolist()) == list(range(n))
    for number in (0, 1):
        put_up = shots.object_rows[order][rounds[order] == number]
        assert (np.diff(put_up) != 0).sum() == max(len(np.unique(put_up)) - 1, 0)


def test_a_plan_says_how_often_the_object_and_the_light_change() -> None:
    shots = at((0, 30, 0), (20, 30, 1), (0, 30, 0), (20, 35, 1), objects=(0, 2, 0, 2))
    plan = some_plan(shots, np.zeros(4, dtype=np.int64))
    found = {seconds: routed(plan, Times(per_shot=0.4, per_object=seconds)) for seconds in (None, 20.0)}
    assert found[None].changes == found[20.0].changes == {"object": 1, "lighting": 1}
    assert found[None].to_dict()["changes"] == {"object": 1, "lighting": 1}
    assert change_words(found[20.0]) == "1 change of object, 1 of lighting"
    unknown = "; that time has no changes of object, as rig.toml has no [objects] seconds_per_change"
    assert change_words(found[None]) == f"1 change of object, 1 of lighting{unknown}"
    still = some_plan(replace(shots, space=STILL), np.zeros(4, dtype=np.int64))
    assert change_words(routed(still, Times(per_object=None))) == "1 change of object, 1 of lighting"
    one = some_plan(at((0, 30, 0), (20, 30, 0)), np.zeros(2, dtype=np.int64))
    assert change_words(routed(one, Times(per_object=None))) == ""


@pytest.mark.parametrize("seed", range(8))
def test_seven_shots_are_within_a_tenth_of_the_shortest_order(seed: int) -> None:
    shots, times = some_shots(7, seed), Times(per_object=0.7)
    every = [route_seconds(shots.take(order), times) for order in itertools.permutations(range(7))]
    assert route_seconds(shots.take(cheap_order(shots, times)), times) <= 1.1 * min(every)


@given(n=st.integers(2, 150), seed=st.integers(0, 50), per_object=st.sampled_from([0.0, 0.3, 20.0]))
@settings(max_examples=25, deadline=None)
def test_an_order_is_a_permutation_and_never_slower(n: int, seed: int, per_object: float) -> None:
    shots, times = some_shots(n, seed), Times(per_shot=0.4, per_object=per_object)
    rounds = (np.arange(n) >= n // 3).astype(np.int64)
    order = cheap_order(shots, times, rounds=rounds)
    assert sorted(order.tolist()) == list(range(n))
    assert (np.diff(rounds[order]) >= 0).all()
    assert route_seconds(shots.take(order), times) <= route_seconds(shots, times) + 1e-6


def test_an_order_that_is_quick_already_stays() -> None:
    shots = at((0, 30, 0), (20, 30, 0), (40, 30, 0))
    assert cheap_order(shots).tolist() == [0, 1, 2]


def test_where_nothing_takes_time_the_order_stays() -> None:
    shots = some_shots(40, 4, STILL)
    assert cheap_order(shots, Times(per_shot=0.4)).tolist() == list(range(40))
    plan = some_plan(shots, np.zeros(40, dtype=np.int64))
    assert routed(plan, Times(per_shot=0.4)).to_csv() == plan.to_csv()


@pytest.mark.parametrize("by", [40.0, 7.5, 359.0])
def test_turning_all_azimuths_turns_the_route_and_leaves_its_time(by: float) -> None:
    shots = some_shots(80, 5)
    azimuths = (shots.coordinates[:, 0] + by) % 360
    coordinates = np.column_stack([azimuths, shots.coordinates[:, 1:]])
    turned = replace(shots, space=STAGE.turned("azimuth", by), coordinates=coordinates)
    assert cheap_order(turned).tolist() == cheap_order(shots).tolist()
    assert route_seconds(turned) == pytest.approx(route_seconds(shots))


def test_a_route_takes_as_long_backwards() -> None:
    shots, times = some_shots(50, 6), Times(per_shot=0.4, per_object=3.0)
    assert route_seconds(shots.take(np.arange(50)[::-1]), times) == pytest.approx(route_seconds(shots, times))


def test_the_same_shots_have_the_same_order_whoever_asks() -> None:
    shots = some_shots(120, 7)
    assert cheap_order(shots).tolist() == cheap_order(replace(shots, coordinates=shots.coordinates.copy())).tolist()


@pytest.mark.parametrize("n_axes", [1, 5, 6])
def test_spaces_of_few_and_many_axes_are_driven(n_axes: int) -> None:
    axes: list[Axis] = [
        Interval(name=f"slide {number}", values=(0.0, 1.0, 2.0), seconds_per_unit=1.0 + number)
        for number in range(n_axes)
    ]
    every = Shots.every(Space(axes=tuple(axes)), Objects(names=("a",), labels=("x",)))
    shots = every.take(np.random.default_rng(8).permutation(len(every)))
    assert route_seconds(shots.take(cheap_order(shots))) <= 0.5 * route_seconds(shots) + 2.0 * (n_axes == 1)


def test_gain_reason_and_round_go_with_their_shot() -> None:
    shots = some_shots(90, 9)
    plan = some_plan(shots, np.repeat([0, 1, 2], 30))
    found = routed(plan, Times(per_shot=0.4))
    before = dict(zip(shots.pairs(), zip(plan.rounds, plan.gain, plan.reason, strict=True), strict=True))
    after = dict(zip(found.shots.pairs(), zip(found.rounds, found.gain, found.reason, strict=True), strict=True))
    assert before == after
    assert (np.diff(found.rounds) >= 0).all()
    assert found.to_dict()["route_seconds"] == round(route_seconds(found.shots, Times(per_shot=0.4)), 1)
    assert found.to_dict()["route_seconds_naive"] == round(route_seconds(shots, Times(per_shot=0.4)), 1)
    assert [line.split(",")[1] for line in found.to_csv().splitlines()[1:]] == [str(row) for row in range(90)]


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_times_that_cannot_be_are_refused(seconds: float) -> None:
    with pytest.raises(UsageError, match="give seconds, zero or more"):
        Times(per_object=seconds)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"), (0.25, "0.25 s"), (59.4, "59 s"), (59.7, "1 min"), (750, "12 min 30 s"), (3599.6, "1 h"),
        (3900, "1 h 05 min"), (7199, "2 h"),
    ],
)  # fmt: skip
def test_durations_are_read_in_hours_and_minutes(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_words_say_what_the_order_saves() -> None:
    plan = replace(some_plan(some_shots(2, 0), np.zeros(2, dtype=np.int64)), route_seconds=600.0, naive_seconds=2400.0)
    assert route_words(plan) == "10 min; 30 min less than in the order of the strategy (75 %)"
    assert route_words(replace(plan, naive_seconds=600.0, time_budget=720.0)) == "10 min of the 12 min at hand"


@pytest.mark.parametrize(
    ("later", "words"),
    [((1, 16, 40), "16:40"), ((2, 2, 10), "tomorrow 02:10"), ((4, 9, 0), "Fri 09:00"), ((24, 9, 0), "24 Dec 09:00")],
)
def test_a_moment_to_come_is_told_as_people_tell_it(later: tuple[int, int, int], words: str) -> None:
    day, hour, minute = later
    now = datetime(2026, 12, 1, 15, 58)
    assert clock_words(datetime(2026, 12, day, hour, minute).timestamp(), now.timestamp()) == words
