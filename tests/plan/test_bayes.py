"""Bayesian optimisation of plan settings: what it finds, when it stands back, and the batch it is computed in."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from acqplan.errors import StrategyError
from acqplan.plan.base import Choice, History, check_choice, taking_order
from acqplan.plan.bayes import Bayes, chance_of
from acqplan.plan.deployed import deployed
from acqplan.plan.greedy import greedy_views
from acqplan.plan.lattice import Lattice
from acqplan.plan.sub_plans import RIDGE, SOFTNESS, SubPlans, Tuning, fit_ridge, tuned_herd
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, parse_values

MakeObjects = Callable[..., Objects]
QUICK = Bayes(evaluations=10, batch=4, repeats=2, level=1.0)
"""Few evaluations, and no doubt: the best settings are used wherever they are better at all."""


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


def crowded(every: Shots) -> np.ndarray:
    """Captures of which a quarter crowds into 60 degrees of azimuth in any light, and all others are in one light."""
    draw, views = np.random.default_rng(2), every.space.views()
    first = (views[:, 1:] == views[0, 1:]).all(axis=1)
    crowd, others = np.flatnonzero(views[:, 0] < 60.0), np.flatnonzero((views[:, 0] >= 60.0) & first)
    own = [np.concatenate([draw.choice(crowd, 3, False), draw.choice(others, 9, False)]) for _ in every.objects.names]
    return np.concatenate([number * len(views) + rows for number, rows in enumerate(own)])


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


def trial_of(history: History, *, share: float = 0.5) -> SubPlans:
    trial = SubPlans.of(history, repeats=4, share=share, seed=0)
    assert trial is not None
    return trial


def asked(strategy: Bayes, shots: Shots, history: History, n: int) -> Choice:
    choice = check_choice(strategy.propose(shots, history, n, 1), shots, n, strategy=strategy)
    assert all(0 < len(reason) <= 80 for reason in choice.reason)
    return choice


def as_bytes(choice: Choice) -> bytes:
    return choice.rows.tobytes() + choice.gain.tobytes() + "\n".join(choice.reason).encode()


def test_it_finds_that_elevation_does_not_matter(objects_of: MakeObjects) -> None:
    azimuth, elevation, lighting = "azimuth", "elevation", "lighting"
    space = Space(
        axes=(
            Circle(name=azimuth, values=parse_values("0:340:20")),
            Interval(name=elevation, values=parse_values("0:90:10"), unit="deg"),
            Category(name=lighting, values=("L0", "L1", "L2", "L3", "L4", "L5")),
        )
    )
    every = Shots.every(space, objects_of(12, 12, 12))
    shots, history = after(every, crowded(every), bumps)
    rule = Bayes(evaluations=24, share=0.15)
    found = rule.search(trial_of(history, share=0.15), 1)
    assert found.chance <= 0.05
    assert found.gain > 0.03
    lengths = dict(zip((azimuth, elevation, lighting), np.array(found.tuning.lengths) / space.scales, strict=True))
    assert lengths[azimuth] < 1.0 < lengths[elevation]
    choice = asked(rule, shots, history, 48)
    assert choice.reason[0].startswith("bayes +")
    assert " points on left-out objects: azimuth " in choice.reason[0]


def test_it_lays_the_lattice_where_features_tell_nothing(rings: Space, objects_of: MakeObjects) -> None:
    every = Shots.every(rings, objects_of(5, 5))
    shots, history = after(every, even(every), noise, beliefs=True)
    choice = asked(replace(QUICK, level=0.05), shots, history, 30)
    plain = Lattice().propose(shots, history, 30, 1)
    assert choice.rows.tobytes() == plain.rows.tobytes()
    assert choice.reason[0].startswith("bayes: nothing beat the lattice: fills a gap of ")


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
    assert expected.reason[0].startswith("bayes +")
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


@pytest.mark.parametrize(("kind", "others"), [("small", (0.3,)), ("photographs", ())])
def test_the_batch_chooses_what_the_rule_chooses_one_by_one(
    kind: str, others: tuple[float, ...], request: pytest.FixtureRequest, objects_of: MakeObjects
) -> None:
    space = request.getfixturevalue(kind)
    every = Shots.every(space, objects_of(3, 4, 1))
    _, history = after(every, np.random.default_rng(0).permutation(len(every))[:70], bumps, beliefs=True)
    trial = trial_of(history)
    tunings = [
        Tuning.default(space),
        Tuning(lengths=(100.0, 9.0, *others), class_weight=0.2, exponent=1.3, temperature=1.0),
        Tuning(lengths=(20.0, 60.0, *others), class_weight=1.0, temperature=2.0),
    ]
    chosen = trial.chosen(tunings)
    assert chosen.shape == (3, len(trial.parts), trial.size)
    start = np.cumsum([0, *trial.captured.n_free])
    for row, tuning in enumerate(tunings):
        for column, part in enumerate(trial.parts):
            quota = part.errors.quotas(part.situation, tuning.temperature, trial.size, part.seed)
            order = [number for number, _ in taking_order(part.situation, quota, part.seed)]
            herd = tuned_herd(part.situation, tuning, part.errors)
            views = greedy_views(part.situation, herd, order, seed=part.seed)
            expected = [
                start[part.kept[number]] + np.flatnonzero(part.situation.free[number] == view)[0]
                for number, (view, _) in zip(order, views, strict=True)
            ]
            assert chosen[row, column].tolist() == expected


def test_the_batch_is_scored_as_one_regression_after_another(rings: Space, objects_of: MakeObjects) -> None:
    every = Shots.every(rings, objects_of(3, 4, 1))
    _, history = after(every, np.random.default_rng(0).permutation(len(every))[:80], bumps)
    trial = trial_of(history)
    tunings = [Tuning.default(rings), Tuning(lengths=(10.0, 90.0), class_weight=1.0)]
    found = trial.scores(tunings)
    truth = trial.class_of[trial.owner]
    for row, plans in enumerate(trial.chosen(tunings)):
        sums = np.zeros(len(trial.captured.names))
        for plan, part in zip(plans, trial.parts, strict=True):
            targets = np.eye(3)[truth[plan]]
            inner = trial.gram[np.ix_(plan, plan)] + RIDGE * np.eye(len(plan))
            scores = trial.gram[:, plan] @ np.linalg.inv(inner) @ (targets - targets.mean(axis=0)) + targets.mean(
                axis=0
            )
            believed = torch.softmax(torch.from_numpy(scores / SOFTNESS), dim=1).numpy()[np.arange(len(truth)), truth]
            for number in set(range(len(sums))) - set(part.kept.tolist()):
                assert number not in trial.owner[plan]
                sums[number] += believed[trial.owner == number].mean() / len(trial.fold)
        np.testing.assert_allclose(found[row], sums[:7], atol=1e-8)  # the last object is alone in its class
    batch, mean = fit_ridge(trial.gram, trial.chosen(tunings), np.eye(3)[truth])
    one, _ = fit_ridge(trial.gram, trial.chosen(tunings)[1, 0], np.eye(3)[truth])
    assert batch.shape == (2, len(trial.parts), trial.size, 3)
    assert mean.shape == (2, len(trial.parts), 1, 3)
    np.testing.assert_allclose(batch[1, 0], one, rtol=1e-9)


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
    assert choice.reason[0].startswith("bayes +")
    both = np.bincount(np.concatenate([history.shots.object_rows, shots.object_rows[choice.rows]]))
    assert both.min() >= 5
    weights = np.where(rings.views()[:, 1] < 50.0, 1.0, 0.0)
    wrapped = deployed(QUICK, weights)
    below = shots.take(wrapped.propose(shots, history, 40, 1).rows)
    assert below.coordinates[:, 1].max() < 50.0


@pytest.mark.parametrize(
    "wrong", [{"evaluations": 1}, {"batch": 0}, {"repeats": 0}, {"share": 0.0}, {"share": 1.0}, {"level": np.nan}]
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(StrategyError, match="bayes"):
        Bayes(**wrong)  # type: ignore[arg-type]
