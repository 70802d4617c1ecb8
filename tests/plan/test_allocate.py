"""Soft errors, what is believed of them, and the totals that follow them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acqplan.errors import StrategyError
from acqplan.plan.allocate import Allocate
from acqplan.plan.base import Choice, History, check_choice
from acqplan.plan.errors_by_view import SoftErrors, expected_errors, soft_errors
from acqplan.plan.lattice import Lattice
from acqplan.plan.quotas import even_quotas, weighted_quotas
from acqplan.plan.situation import Situation
from acqplan.space import Objects, Shots, Space

MakeObjects = Callable[..., Objects]


def seen(shots: Shots, errors: np.ndarray) -> History:
    """A history in which each shot's soft error is as given."""
    n_classes = len(shots.objects.classes)
    beliefs = np.repeat((errors / max(n_classes - 1, 1))[:, None], n_classes, axis=1)
    beliefs[np.arange(len(shots)), shots.class_rows] = 1.0 - errors
    return History(shots=shots, beliefs=beliefs.astype(np.float32))


def after_lattice(space: Space, objects: Objects, n: int, of_object: np.ndarray) -> tuple[Shots, History]:
    """What is left after a first round of the lattice, with the same soft error in all shots of an object."""
    every = Shots.every(space, objects)
    rows = Lattice().propose(every, History.empty(every), n, 3).rows
    taken = every.take(rows)
    wobble = np.tile([-0.01, 0.01], n)[:n]
    left = np.setdiff1d(np.arange(len(every)), rows)
    return every.take(left), seen(taken, np.clip(of_object[taken.object_rows] + wobble, 0.0, 1.0))


def totals(history: History, shots: Shots, choice: Choice) -> list[int]:
    both = history.shots.join(shots.take(choice.rows))
    return np.bincount(both.object_rows, minlength=len(shots.objects)).tolist()


def table(*groups: list[list[float]]) -> SoftErrors:
    """Soft errors of objects, class by class."""
    names = [(f"{label}{number}", label, own) for label, group in zip("abc", groups, strict=False)
             for number, own in enumerate(group)]  # fmt: skip
    return SoftErrors(
        names=tuple(name for name, _, _ in names),
        labels=tuple(label for _, label, _ in names),
        views=tuple(np.arange(len(own)) for _, _, own in names),
        errors=tuple(np.array(own) for _, _, own in names),
    )


def test_soft_errors_by_hand(small: Space, objects_of: MakeObjects) -> None:
    # the second class has one object, which no head knows without: it is not judged
    shots = Shots.every(small, objects_of(2, 1)).take([5, 2, 50, 100])
    found = soft_errors(seen(shots, np.array([0.1, 0.2, 0.7, 0.9])))
    assert found is not None
    assert found.names == ("animal-00", "animal-01")
    assert [own.tolist() for own in found.views] == [[2, 5], [2]]
    np.testing.assert_allclose(found.means, [0.15, 0.7], atol=1e-6)


@pytest.mark.parametrize("rows", [[], [3], [3, 100]])
def test_nothing_is_known_without_two_objects_of_a_class(
    small: Space, objects_of: MakeObjects, rows: list[int]
) -> None:
    shots = Shots.every(small, objects_of(2, 1)).take(rows)
    assert soft_errors(seen(shots, np.full(len(rows), 0.5))) is None
    assert soft_errors(History(shots=shots)) is None


@pytest.mark.parametrize("wrong", [np.full((2, 2), np.nan), np.full((2, 2), 3.0), np.zeros((2, 1)), np.zeros((1, 2))])
def test_beliefs_that_are_none_are_refused(small: Space, objects_of: MakeObjects, wrong: np.ndarray) -> None:
    shots = Shots.every(small, objects_of(2, 1))
    history = History(shots=shots.take([0, 50]), beliefs=wrong.astype(np.float32))
    with pytest.raises(StrategyError, match="beliefs"):
        Allocate().propose(shots.take(np.arange(100, 140)), history, 1, 0)


def test_means_are_believed_as_far_as_they_are_no_noise() -> None:
    # by hand: noise .02 a shot, .01 a mean of two; means .1 and .5 differ with variance .08, of which .07 is theirs
    found = expected_errors(table([[0.0, 0.2], [0.4, 0.6]]))
    assert found.reliability == pytest.approx(0.875)
    assert found.of_objects["a0"] == pytest.approx(0.3 - 0.875 * 0.2)
    assert found.of_objects["a1"] == pytest.approx(0.3 + 0.875 * 0.2)
    assert found.of("a7", "a") == found.of("z", "z") == pytest.approx(0.3)


def test_noise_is_not_believed() -> None:
    found = expected_errors(table([[0.1, 0.9], [0.2, 0.8]], [[0.3, 0.7], [0.0, 1.0]]))
    assert found.reliability == 0.0
    assert set(found.of_objects.values()) == {0.5}


def test_with_one_shot_an_object_only_classes_can_differ() -> None:
    found = expected_errors(table([[0.10], [0.12], [0.11]], [[0.80], [0.82], [0.81]]))
    assert found.reliability == 0.0
    assert len(set(found.of_objects.values())) == 2
    assert found.of("a0", "a") == pytest.approx(0.11, abs=0.01)
    assert found.of("b2", "b") == pytest.approx(0.81, abs=0.01)


def test_reliability_is_what_halves_of_the_shots_would_show() -> None:
    draw = np.random.default_rng(0)
    true = draw.normal(0.5, 0.1, 400)
    shots = true[:, None] + draw.normal(0.0, 0.2, (400, 8))
    halves = np.corrcoef(shots[:, ::2].mean(axis=1), shots[:, 1::2].mean(axis=1))[0, 1]
    found = expected_errors(table(shots.tolist()))
    assert found.reliability == pytest.approx(2.0 * halves / (1.0 + halves), abs=0.03)


@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 5), st.integers(1, 6), st.floats(0.0, 4.0)), min_size=2, max_size=7
    ),
    share=st.floats(0.0, 1.0),
    floor=st.floats(0.0, 1.0),
    ceiling=st.floats(1.0, 3.0),
)  # fmt: skip
@settings(max_examples=80, deadline=None, derandomize=True)
def test_quotas_add_up_within_bounds(
    pairs: list[tuple[int, int, float]], share: float, floor: float, ceiling: float
) -> None:
    situation = _situation([taken for taken, _, _ in pairs], [free for _, free, _ in pairs])
    n = max(round(share * sum(free for _, free, _ in pairs)), 1)
    shares = np.array([wanted for _, _, wanted in pairs])
    quota = weighted_quotas(situation, n, shares, 0, floor=floor, ceiling=ceiling)
    assert quota.sum() == n
    assert (quota >= 0).all()
    assert (quota <= situation.n_free).all()


def test_quotas_follow_shares_between_floor_and_ceiling() -> None:
    situation = _situation([4, 4, 4, 4], [40, 40, 40, 40])
    shares = np.array([0.1, 0.8, 1.1, 2.0])
    quota = weighted_quotas(situation, 24, shares, 0, floor=0.6, ceiling=1.5)
    # totals of 40 in all, 10 in the mean: 6 at least, 15 at most, the rest by shares less what the bounds cost
    assert (quota + 4).tolist() == [6, 8, 11, 15]


def test_equal_shares_are_even_quotas() -> None:
    situation = _situation([4, 0, 2, 5], [10, 3, 10, 10])
    even = even_quotas(situation, 13, 7)
    assert weighted_quotas(situation, 13, np.ones(4), 7, floor=0.5, ceiling=2.0).tolist() == even.tolist()


def test_more_shots_of_what_is_wrong(small: Space, objects_of: MakeObjects) -> None:
    errors = np.array([0.1, 0.1, 0.1, 0.2, 0.2, 0.8])
    shots, history = after_lattice(small, objects_of(3, 3), 36, errors)
    choice = check_choice(Allocate().propose(shots, history, 36, 3), shots, 36, strategy=Allocate())
    found = totals(history, shots, choice)
    assert found[5] > found[3] > found[0]
    assert sum(found) == 72
    assert min(found) >= 6
    assert max(found) <= 24
    # half of each total is the equal share, half in proportion to the errors
    np.testing.assert_allclose(found, 6.0 + 36.0 * errors / errors.sum(), atol=1.5)
    assert all(reason.startswith("errors known to 9") or "100%" in reason for reason in choice.reason)


@pytest.mark.parametrize("kind", ["small", "photographs"])
def test_equal_errors_give_the_views_of_equal_shares(
    kind: str, request: pytest.FixtureRequest, objects_of: MakeObjects
) -> None:
    shots, history = after_lattice(request.getfixturevalue(kind), objects_of(3, 2), 20, np.full(5, 0.4))
    history = seen(history.shots, np.full(20, 0.4))
    ours, plain = (rule.propose(shots, history, 23, 5) for rule in (Allocate(), Lattice()))
    assert set(ours.rows.tolist()) == set(plain.rows.tolist())


def test_a_pilot_is_not_enough(small: Space, objects_of: MakeObjects) -> None:
    shots, history = after_lattice(small, objects_of(3, 3), 12, np.array([0.1, 0.1, 0.1, 0.2, 0.2, 0.8]))
    ours, plain = (rule.propose(shots, history, 48, 5) for rule in (Allocate(), Lattice()))
    assert ours.rows.tobytes() == plain.rows.tobytes()


def test_order_of_rows_does_not_matter(small: Space, objects_of: MakeObjects) -> None:
    errors = np.array([0.1, 0.3, 0.2, 0.5, 0.9])
    shots, history = after_lattice(small, objects_of(2, 3), 30, errors)
    back = np.random.default_rng(0).permutation(len(shots)), np.random.default_rng(1).permutation(30)
    assert history.beliefs is not None
    mixed = replace(history, shots=history.shots.take(back[1]), beliefs=history.beliefs[back[1]])
    one, other = Allocate().propose(shots, history, 30, 2), Allocate().propose(shots.take(back[0]), mixed, 30, 2)
    assert back[0][other.rows].tolist() == one.rows.tolist()


@pytest.mark.parametrize(
    "wrong", [{"tilt": 1.1}, {"floor": -0.1}, {"ceiling": 0.9}, {"power": -1.0}, {"pilot": 2.0}, {"power": np.nan}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(StrategyError, match="allocate"):
        Allocate(**wrong)  # type: ignore[arg-type]


def _situation(n_taken: list[int], n_free: list[int]) -> Situation:
    n_objects, n_views = len(n_taken), max(map(int.__add__, n_taken, n_free))
    names = tuple(f"object-{number}" for number in range(n_objects))
    every = np.arange(n_views)
    return Situation(
        space=None,  # type: ignore[arg-type]
        views=np.zeros((n_views, 1)),
        names=names,
        labels=tuple("ab"[number % 2] for number in range(n_objects)),
        free=tuple(every[taken : taken + free] for taken, free in zip(n_taken, n_free, strict=True)),
        rows=tuple(every[:free] for free in n_free),
        taken=tuple(every[:taken] for taken in n_taken),
    )
