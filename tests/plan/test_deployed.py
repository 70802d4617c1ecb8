"""Weights of views: every rule honours them, keeps its contract, and is itself where all views count alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from acqplan.errors import BudgetError, StrategyError
from acqplan.plan import STRATEGIES, find_strategy
from acqplan.plan.base import Choice, History, Strategy, check_choice, learns
from acqplan.plan.deployed import Deployed, deployed, view_rows
from acqplan.plan.variance import Variance
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space

MakeObjects = Callable[..., Objects]
Split = Callable[..., tuple[Shots, History]]
NAMES = sorted(STRATEGIES)
EXACT = sorted(name for name in STRATEGIES if find_strategy(name).exact)
IN_STRATA = sorted(set(EXACT) - {"variance"})


def asked(strategy: Strategy, shots: Shots, n: int, *, history: History | None = None, seed: int = 0) -> Choice:
    choice = strategy.propose(shots, history or History.empty(shots), n, seed)
    return check_choice(choice, shots, n, strategy=strategy)


def as_bytes(choice: Choice) -> bytes:
    return choice.rows.tobytes() + choice.gain.tobytes() + "\n".join(choice.reason).encode()


def totals(shots: Shots) -> np.ndarray:
    return np.bincount(shots.object_rows, minlength=len(shots.objects))


def low_half(space: Space) -> np.ndarray:
    """Views below the highest elevation."""
    elevation = space.views()[:, space.index("elevation")]
    return (elevation < elevation.max()).astype(np.float64)


def four_weights(space: Space) -> np.ndarray:
    """Weights 0, 1, 2 and 5 for quarters of the circle."""
    return np.array([0.0, 1.0, 2.0, 5.0])[(space.views()[:, 0] // 90.0).astype(int)]


@pytest.mark.parametrize("name", NAMES)
def test_is_a_strategy_with_the_capabilities_of_its_rule(name: str, small: Space) -> None:
    rule = find_strategy(name)
    wrapped = deployed(rule, low_half(small))
    assert isinstance(wrapped, Strategy)
    assert isinstance(wrapped, Deployed)
    assert (wrapped.name, wrapped.exact, wrapped.turns) == (rule.name, rule.exact, rule.turns)
    assert learns(wrapped) == learns(rule)
    assert deployed(rule, None) is rule


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["small", "photographs"])
def test_weights_all_alike_leave_the_rule_as_it_is(
    name: str, kind: str, request: pytest.FixtureRequest, objects_of: MakeObjects, captured: Split
) -> None:
    space, rule = request.getfixturevalue(kind), find_strategy(name)
    shots, history = captured(Shots.every(space, objects_of(2, 3)), np.arange(0, 60, 7))
    alike = deployed(rule, np.full(space.n_views, 0.1))
    assert as_bytes(asked(alike, shots, 31, history=history)) == as_bytes(asked(rule, shots, 31, history=history))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [3, 8, 61, 191, 192])
def test_keeps_the_contract_on_a_grid(name: str, n: int, small: Space, objects_of: MakeObjects) -> None:
    shots, wrapped = Shots.every(small, objects_of(2, 2)), deployed(find_strategy(name), four_weights(small))
    choice = asked(wrapped, shots, n)
    assert len(choice.rows) == n or not wrapped.exact
    assert as_bytes(asked(wrapped, shots, n)) == as_bytes(choice)
    assert all(0 < len(reason) <= 80 for reason in choice.reason)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n", [4, 61, 100])
def test_keeps_the_contract_on_a_table(name: str, n: int, photographs: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(photographs, objects_of(2, 2))
    wrapped = deployed(find_strategy(name), np.arange(photographs.n_views) ** 2.0)
    assert len(asked(wrapped, shots, n).rows) == n or not wrapped.exact


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["small", "photographs"])
def test_order_of_rows_and_objects_does_not_matter(
    name: str, kind: str, request: pytest.FixtureRequest, objects_of: MakeObjects
) -> None:
    space = request.getfixturevalue(kind)
    shots, wrapped = Shots.every(space, objects_of(2, 3)), deployed(find_strategy(name), four_weights(space))
    mixed = shots.take(np.random.default_rng(1).permutation(len(shots)))
    renumbered = replace(
        mixed,
        objects=Objects(names=shots.objects.names[::-1], labels=shots.objects.labels[::-1]),
        object_rows=np.arange(len(shots.objects))[::-1][mixed.object_rows],
    )
    expected = shots.take(asked(wrapped, shots, 31).rows).pairs()
    assert renumbered.take(asked(wrapped, renumbered, 31).rows).pairs() == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("kind", "step"), [("small", 30.0), ("photographs", 0.7)])
def test_turning_space_and_weights_turns_the_plan(
    name: str, kind: str, step: float, request: pytest.FixtureRequest, objects_of: MakeObjects, captured: Split
) -> None:
    space = request.getfixturevalue(kind)
    # weights stand in the order of the views, which turn with the space
    wrapped = deployed(find_strategy(name), four_weights(space))
    shots, history = captured(Shots.every(space, objects_of(2, 2)), np.arange(0, 60, 7))
    turn, wrap = np.zeros(len(space.axes)), np.full(len(space.axes), 1e9)
    turn[0], wrap[0] = step, 360.0

    def moved(table: Shots) -> Shots:
        return replace(table, space=space.turned("azimuth", step), coordinates=np.mod(table.coordinates + turn, wrap))

    turned = asked(wrapped, moved(shots), 30, history=History(shots=moved(history.shots)))
    assert as_bytes(turned) == as_bytes(asked(wrapped, shots, 30, history=history))


@pytest.mark.parametrize("name", IN_STRATA)
@pytest.mark.parametrize("n", [5, 16, 40, 77])
def test_shares_follow_the_weights_within_one_shot(name: str, n: int, small: Space, objects_of: MakeObjects) -> None:
    shots, weights = Shots.every(small, objects_of(3, 3)), four_weights(small)
    chosen = shots.take(asked(deployed(find_strategy(name), weights), shots, n).rows)
    met = weights[view_rows(chosen)]
    for weight in (1.0, 2.0, 5.0):
        assert abs((met == weight).sum() - n * weight / 8.0) <= 1.0
        assert np.ptp(totals(chosen.take(np.flatnonzero(met == weight)))) <= 1


@pytest.mark.parametrize("name", NAMES)
def test_views_of_weight_0_wait_for_all_others(name: str, small: Space, objects_of: MakeObjects) -> None:
    shots, weights = Shots.every(small, objects_of(2, 2)), low_half(small)
    wrapped = deployed(find_strategy(name), weights)
    met = weights[view_rows(shots.take(asked(wrapped, shots, 70).rows))]
    assert met.min() == 1.0
    choice = asked(wrapped, shots, 110)
    met = weights[view_rows(shots.take(choice.rows))]
    told = np.array([reason.startswith("weight 0, all others are taken: ") for reason in choice.reason])
    assert np.array_equal(told, met == 0.0)
    assert (np.diff(met) <= 0.0).all()
    if wrapped.exact:
        assert met.sum() == 96


@pytest.mark.parametrize("name", EXACT)
def test_a_range_is_planned_as_a_space_of_its_own(name: str, small: Space, objects_of: MakeObjects) -> None:
    # a lamp and an elevation left out: the plan is that for a rig which lacks them
    azimuth, elevation = small.axes[0], Interval(name="elevation", values=(10.0,), unit="deg")
    views, lamp = small.views(), Category(name="lighting", values=("bright",))
    weights = ((views[:, 1] == 10.0) & (views[:, 2] == 1.0)).astype(np.float64)
    shots = Shots.every(small, objects_of(2, 2))
    lacking = Space(axes=(azimuth, elevation, lamp))
    own = Shots.every(lacking, shots.objects)
    chosen = shots.take(asked(deployed(find_strategy(name), weights), shots, 21).rows)
    expected = own.take(asked(find_strategy(name), own, 21).rows)
    assert chosen.names == expected.names
    assert chosen.views() == expected.views()


@pytest.mark.parametrize("name", IN_STRATA)
def test_captures_count_where_they_lie(name: str, small: Space, objects_of: MakeObjects, captured: Split) -> None:
    shots, weights = Shots.every(small, objects_of(2, 2)), four_weights(small)
    first = np.flatnonzero(weights[view_rows(shots)] == 5.0)[:20]
    rest, history = captured(shots, first)
    wrapped = deployed(find_strategy(name), weights)
    together = history.shots.join(rest.take(asked(wrapped, rest, 44, history=history).rows))
    met = weights[view_rows(together)]
    assert [(met == weight).sum() for weight in (0.0, 1.0, 2.0, 5.0)] == [0, 8, 16, 40]
    heavy = totals(together.take(np.flatnonzero(met == 5.0)))
    assert heavy[0] == 12  # the captures of one object
    assert np.ptp(heavy[1:]) <= 1


def test_small_rounds_add_up_to_the_weights(small: Space, objects_of: MakeObjects) -> None:
    shots, weights = Shots.every(small, objects_of(3, 3)), four_weights(small)
    wrapped, taken = deployed(find_strategy("lattice"), weights), np.empty(0, dtype=np.int64)
    for _ in range(16):  # two at a time: the largest remainder alone would never reach the light views
        left = np.setdiff1d(np.arange(len(shots)), taken)
        choice = asked(wrapped, shots.take(left), 2, history=History(shots=shots.take(taken)))
        taken = np.concatenate([taken, left[choice.rows]])
    met = weights[view_rows(shots.take(taken))]
    assert [(met == weight).sum() for weight in (0.0, 1.0, 2.0, 5.0)] == [0, 4, 8, 20]
    assert np.ptp(totals(shots.take(taken))) <= 2


@pytest.mark.parametrize("name", IN_STRATA)
def test_few_shots_reach_as_many_objects(name: str, small: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(small, objects_of(4, 4))
    chosen = shots.take(asked(deployed(find_strategy(name), four_weights(small)), shots, 8).rows)
    assert totals(chosen).tolist() == [1] * 8


def test_a_range_across_zero_is_one_arc(norb: Space, objects_of: MakeObjects) -> None:
    around = Space(axes=(Circle(name="azimuth", values=norb.axes[0].codes().tolist()), *norb.axes[1:]))
    azimuth = around.views()[:, 0]
    arcs = [(azimuth <= 80.0), (azimuth >= 320.0) | (azimuth <= 40.0)]
    shots = Shots.every(around, objects_of(2, 2))
    plans = [
        shots.take(asked(deployed(find_strategy("lattice"), arc.astype(np.float64)), shots, 40).rows) for arc in arcs
    ]
    apart = np.mod(plans[0].coordinates[:, 0] - plans[1].coordinates[:, 0], 360.0)
    assert set(apart.tolist()) == {40.0}


def test_features_of_a_stratum_reach_its_rule(small: Space, objects_of: MakeObjects, captured: Split) -> None:
    shots, history = captured(Shots.every(small, objects_of(2, 3)), np.arange(0, 200, 3))
    noise = np.random.default_rng(0)
    seen = replace(
        history,
        features=noise.standard_normal((len(history), 6)).astype(np.float32),
        beliefs=noise.dirichlet([1.0, 1.0], len(history)).astype(np.float32),
    )
    for name in NAMES:
        if learns(find_strategy(name)):
            for weights in (low_half(small), four_weights(small)):
                assert len(asked(deployed(find_strategy(name), weights), shots, 40, history=seen).rows) == 40


def test_variance_weighs_views_itself(small: Space, objects_of: MakeObjects) -> None:
    weights = np.where(small.views()[:, 1] == 10.0, 1.0, 3.0)
    shots = Shots.every(small, objects_of(2, 2))
    native = asked(Variance(view_weights=tuple(weights.tolist())), shots, 30)
    assert as_bytes(asked(deployed(Variance(), 7.0 * weights), shots, 30)) != as_bytes(asked(Variance(), shots, 30))
    assert np.array_equal(asked(deployed(Variance(), 3.0 * weights), shots, 30).rows, native.rows)


@pytest.mark.parametrize("weights", [(), (0.0, 0.0), (1.0, -1.0), (1.0, float("nan")), (float("inf"), 1.0)])
def test_weights_that_are_none_are_refused(weights: tuple[float, ...]) -> None:
    with pytest.raises(StrategyError, match="numbers from 0 on, some above"):
        Deployed(rule=find_strategy("lattice"), view_weights=weights)


def test_weights_of_another_space_and_weights_given_twice_are_refused(small: Space, objects_of: MakeObjects) -> None:
    shots = Shots.every(small, objects_of(2))
    with pytest.raises(StrategyError, match="2 weights of views, the space has 48; give one for each view"):
        asked(deployed(find_strategy("lattice"), np.array([1.0, 2.0])), shots, 5)
    with pytest.raises(StrategyError, match="strategy 'variance' has weights of views of its own"):
        deployed(Variance(view_weights=(1.0, 2.0)), np.array([1.0, 2.0]))
    with pytest.raises(BudgetError):
        deployed(find_strategy("lattice"), low_half(small)).propose(shots, History.empty(shots), 97, 0)
