"""What strategies that learn from beliefs owe: the contract, invariances, and a plan from hard inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from acqplan.errors import StrategyError
from acqplan.plan import LEFT, find_strategy
from acqplan.plan.base import Choice, History, Strategy, check_choice
from acqplan.plan.lattice import Auto, Lattice
from acqplan.space import Circle, Interval, Objects, Shots, Space
from benchmarks.ideas import Allocate, ChooseObjects, Difficulty
from benchmarks.ideas.allocate import fit_curves, learning_curves

MakeObjects = Callable[..., Objects]
RULES: list[Strategy] = [
    Auto(),
    Allocate(),
    ChooseObjects(),
    Difficulty(),
    Allocate(by="curves", pilot=0.0),
    Allocate(pilot=0.0),
    ChooseObjects(share=0.5),
    ChooseObjects(share=0.5, by="lot"),
]


def split(shots: Shots, rows: np.ndarray, *, spread: float = 0.3) -> tuple[Shots, History]:
    """What is left, and a history in which objects differ."""
    taken = shots.take(rows)
    draw = np.random.default_rng(0)
    errors = np.clip(0.2 + spread * taken.object_rows / len(shots.objects) + draw.uniform(0, 0.1, len(rows)), 0, 1)
    n_classes = len(shots.objects.classes)
    beliefs = np.repeat((errors / max(n_classes - 1, 1))[:, None], n_classes, axis=1)
    beliefs[np.arange(len(rows)), taken.class_rows] = 1.0 - errors
    features = draw.standard_normal((len(rows), 5)) + 3.0 * np.eye(5)[taken.class_rows]
    history = History(shots=taken, features=features.astype(np.float32), beliefs=beliefs.astype(np.float32))
    return shots.take(np.setdiff1d(np.arange(len(shots)), rows)), history


def asked(strategy: Strategy, shots: Shots, history: History, n: int) -> Choice:
    choice = check_choice(strategy.propose(shots, history, n, 1), shots, n, strategy=strategy)
    assert all(0 < len(reason) <= 80 for reason in choice.reason)
    return choice


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("kind", ["small", "photographs"])
def test_only_what_was_captured_counts_and_in_no_order(
    rule: Strategy, kind: str, request: pytest.FixtureRequest, objects_of: MakeObjects
) -> None:
    space = request.getfixturevalue(kind)
    every = Shots.every(space, objects_of(3, 3))
    shots, history = split(every, np.random.default_rng(2).permutation(len(every))[:48])
    expected = asked(rule, shots, history, 30)
    again = asked(rule, shots, history, 30)
    assert (again.rows.tolist(), again.gain.tolist(), again.reason) == (
        expected.rows.tolist(), expected.gain.tolist(), expected.reason,
    )  # fmt: skip

    rows, past = np.random.default_rng(3).permutation(len(shots)), np.random.default_rng(4).permutation(48)
    assert history.beliefs is not None
    assert history.features is not None
    mixed = History(shots=history.shots.take(past), features=history.features[past], beliefs=history.beliefs[past])
    assert rows[asked(rule, shots.take(rows), mixed, 30).rows].tolist() == expected.rows.tolist()

    turn, wrap = np.zeros(len(space.axes)), np.full(len(space.axes), 1e9)
    turn[0], wrap[0] = 45.0, 360.0

    def moved(table: Shots) -> Shots:
        return replace(table, space=space.turned("azimuth", 45.0), coordinates=np.mod(table.coordinates + turn, wrap))

    turned = asked(rule, moved(shots), replace(history, shots=moved(history.shots)), 30)
    assert turned.rows.tolist() == expected.rows.tolist()


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("counts", [(1, 1, 1), (3, 3), (2, 1), (1,)])
@pytest.mark.parametrize("captures", [[0], [0, 0], [0, 48], list(range(60))])
def test_hard_inputs_give_a_plan(
    rule: Strategy, counts: tuple[int, ...], captures: list[int], small: Space, objects_of: MakeObjects
) -> None:
    every = Shots.every(small, objects_of(*counts))
    rows = np.array([row for row in captures if row < min(len(every), 90)])
    shots, history = split(every, rows)
    n_classes = len(every.objects.classes)
    n = min(12, len(shots))
    if n == 0:
        return
    for row in (np.full(n_classes, 1.0 / n_classes), np.eye(n_classes)[0]):
        flat = replace(history, beliefs=np.tile(row, (len(rows), 1)).astype(np.float32))
        asked(rule, shots, flat, n)
    asked(rule, shots, history, n)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_axes_of_one_level(rule: Strategy, objects_of: MakeObjects) -> None:
    space = Space(
        axes=(
            Circle(name="azimuth", values=(0.0, 90.0, 180.0, 270.0)),
            Interval(name="elevation", values=(30.0,), unit="deg"),
        )
    )
    shots, history = split(Shots.every(space, objects_of(3, 3)), np.arange(0, 24, 2))
    asked(rule, shots, history, 12)
    one = Space(axes=(Interval(name="elevation", values=(30.0,), unit="deg"),))
    shots, history = split(Shots.every(one, objects_of(3, 3)), np.array([0, 1, 3]))
    asked(rule, shots, history, 3)


@pytest.mark.parametrize("rule", [Allocate(), Difficulty()], ids=repr)
def test_beliefs_that_are_no_numbers_are_refused(rule: Strategy, small: Space, objects_of: MakeObjects) -> None:
    shots, history = split(Shots.every(small, objects_of(3, 3)), np.arange(0, 280, 7))
    with pytest.raises(StrategyError, match="beliefs"):
        asked(rule, shots, replace(history, beliefs=np.full((40, 2), np.nan, dtype=np.float32)), 10)


def test_auto_is_the_lattice_whatever_is_known(norb: Space, objects_of: MakeObjects) -> None:
    every = Shots.every(norb, objects_of(5, 5))
    shots, clear = split(every, Lattice().propose(every, History.empty(every), 60, 1).rows, spread=0.7)
    assert Auto().propose(shots, clear, 60, 1).rows.tolist() == Lattice().propose(shots, clear, 60, 1).rows.tolist()


def test_more_shots_go_to_the_objects_chosen(small: Space, objects_of: MakeObjects) -> None:
    every = Shots.every(small, objects_of(4, 4))
    shots, history = split(every, np.arange(8) * 48, spread=0.6)
    choice = asked(ChooseObjects(share=0.5), shots, history, 40)
    assert np.bincount(shots.object_rows[choice.rows], minlength=8).tolist() == [0, 0, 10, 10, 0, 0, 10, 10]
    both = np.concatenate([np.arange(8) * 48, np.searchsorted(every_numbers(every), every_numbers(shots)[choice.rows])])
    rest, later = split(every, both, spread=-0.2)
    again = asked(ChooseObjects(share=0.5), rest, later, 20)
    assert set(rest.object_rows[again.rows].tolist()) == {2, 3, 6, 7}


def every_numbers(shots: Shots) -> np.ndarray:
    """A number for each shot of the grid of 48 views, ascending in a full table."""
    views = shots.space.views()
    view = [int(np.flatnonzero((views == row).all(axis=1))[0]) for row in shots.coordinates]
    return np.asarray(shots.object_rows * 48 + view)


def test_a_curve_is_found_again() -> None:
    shots = np.array([[5.0, 10.0, 20.0, 40.0]] * 2)
    errors = np.stack([0.9 * shots[0] ** -0.5 + 0.05, 0.3 * shots[1] ** -0.5])
    curves = fit_curves(("a", "b"), shots, errors)
    assert curves.exponent == pytest.approx(0.5)
    assert curves.of("a", 80.0) == pytest.approx(0.9 * 80.0**-0.5 + 0.05, abs=1e-6)
    # least sum of a / n^b under a given sum of n: n in proportion to a^(1 / (1 + b))
    full = curves.shares(trust=1.0)
    assert full["a"] / full["b"] == pytest.approx(3.0 ** (1.0 / 1.5))
    assert 1.0 < curves.shares()["a"] < full["a"]
    assert sum(curves.shares().values()) == pytest.approx(2.0)


def test_curves_fall_and_tell_the_difficult_class(small: Space, objects_of: MakeObjects) -> None:
    every = Shots.every(small, objects_of(4, 4, 4))
    rows = np.concatenate([np.arange(16) * 3 + 48 * number for number in range(12)])
    _, history = split(every, rows)
    draw = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 9.0, 0.0, 0.0]])
    features = centres[history.shots.class_rows] + draw.standard_normal((len(rows), 4))
    curves = learning_curves(replace(history, features=features.astype(np.float32)), seed=0)
    assert curves is not None
    assert curves.of("human", 64.0) < min(curves.of("animal", 64.0), curves.of("car", 64.0))


@pytest.mark.parametrize("wrong", [{"by": "luck"}, {"share": 0.0}, {"share": 1.5}])
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(StrategyError, match="choose-objects"):
        ChooseObjects(**wrong)  # type: ignore[arg-type]


def test_unknown_rules_are_named() -> None:
    with pytest.raises(StrategyError, match="did you mean 'curves'"):
        Allocate(by="curve")


@pytest.mark.parametrize("name", sorted(LEFT))
def test_a_rule_that_left_is_found_by_its_hint(name: str) -> None:
    with pytest.raises(StrategyError) as caught:
        find_strategy(name)
    target = caught.value.hint.rpartition(" ")[2]
    assert find_strategy(target).name == name
