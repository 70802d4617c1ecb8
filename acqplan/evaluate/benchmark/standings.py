"""Strategies over all budgets: curves, areas, images to reach an accuracy, ranks, and what each idea adds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float

from acqplan.evaluate.benchmark.results import Accuracies, Results
from acqplan.evaluate.censored import ImagesToReach, SpeedUp
from acqplan.evaluate.curve import area_under_curve, common_runs, mean_ranks
from acqplan.evaluate.reach import images_to_match, speed_up_at
from acqplan.evaluate.two_way import TwoWay, two_way

IDEAS = (
    ("staggering one grid over the objects", "even-staggered", "even"),
    ("views of its own for each object", "random-shots", "random"),
    ("an even spread (Sobol)", "sobol", "random-shots"),
    ("an even spread (staggered lattice)", "lattice", "random-shots"),
    ("an even spread (herding)", "herding", "random-shots"),
    ("an even spread (farthest point)", "maximin", "random-shots"),
    ("choosing the rule by what was captured", "auto", "lattice"),
)
"""What each idea adds: the strategy with it, and the one without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Accuracy of a strategy at one budget.

    Attributes:
        strategy: Name of the strategy.
        budget: Images it was allowed.
        images: Images it took, mean over seeds.
        accuracy: Mean over objects and seeds.
        low: Lower end of its 95 % interval over objects and seeds.
        high: Upper end.
    """

    strategy: str
    budget: int
    images: float
    accuracy: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A strategy over all budgets.

    Attributes:
        strategy: Name of the strategy.
        area: Mean accuracy over the logarithm of images; NaN with one budget.
        area_gain: The same minus that of the baseline, with its uncertainty; ``None`` for the baseline.
        reach: Images to reach what the baseline reaches at the primary budget.
        speed_up: Images of the baseline over its own for that.
        ranks: Mean rank at each budget, 1 the best.
        rank: Their mean.
    """

    strategy: str
    area: float
    area_gain: TwoWay | None
    reach: ImagesToReach
    speed_up: SpeedUp
    ranks: tuple[float, ...]
    rank: float

    def to_dict(self) -> dict[str, object]:
        """All numbers, ready for JSON."""
        return {
            "strategy": self.strategy,
            "area": self.area,
            "area_gain": None if self.area_gain is None else asdict(self.area_gain),
            "images_to_reach": {
                "images": self.reach.images.to_dict(),
                "interval": self.reach.interval.to_dict(),
                "text": self.reach.text,
            },
            "speed_up": {
                "ratio": self.speed_up.ratio.to_dict(),
                "interval": self.speed_up.interval.to_dict(),
                "text": self.speed_up.text,
            },
            "ranks": list(self.ranks),
            "rank": self.rank,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Idea:
    """What an idea adds: a strategy with it against one without it, over all budgets and at the primary one.

    Attributes:
        idea: The idea, in words.
        with_it: Strategy that has it.
        without: Strategy that lacks it.
        area: Gain in area under the curve (with one budget, in accuracy).
        primary: Gain in accuracy at the primary budget.
    """

    idea: str
    with_it: str
    without: str
    area: TwoWay
    primary: TwoWay


def curves(results: Results, accuracy: Accuracies) -> Iterator[Point]:
    """Accuracy of every strategy at every budget, with its interval over objects and seeds."""
    design, images = results.design, results.images()
    for row, strategy in enumerate(design.strategies):
        for column, budget in enumerate(design.budgets):
            if np.isfinite(accuracy[row, column]).any():
                mean = two_way(accuracy[row, column])
                yield Point(
                    strategy=strategy,
                    budget=budget,
                    images=float(images[row, column]),
                    accuracy=mean.mean,
                    low=max(mean.low, 0.0),
                    high=min(mean.high, 1.0),
                )


def rank_all(results: Results, accuracy: Accuracies) -> list[Standing]:
    """Every strategy over all budgets, by the runs (object, seed) that all of them finished.

    Args:
        results: The results.
        accuracy: Their accuracies.

    Returns:
        One standing a strategy that finished any run; none if the baseline did not.
    """
    design = results.design
    runs = common_runs(accuracy)
    whole = [row for row in range(len(design.strategies)) if np.isfinite(accuracy[row]).all(axis=0).any()]
    if design.strategies.index(design.baseline) not in whole:
        return []
    if not np.isfinite(runs).any():
        runs = accuracy  # a strategy failed everywhere: the others are compared without it
    baseline = runs[design.strategies.index(design.baseline)]
    ranks = mean_ranks(_over_seeds(accuracy[whole])) if len(whole) > 1 else np.ones((1, len(design.budgets)))
    return [
        Standing(
            strategy=design.strategies[row],
            area=float(np.nanmean(_area(runs[row], design.budgets))),
            area_gain=_gain(runs[row], baseline, design.budgets) if design.strategies[row] != design.baseline else None,
            reach=images_to_match(runs[row], baseline, design.budgets, at=design.primary_budget),
            speed_up=speed_up_at(runs[row], baseline, design.budgets, at=design.primary_budget),
            ranks=tuple(map(float, ranks[place])),
            rank=float(np.nanmean(ranks[place])),
        )
        for place, row in enumerate(whole)
    ]


def _over_seeds(accuracy: Accuracies) -> Float[np.ndarray, "strategies budgets objects"]:
    """Mean over seeds; NaN where an object was never tested."""
    n = np.isfinite(accuracy).sum(axis=3)
    return np.where(n > 0, np.nansum(accuracy, axis=3) / np.maximum(n, 1), np.nan)


def _area(
    accuracy: Float[np.ndarray, "budgets objects seeds"], budgets: Sequence[int]
) -> Float[np.ndarray, "objects seeds"]:
    return area_under_curve(accuracy, budgets) if len(budgets) > 1 else accuracy[0]


def _gain(
    mine: Float[np.ndarray, "budgets objects seeds"],
    theirs: Float[np.ndarray, "budgets objects seeds"],
    budgets: Sequence[int],
) -> TwoWay:
    return two_way(_area(mine, budgets) - _area(theirs, budgets))


def what_ideas_add(results: Results, accuracy: Accuracies) -> Iterator[Idea]:
    """Each idea for which the strategies with and without it took part."""
    design = results.design
    column = design.budgets.index(design.primary_budget)
    for idea, with_it, without in IDEAS:
        if not {with_it, without} <= set(design.strategies):
            continue
        mine, theirs = (accuracy[design.strategies.index(name)] for name in (with_it, without))
        if np.isfinite(mine - theirs).all(axis=0).any():
            yield Idea(
                idea=idea,
                with_it=with_it,
                without=without,
                area=_gain(mine, theirs, design.budgets),
                primary=two_way(mine[column] - theirs[column]),
            )
