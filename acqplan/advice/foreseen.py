"""What the design surface foretells: along more shots, for the next images, for a sum, for an accuracy."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from acqplan.advice.answers import Advice, Buy, End, Next, SurfaceGrid
from acqplan.advice.spend import Captured, Costs, Purchase
from acqplan.plan.surface import DesignSurface
from acqplan.space import Shots
from acqplan.statistics.objects import Estimate

# Level of the intervals of what is foreseen.
LEVEL = 0.8
# Numbers of shots that the curve of the captured objects is foreseen for, of images that each number of more objects
# is, and rows and columns of the surface.
FINE, IMAGES, ROWS, COLUMNS = 60, 16, 8, 10
# A gain of accuracy that is not worth going on for.
MARGIN = 0.005
# Images that views and objects are compared by, as a share of those captured.
NEXT_SHARE = 0.25
# Accuracies that promise about as much.
ALIKE = 0.001
Draws = Float[np.ndarray, " draws"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foreseen:
    """Draws of accuracies on new objects, all of the same surfaces.

    Attributes:
        captured: How much is captured.
        costs: Of an image and of an object.
        spent: What may be spent next, in the unit of the costs.
        now: Accuracy of the captured design, shape ``[draws]``.
        shots: Shots of each captured object, from 1 to all views, shape ``[shots]``.
        line: Accuracy of the captured objects with so many shots, shape ``[draws, shots]``.
        with_views: Accuracy after the next images of these objects, shape ``[draws]``.
        with_objects: Accuracy after as many of one more object of each class, shape ``[draws]``.
        one_more: Accuracy with one more object of each class, seen as often as the others, shape ``[draws]``.
        purchases: Ways to spend the sum.
        bought: Accuracy after each, shape ``[draws, purchases]``.
        ways: More objects and more images of many numbers.
        reached: Accuracy after each, shape ``[draws, ways]``.
        grid: Objects of a class, and shots of each, that the surface is shown for.
        cells: Accuracy of each pair of them, shape ``[draws, pairs]``.
    """

    captured: Captured
    costs: Costs
    spent: float
    now: Draws
    shots: Float[np.ndarray, " shots"]
    line: Float[np.ndarray, "draws shots"]
    with_views: Draws
    with_objects: Draws
    one_more: Draws
    purchases: list[Purchase]
    bought: Float[np.ndarray, "draws purchases"]
    ways: list[Purchase]
    reached: Float[np.ndarray, "draws ways"]
    grid: tuple[tuple[float, ...], tuple[float, ...]]
    cells: Float[np.ndarray, "draws pairs"]

    @classmethod
    def of(cls, surface: DesignSurface, captured: Captured, costs: Costs, spent: float | None, n_next: int) -> Foreseen:
        """Ask the surface everything at once.

        Args:
            surface: The posterior, or the prior.
            captured: How much is captured.
            costs: Of an image and of an object.
            spent: What may be spent next; by default as much as the captured images cost.
            n_next: Images that views and objects are compared by.
        """
        now = (captured.objects, captured.shots)
        if spent is None:
            spent = captured.classes * captured.objects * captured.shots * (costs.image or costs.object)
        shots = np.geomspace(1.0, captured.views, FINE) if captured.views > 1 else np.ones(1)
        each = n_next / captured.classes
        views, objects = captured.purchase(costs, 0, each), captured.purchase(costs, 1, each)
        purchases = captured.purchases(costs, spent)
        ways = [
            captured.purchase(costs, more, float(images))
            for more in captured.more_objects()
            for images in np.geomspace(max(more, 1), max(captured.room(more), 1.0), IMAGES)
            if images <= captured.room(more)
        ]
        rows = sorted({now[0], *np.geomspace(1.0, max(2.0 * now[0], 4.0), ROWS).round().tolist()})
        columns = sorted({now[1], *np.geomspace(1.0, captured.views, COLUMNS).round().tolist()})
        parts = [
            [now, views.design, objects.design, (now[0] + 1.0, now[1])],
            [(now[0], one) for one in shots],
            [purchase.design for purchase in purchases],
            [way.design for way in ways],
            [(row, column) for row in rows for column in columns],
        ]
        drawn = surface.accuracies(np.array([design for part in parts for design in part]))
        first, line, bought, reached, cells = np.split(drawn, np.cumsum(list(map(len, parts)))[:-1], axis=1)
        return cls(
            captured=captured,
            costs=costs,
            spent=spent,
            now=first[:, 0],
            shots=shots,
            line=np.maximum.accumulate(line, axis=1),
            with_views=first[:, 1],
            with_objects=first[:, 2],
            one_more=first[:, 3],
            purchases=purchases,
            bought=bought,
            ways=ways,
            reached=reached,
            grid=(tuple(rows), tuple(columns)),
            cells=cells,
        )

    def with_shots(self, shots: float) -> Draws:
        """Accuracy of the captured objects with so many shots of each."""
        place = float(np.interp(np.log(shots), np.log(self.shots), np.arange(len(self.shots))))
        below, above = int(np.floor(place)), int(np.ceil(place))
        return self.line[:, below] + (place - below) * (self.line[:, above] - self.line[:, below])

    def shots_for(self, accuracy: Draws) -> Draws:
        """Shots of each captured object that an accuracy takes; infinite where all views do not reach it."""
        above = self.line >= accuracy[:, None]
        at = above.argmax(axis=1)
        before, draws = np.maximum(at - 1, 0), np.arange(len(at))
        rise = self.line[draws, at] - self.line[draws, before]
        share = np.clip((accuracy - self.line[draws, before]) / np.where(rise > 0.0, rise, 1.0), 0.0, 1.0)
        logs = np.log(self.shots)
        found = np.exp(logs[before] + share * (logs[at] - logs[before]))
        return np.where(above.any(axis=1), found, np.inf)

    def exchange(self) -> Estimate:
        """How many more shots of every captured object one more object of each class, with as many, is worth."""
        return estimate(np.maximum(self.shots_for(self.one_more) - self.captured.shots, 0.0))

    def surface(self) -> SurfaceGrid:
        """The surface, to be shown."""
        rows, columns = self.grid
        cells = [estimate(draws) for draws in self.cells.T]
        table = tuple(tuple(cells[row * len(columns) :][: len(columns)]) for row in range(len(rows)))
        return SurfaceGrid(objects=rows, shots=columns, accuracy=table)

    def best(self) -> Buy | None:
        """The way to spend the sum that promises most; the fewest objects of those that promise about as much."""
        if not self.purchases:
            return None
        means = self.bought.mean(axis=0)
        number = int((means >= means.max() - ALIKE).argmax())
        extra = None
        if self.purchases[number].objects and self.purchases[0].objects == 0:
            extra = estimate(self.bought[:, number] - self.bought[:, 0])
        return self._buy(self.spent, self.purchases[number], self.bought[:, number], extra)

    def cheapest(self, accuracy: float) -> Buy | None:
        """The cheapest way to an accuracy that is as likely reached as not; ``None`` if there is none."""
        median = np.median(self.reached, axis=0)
        enough = [number for number in range(len(self.ways)) if median[number] >= accuracy]
        if not enough or np.median(self.now) >= accuracy:
            return None
        number = min(enough, key=lambda number: self.ways[number].cost)
        return self._buy(accuracy, self.ways[number], self.reached[:, number])

    def _buy(self, asked: float, purchase: Purchase, draws: Draws, extra: Estimate | None = None) -> Buy:
        return Buy(
            asked=asked,
            objects=purchase.objects,
            images=round(purchase.images * self.captured.classes),
            shots=purchase.design[1],
            cost=purchase.cost,
            unit=self.costs.unit,
            accuracy=estimate(draws),
            extra=extra,
        )


def estimate(draws: Draws) -> Estimate:
    """Median of some draws, which may be infinite, and their interval of 80 %."""
    low, middle, high = np.quantile(draws, [(1.0 - LEVEL) / 2.0, 0.5, (1.0 + LEVEL) / 2.0], method="nearest")
    return Estimate(estimate=float(middle), low=float(low), high=float(high), level=LEVEL)


def foresee(shots: Shots, *, seed: int = 0) -> Advice:
    """What simulated rigs say of a plan before anything is captured: the exchange of objects against shots.

    Args:
        shots: The plan.
        seed: Seed of the draws.

    Returns:
        Advice without a measured point; for a single class it says nothing.
    """
    unknown = silenced(nothing_known(shots), "nothing is captured")
    classes, n_objects = unknown.classes, unknown.objects / unknown.classes
    if classes < 2:
        return unknown
    planned = Captured(
        classes=classes, objects=n_objects, shots=len(shots) / unknown.objects, views=shots.space.n_views
    )
    foreseen = Foreseen.of(DesignSurface.before(classes, seed), planned, Costs(), None, unknown.next.images)
    return replace(
        unknown,
        surface=foreseen.surface(),
        next=replace(unknown.next, exchange=foreseen.exchange()),
        best=foreseen.best(),
    )


def nothing_known(
    shots: Shots, margin: float = MARGIN, within: int | None = None, test_objects: int | None = None
) -> Advice:
    """Advice on these shots that says nothing yet."""
    objects = np.unique(shots.object_rows)
    return Advice(
        images=len(shots),
        objects=len(objects),
        classes=len(np.unique(shots.objects.class_rows[objects])),
        judged=0,
        capacity=max(len(objects) * shots.space.n_views, len(shots)),
        points=(),
        surface=None,
        saturation=None,
        reach=(),
        next=Next(answer="cannot tell", reason="", images=max(round(NEXT_SHARE * len(shots)), 1)),
        end=End(answer="cannot tell", reason="", margin=margin, within=within),
        test_objects=test_objects or 0,
        smallest_difference=None,
    )


def silenced(advice: Advice, reason: str) -> Advice:
    """The advice that nothing can be said, and why."""
    return replace(advice, next=replace(advice.next, reason=reason), end=replace(advice.end, reason=reason))
