"""Bayesian optimisation of the design: what it finds, when it stands back, and how sub-plans are scored."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from acqplan.errors import StrategyError
from acqplan.plan.base import Choice, History, Situation, check_choice
from acqplan.plan.bayes import Bayes, chance_of, taken_objects
from acqplan.plan.deployed import deployed
from acqplan.plan.lattice import Lattice
from acqplan.plan.sub_plans import RIDGE, SOFTNESS, DesignShares, SubPlans
from acqplan.space import Circle, Interval, Objects, Shots, Space, parse_values

MakeObjects = Callable[..., Objects]
QUICK = Bayes(evaluations=10, batch=4, repeats=2, level=1.0)
"""Few evaluations, and no doubt: the best design is used wherever it is better at all."""


@pytest.fixture(scope="module")
def rings() -> Space:
    """A grid of 162 views."""
    return Space(
        axes=(
            Circle(name="azimuth", values=parse_values("0:340:20")),
            Interval(name="elevation", values=parse_values("30:70:5"), unit="deg"),
        )
    )


def bumps(shots: Shots) -> np.ndarray:
    """Each class looks different from every azimuth, and the same from every elevation."""
    draw = np.random.default_rng(0)
    apart = np.abs(shots.coordinates[:, :1] - np.arange(0.0, 360.0, 20.0))
    near = np.exp(-0.5 * (np.minimum(apart, 360.0 - apart) / 12.0) ** 2)
    looks = draw.standard_normal((len(shots.objects.classes), near.shape[1], 40))
    signal = np.einsum("sk,skd->sd", near, looks[shots.class_rows])
    return np.asarray(signal + 0.5 * draw.standard_normal(signal.shape))


def noise(shots: Shots) -> np.ndarray:
    """Features that tell nothing."""
    return np.random.default_rng(1).standard_normal((len(shots), 10))


def confused(shots: Shots) -> np.ndarray:
    """The first two classes differ little and their views much; the other classes are plain to see."""
    draw = np.random.default_rng(0)
    looks = draw.standard_normal((len(shots.objects.classes), 60))
    looks[1] = looks[0] + 0.45 * draw.standard_normal(60)
    spread = np.where(shots.class_rows < 2, 1.6, 0.3)[:, None]
    return np.asarray(looks[shots.class_rows] + spread * draw.standard_normal((len(shots), 60)))


def even(every: Shots) -> np.ndarray:
    return Lattice().propose(every, History.empty(every), 6 * len(every.objects), 0).rows


def after(
    every: Shots, rows: np.ndarray, see: Callable[[Shots], np.ndarray], *, beliefs: bool = False
) -> tuple[Shots, History]:
    taken, n_classes = every.take(rows), len(every.objects.classes)
    believed = np.random.default_rng(3).dirichlet(np.ones(n_classes), len(rows)).astype(np.float32)
    believed[taken.object_rows == 0] = np.eye(n_classes, dtype=np.float32)[-1]  # one difficult object
    history = History(
        shots=taken, features=see(taken).astype(np.float32), beliefs=believed if beliefs else None
    )  # fmt: skip
    return every.take(np.setdiff1d(np.arange(len(every)), rows)), history


def trial_of(history: History) -> SubPlans:
    trial = SubPlans.of(history, repeats=4, seed=0)
    assert trial is not None
    return trial


def asked(strategy: Bayes, shots: Shots, history: History, n: int) -> Choice:
    choice = check_choice(strategy.propose(shots, history, n, 1), shots, n, strategy=strategy)
    assert all(0 < len(reason) <= 80 for reason in choice.reason)
    return choice


def as_bytes(choice: Choice) -> bytes:
    return choice.rows.tobytes() + choice.gain.tobytes() + "\n".join(choice.reason).encode()


def test_it_gives_more_to_classes_that_are_confused(rings: Space, objects_of: MakeObjects) -> None:
    every = Shots.every(rings, objects_of(8, 8, 8, 8))
    shots, history = after(every, even(every), confused)
    rule = Bayes(evaluations=24, level=1.0)
    trial = trial_of(history)
    found = rule.search(trial, Situation.of(shots, history), 192, 1)
    assert found.gain > 0.0
    assert found.design.tilt > 0.5
    assert found.errors[:2].min() > found.errors[2:].max()
    choice = asked(rule, shots, history, 192)
    assert choice.reason[0].startswith("bayes +")
    counts = np.bincount(shots.class_rows[choice.rows], minlength=4)
    assert counts[:2].min() > counts[2:].max()


def test_objects_that_cost_much_are_left_aside(rings: Space, objects_of: MakeObjects) -> None:
    every = Shots.every(rings, objects_of(8, 8, 8))
    rows = even(every)
    shots, history = after(every, rows[every.object_rows[rows] % 8 < 4], bumps)
    situation, trial = Situation.of(shots, history), trial_of(history)
    design = Bayes(object_cost=1e4).search(trial, situation, 60, 1).design
    assert len(taken_objects(situation, design.objects, 1)) <= 15 < len(taken_objects(situation, 1.0, 1))


def test_it_lays_the_lattice_where_features_tell_nothing(rings: Space, objects_of: MakeObjects) -> None:
    every = Shots.every(rings, objects_of(5, 5))
    shots, history = after(every, even(every), noise, beliefs=True)
    choice = asked(replace(QUICK, level=0.05), shots, history, 30)
    plain = Lattice().propose(shots, history, 30, 1)
    assert choice.rows.tobytes() == plain.rows.tobytes()
    assert choice.reason[0].startswith("bayes: nothing beat the lattice: lattice point ")


@pytest.mark.parametrize("kind", ["small", "photographs"])
def test_only_what_was_captured_counts_and_in_no_order(
    kind: str, request: pytest.FixtureRequest, objects_of: MakeObjects
) -> None:
    space = request.getfixturevalue(kind)
    every = Shots.every(space, objects_of(3, 3))
    taken = np.random.default_rng(2).permutation(len(every))[:40]
    shots, history = after(every, np.append(taken, taken[:1]), bumps, beliefs=True)
    state = torch.random.get_rng_state()
    expected = asked(QUICK, shots, history, 30)
    assert expected.reason[0].startswith("bayes")
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(7)
    assert as_bytes(asked(QUICK, shots, history, 30)) == as_bytes(expected)

    rows, past = np.random.default_rng(3).permutation(len(shots)), np.random.default_rng(4).permutation(41)
    back = np.arange(len(every.objects))[::-1]
    objects = Objects(names=every.objects.names[::-1], labels=every.objects.labels[::-1])
    turn, wrap = np.zeros(len(space.axes)), np.full(len(space.axes), 1e9)
    turn[0], wrap[0] = 45.0, 360.0

    def moved(table: Shots) -> Shots:
        coordinates = np.mod(table.coordinates + turn, wrap)
        return replace(
            table,
            space=space.turned("azimuth", 45.0),
            coordinates=coordinates,
            objects=objects,
            object_rows=back[table.object_rows],
        )

    assert history.features is not None
    assert history.beliefs is not None
    mixed = History(
        shots=moved(history.shots.take(past)), features=history.features[past], beliefs=history.beliefs[past]
    )
    again = asked(QUICK, moved(shots.take(rows)), mixed, 30)
    assert rows[again.rows].tolist() == expected.rows.tolist()
    assert again.reason == expected.reason


def test_sub_plans_are_scored_by_regressions_that_never_saw_the_object(rings: Space, objects_of: MakeObjects) -> None:
    every = Shots.every(rings, objects_of(3, 4, 1))
    _, history = after(every, np.random.default_rng(0).permutation(len(every))[:80], bumps)
    trial = trial_of(history)
    designs = [DesignShares(), DesignShares(objects=0.5, shots=0.4), DesignShares(tilt=1.0)]
    errors = np.array([0.4, 0.1, 0.1])
    used, found = trial.scores(designs, errors)
    truth = trial.class_of[trial.owner]
    for row, design in enumerate(designs):
        sums, n_parts = np.zeros(len(trial.captured.names)), 0
        for repeat, fold in enumerate(trial.fold):
            for left in range(int(trial.fold.max()) + 1):
                plan = trial.shots_of(design, errors, repeat, left)
                assert not set(trial.owner[plan]) & set(np.flatnonzero(fold == left))
                targets = np.eye(3)[truth[plan]]
                inner = trial.gram[np.ix_(plan, plan)] + RIDGE * np.eye(len(plan))
                scores = trial.gram[:, plan] @ np.linalg.inv(inner) @ (targets - targets.mean(axis=0))
                scores = torch.from_numpy((scores + targets.mean(axis=0)) / SOFTNESS)
                believed = torch.softmax(scores, dim=1).numpy()[np.arange(len(truth)), truth]
                for number in np.flatnonzero(fold == left):
                    sums[number] += believed[trial.owner == number].mean() / len(trial.fold)
                n_parts += 1
        np.testing.assert_allclose(found[row], sums[:7], atol=1e-8)  # the last object is alone in its class
    assert used[0, 0] > used[1, 0] >= 1.0
    assert used[0, 1] > 2.0 * used[1, 1]
    whole, tilted = (np.bincount(truth[trial.shots_of(design, errors, 0, 0)]) for design in (designs[0], designs[2]))
    assert (tilted <= whole).all()
    assert tilted[1] < whole[1]


@pytest.mark.filterwarnings("ignore:A not p.d.")
def test_search_uses_expected_improvement(monkeypatch: pytest.MonkeyPatch) -> None:
    acquisition = importlib.import_module("acqplan.plan.bayes")
    acquisition.spread_points(1, 1, seed=0)  # first: torch warns about itself
    logei = importlib.import_module("botorch.acquisition.logei")
    criterion = logei.qLogNoisyExpectedImprovement
    assert criterion.__module__ == "botorch.acquisition.logei"
    # the real criterion, watched: its value at the points it is asked for must be that of the points it gave
    made: list[Any] = []

    class Watched(criterion):  # type: ignore[misc,valid-type]
        def __init__(self, *arguments: object, **named: object) -> None:
            super().__init__(*arguments, **named)
            made.append(self)

    monkeypatch.setattr(logei, "qLogNoisyExpectedImprovement", Watched)
    points = acquisition.spread_points(24, 2, seed=0)
    scores = -((points - [0.3, 0.8]) ** 2).sum(axis=1) + 0.01 * np.random.default_rng(0).standard_normal(24)
    new = acquisition.next_points(points, scores, 2, seed=0)
    assert new.shape == (2, 2)
    assert np.abs(new - [0.3, 0.8]).max() < 0.25
    assert len(made) == 1
    made[0].set_X_pending(None)
    with torch.no_grad():
        values = made[0](torch.from_numpy(np.concatenate([new[:1], points]))[:, None])
    assert values.argmax() == 0
    assert np.array_equal(acquisition.next_points(points, scores, 2, seed=0), new)
    assert np.corrcoef(acquisition.smoothed(points, scores), scores)[0, 1] > 0.95


def test_the_best_of_many_must_be_better_than_luck() -> None:
    draw = np.random.default_rng(0)
    lots = [draw.standard_normal((30, 20)) for _ in range(200)]
    best = [int(one.mean(axis=1).argmax()) for one in lots]
    chances = np.array([chance_of(one, row, draw) for one, row in zip(lots, best, strict=True)])
    assert 0.01 < np.mean(chances <= 0.05) < 0.10
    assert chance_of(lots[0] + 2.0 * (np.arange(30) == 4)[:, None], 4, draw) < 0.01
    assert chance_of(np.zeros((3, 8)), 0, draw) == 1.0


@pytest.mark.parametrize("counts", [(1, 1, 1, 1, 1), (2, 2), (6,), (1,), (3, 3, 1)])
@pytest.mark.parametrize("value", [0.0, 1e30, np.nan])
def test_hard_features_give_a_plan(
    counts: tuple[int, ...], value: float, small: Space, objects_of: MakeObjects
) -> None:
    every = Shots.every(small, objects_of(*counts))
    rows = np.arange(0, len(every), 9)
    shots, history = after(every, rows, lambda table: np.full((len(table), 3), value), beliefs=True)
    plain = Lattice().propose(shots, history, 12, 1)
    assert asked(replace(QUICK, level=0.05), shots, history, 12).rows.tolist() == plain.rows.tolist()


def test_an_object_without_captures_gets_its_share(rings: Space, objects_of: MakeObjects) -> None:
    every = Shots.every(rings, objects_of(4, 4))
    rows = even(every)
    shots, history = after(every, rows[every.object_rows[rows] != 2], bumps, beliefs=True)
    choice = asked(QUICK, shots, history, 40)
    both = np.bincount(np.concatenate([history.shots.object_rows, shots.object_rows[choice.rows]]))
    assert both.min() >= 5
    weights = np.where(rings.views()[:, 1] < 50.0, 1.0, 0.0)
    wrapped = deployed(QUICK, weights)
    below = shots.take(wrapped.propose(shots, history, 40, 1).rows)
    assert below.coordinates[:, 1].max() < 50.0


@pytest.mark.parametrize(
    "wrong",
    [{"evaluations": 1}, {"batch": 0}, {"repeats": 0}, {"image_cost": 0.0}, {"object_cost": -1.0}, {"level": 2.0}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(StrategyError, match="bayes"):
        Bayes(**wrong)  # type: ignore[arg-type]
