"""A small benchmark: 12 made-up objects of three classes, 24 views each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from acqplan.evaluate.design import Design, draw_up
from acqplan.evaluate.experiment import Material
from acqplan.plan.base import Choice, History
from acqplan.plan.designs import RandomShots
from acqplan.rig.spec import Rig
from acqplan.space import Circle, Interval, Objects, Shots, Space

OBJECTS = Objects(
    names=tuple(f"{label}-{number}" for label in ("car", "cow", "jug") for number in range(4)),
    labels=tuple(label for label in ("car", "cow", "jug") for _ in range(4)),
)
SPACE = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 45))),
        Interval(name="elevation", values=(30.0, 50.0, 70.0)),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A rig that has nothing but its shots."""

    name: ClassVar[str] = "folder"
    space: Space = SPACE
    objects: Objects = OBJECTS

    def shots(self) -> Shots:
        return Shots.every(self.space, self.objects)


def shelf(**changes: object) -> Rig:
    return replace(Rig(source=Shelf()), **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def material() -> Material:
    shots = Shelf().shots()
    random = np.random.default_rng(0)
    classes, objects = random.normal(size=(3, 6)), 0.5 * random.normal(size=(12, 6))
    views = random.normal(size=(SPACE.n_views, 6))
    seen = classes[shots.class_rows] + objects[shots.object_rows] + views[np.tile(np.arange(SPACE.n_views), 12)]
    return Material(shots=shots, features=(seen + 0.3 * random.normal(size=seen.shape)).astype(np.float32))


def make_design(**changes: object) -> Design:
    settings: dict[str, object] = {
        "backbone": "made up",
        "strategies": ("lattice", "random-shots", "even"),
        "budgets": (12, 24),
        "seeds": range(3),
    }
    return draw_up(shelf(), **(settings | changes))  # type: ignore[arg-type]


@pytest.fixture
def design() -> Design:
    return make_design()


class Broken(RandomShots):
    """A random rule that breaks its contract in one way."""

    how: ClassVar[Any]

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        return type(self).how(RandomShots.propose(self, candidates, history, n, seed))


class Twice(Broken):
    how = staticmethod(lambda choice: replace(choice, rows=np.repeat(choice.rows[:1], len(choice.rows))))


class TooFew(Broken):
    how = staticmethod(lambda choice: Choice(rows=choice.rows[1:], gain=choice.gain[1:], reason=choice.reason[1:]))


class Unknown(Broken):
    how = staticmethod(lambda choice: replace(choice, rows=choice.rows + 10_000))


class NoNumber(Broken):
    how = staticmethod(lambda choice: replace(choice, gain=np.full(len(choice.rows), np.nan)))


class NoChoice(Broken):
    how = staticmethod(lambda choice: list(choice.rows))


class Raises(Broken):
    how = staticmethod(lambda choice: 1 / 0)


class LateRaises(RandomShots):
    """Fails at one budget only."""

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        if n > 12:
            raise KeyError("nothing there")
        return RandomShots.propose(self, candidates, history, n, seed)


BROKEN = {
    "Twice": "chose a shot twice",
    "TooFew": "chose 11 of 12 shots",
    "Unknown": "chose a row outside 0..143",
    "NoNumber": "gave a gain that is not a number",
    "NoChoice": "returned a list without an array of rows, not a Choice",
    "Raises": "ZeroDivisionError: division by zero",
}
"""What is said of each broken rule at 12 images."""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
