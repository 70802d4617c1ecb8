"""Small campaigns on rendered toys, and rules that tell what they were told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from acqplan import Campaign
from acqplan.campaign.leases import Shot
from acqplan.plan.base import Choice, History
from acqplan.rig.rendered import toy_rig
from acqplan.rig.spec import Rig
from acqplan.space import Category, Circle, Interval, Shots, Space

SPACE = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 60)), seconds_per_unit=0.05),
        Interval(name="elevation", values=(30.0, 50.0, 70.0), unit="deg", seconds_per_unit=0.1),
        Category(name="lighting", values=("L0", "L3")),
    )
)
SETUP = Rig(source=toy_rig(space=SPACE, n_instances=2, workers=1), seconds_per_object=1.0)
N_OBJECTS = len(SETUP.source.objects)
PILOT, HALF = 10, 50
"""Where a rule that learns stops to look, of a budget of 100 images."""


def created(folder: Path, strategy: str, *, budget: int = 100, **settings: Any) -> Campaign:
    chosen = {"backbone": "histogram", **settings}
    return Campaign.create(SETUP, budget=budget, path=folder / "toys.db", strategy=strategy, **chosen)


@cache
def toys() -> dict[tuple[str, tuple[Any, ...]], np.ndarray]:
    """Every image of the rig, by object and view."""
    shots = SETUP.source.shots()
    named = [(name, tuple(view.values())) for name, view in zip(shots.names, shots.views(), strict=True)]
    return {named[row]: image for row, image in SETUP.source.capture(shots)}


def photograph(shot: Shot) -> np.ndarray:
    return toys()[shot.object, tuple(shot.view.values())]


def take(
    campaign: Campaign,
    n: int,
    camera: Callable[[Shot], np.ndarray] = photograph,
    reached: Callable[[Shot], Mapping[str, object]] = lambda _: {},
) -> list[Shot]:
    """Ask for shots, take them and tell."""
    shots = campaign.ask(n)
    for shot in shots:
        assert campaign.tell(shot, camera(shot), reached=reached(shot)) == "captured"
    return shots


def captured(campaign: Campaign) -> int:
    with campaign.store.reading() as ledger:
        return ledger.state.captured


def queue(campaign: Campaign) -> list[str]:
    with campaign.store.reading() as ledger:
        return [record.shot for record in ledger.queue(1000)]


@dataclass(frozen=True)
class Watched:
    """Takes candidates as they come, and lets a test see what it was told and do something meanwhile."""

    name: ClassVar[str] = "watched"
    exact: ClassVar[bool] = True
    turns: ClassVar[bool] = False
    learns: ClassVar[bool] = True
    told: ClassVar[list[History]] = []
    meanwhile: ClassVar[list[Callable[[], object]]] = []

    def propose(self, candidates: Shots, history: History, n: int, seed: int) -> Choice:
        self.told.append(history)
        while self.meanwhile:
            self.meanwhile.pop()()
        return Choice(rows=np.arange(n), gain=np.zeros(n), reason=("as it comes",) * n)


WATCHED = "tests.evaluate.campaigns:Watched"
