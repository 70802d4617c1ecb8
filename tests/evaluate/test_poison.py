"""Causality: what was not captured cannot have influenced the plan."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pytest

from acqplan.evaluate.recommend import recommend
from acqplan.plan import STRATEGIES
from acqplan.progress import SILENT, Progress
from acqplan.rig.rendered import toy_rig
from acqplan.rig.source import Image, Source
from acqplan.rig.spec import Rig
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space
from tests.ideas import IDEAS

SPACE = Space(
    axes=(
        Circle(name="azimuth", values=tuple(range(0, 360, 60))),
        Interval(name="elevation", values=(30.0, 50.0, 70.0), unit="deg"),
        Category(name="lighting", values=("L0", "L3")),
    )
)


@dataclass
class Poisoned:
    """A rig that shows the true image of some shots, and noise for all others."""

    rig: Source
    true: set[tuple[str, tuple[float, ...]]] | None = None
    asked: set[tuple[str, tuple[float, ...]]] = field(default_factory=set)
    name: str = "toys"

    @property
    def space(self) -> Space:
        return self.rig.space

    @property
    def objects(self) -> Objects:
        return self.rig.objects

    def shots(self) -> Shots:
        return self.rig.shots()

    def identities(self, shots: Shots) -> list[bytes]:
        pairs = zip(shots.pairs(), self.rig.identities(shots), strict=True)
        return [key if self._is_true(pair) else b"noise" + key for pair, key in pairs]

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        pairs = shots.pairs()
        self.asked.update(pairs)
        noise = np.random.default_rng(0)
        for row, image in self.rig.capture(shots, progress=progress):
            fake = noise.integers(0, 256, image.shape, dtype=np.uint8)
            yield row, image if self._is_true(pairs[row]) else fake

    def _is_true(self, pair: tuple[str, tuple[float, ...]]) -> bool:
        return self.true is None or pair in self.true


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.mark.parametrize("strategy", [*sorted(STRATEGIES), *IDEAS])
def test_noise_in_place_of_every_uncaptured_image_leaves_the_plan_as_it_is(strategy: str) -> None:
    toys = toy_rig(space=SPACE, n_instances=2, workers=1)
    honest = Poisoned(toys)
    plan = recommend(Rig(source=honest), 60, strategy=strategy, backbone="histogram", validate=False).plan
    captured = set(plan.shots.pairs())
    assert honest.asked == captured, "images were taken that nobody paid for"

    poisoned = Poisoned(toys, true=captured)
    again = recommend(Rig(source=poisoned), 60, strategy=strategy, backbone="histogram", validate=False).plan
    assert again.to_csv() == plan.to_csv()
    assert again.predicted == plan.predicted


@pytest.mark.parametrize("test", [(), "views"])
@pytest.mark.parametrize("strategy", ["lattice", "variance", "even"])
def test_what_is_kept_aside_for_the_test_cannot_influence_the_plan(
    strategy: str, test: tuple[()] | Literal["views"]
) -> None:
    toys = toy_rig(space=SPACE, n_instances=2, workers=1)
    judged = recommend(Rig(source=toys, test=test), 60, strategy=strategy, backbone="histogram")
    assert judged.validation is not None
    captured = set(judged.plan.shots.pairs())
    assert captured <= set(judged.candidates.pairs()) < set(toys.shots().pairs())
    poisoned = Rig(source=Poisoned(toys, true=captured), test=test)
    assert recommend(poisoned, 60, strategy=strategy, backbone="histogram").plan.to_csv() == judged.plan.to_csv()


def test_a_plan_without_validation_is_that_of_a_rig_without_a_test() -> None:
    toys = toy_rig(space=SPACE, n_instances=2, workers=1)
    plans = [
        recommend(Rig(source=toys), 40, backbone="histogram", validate=False).plan,
        recommend(Rig(source=toys, test_fraction=0.0), 40, backbone="histogram").plan,
        recommend(Rig(source=toys, test="views"), 40, backbone="histogram", validate=False).plan,
        recommend(Rig(source=toys, test=("car-00",)), 40, backbone="histogram", validate=False).plan,
    ]
    assert len({plan.to_csv() for plan in plans}) == 1
    assert set(plans[0].shots.names) == set(toys.objects.names)
