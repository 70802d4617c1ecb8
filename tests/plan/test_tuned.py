"""Herding with settings: which are those of herding itself, and what the others change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from acqplan.plan.base import History, Situation
from acqplan.plan.bayes import Box
from acqplan.plan.greedy import Herding
from acqplan.plan.lattice import Lattice
from acqplan.plan.sub_plans import Errors, Tuning, tuned_choice
from acqplan.space import Objects, Shots, Space

MakeObjects = Callable[..., Objects]
Split = Callable[..., tuple[Shots, History]]


@pytest.mark.parametrize("kind", ["norb", "photographs"])
def test_the_first_settings_are_those_of_herding(
    kind: str, request: pytest.FixtureRequest, objects_of: MakeObjects, captured: Split
) -> None:
    space = request.getfixturevalue(kind)
    every = Shots.every(space, objects_of(3, 2))
    shots, history = captured(every, np.arange(0, len(every), 19))
    situation = Situation.of(shots, history)
    for seed in range(3):
        tuned = tuned_choice(situation, Tuning.default(situation.space), Errors(), 30, seed=seed, reason="first")
        assert tuned.rows.tolist() == Herding().propose(shots, history, 30, seed).rows.tolist()
    box = Box(space=situation.space, errors=True, maps=True)
    assert box.tuning(box.start) == Tuning.default(situation.space)


def test_settings_do_what_they_say(norb: Space, objects_of: MakeObjects) -> None:
    every = Shots.every(norb, objects_of(3, 3))
    taken = every.take(Lattice().propose(every, History.empty(every), 150, 0).rows)
    below = taken.coordinates[:, 1] < 50.0
    wrong = np.where(below, 0.6, 0.1) + 0.3 * (taken.object_rows == 0)
    history = History(shots=taken, beliefs=np.stack([1.0 - wrong, wrong], axis=1).astype(np.float32))
    others = taken.class_rows == 1
    assert history.beliefs is not None
    history.beliefs[others] = history.beliefs[others][:, ::-1]
    situation = Situation.of(every, History.empty(every))
    errors, plain = Errors.of(history, situation.space, seed=0), Tuning.default(norb)

    def taken_by(**settings: float) -> Shots:
        tuning = replace(plain, **settings)  # type: ignore[arg-type]
        return every.take(tuned_choice(situation, tuning, errors, 60, seed=0, reason="why").rows)

    first, leaning, shared = taken_by(), taken_by(exponent=2.0), taken_by(temperature=2.0)
    assert np.bincount(first.object_rows).tolist() == [10] * 6
    assert np.mean(leaning.coordinates[:, 1] < 50.0) > np.mean(first.coordinates[:, 1] < 50.0) + 0.1
    counts = np.bincount(shared.object_rows)
    assert counts[0] > counts[1:].max()
    assert (counts.min() >= 5, counts.sum()) == (True, 60)
    together = [len(set(map(tuple, table.coordinates[table.class_rows == 0].tolist())))
                for table in (taken_by(class_weight=0.0), taken_by(class_weight=1.0))]  # fmt: skip
    assert together[0] < together[1]
