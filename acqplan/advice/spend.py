"""What images, hours or money buy: more views of the captured objects, or more objects."""

from __future__ import annotations

import math
from dataclasses import dataclass

from acqplan.errors import UsageError
from acqplan.numbers import duration
from acqplan.plan.route import Times, cheap_order, costs_travel, route_seconds
from acqplan.space import Shots

# More objects of a class that are looked at, beside none: up to as many again as are captured, and a few at least.
FEW = 3
STEPS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What an image costs, and what an object costs beyond its images.

    Attributes:
        image: Of an image, at least 0.
        object: Of another object, at least 0.
        unit: What both are counted in: ``images``, ``hours`` or what money is called.

    Raises:
        UsageError: If a cost is negative or not finite, or both are 0.
    """

    image: float = 1.0
    object: float = 0.0
    unit: str = "images"

    def __post_init__(self) -> None:
        both = (self.image, self.object)
        if not all(math.isfinite(cost) and cost >= 0.0 for cost in both) or not any(both):
            raise UsageError(
                f"an image at {self.image:g} and an object at {self.object:g}",
                "give costs from 0 on, one above",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlay:
    """What may be spent next: images, hours or money; as many images again by default.

    Attributes:
        images: So many images.
        seconds: So long, with the times of the rig.
        money: So much.
        image_cost: What an image costs in money.
        object_cost: What an object costs in money.

    Raises:
        UsageError: If several are given, one is not above 0, or money is given without what it buys.
    """

    images: float | None = None
    seconds: float | None = None
    money: float | None = None
    image_cost: float = 0.0
    object_cost: float = 0.0

    def __post_init__(self) -> None:
        amounts = {"images": self.images, "time": self.seconds, "money": self.money}
        given = {name: amount for name, amount in amounts.items() if amount is not None}
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} to be spent", "give one of them")
        if not all(math.isfinite(amount) and amount > 0.0 for amount in given.values()):
            raise UsageError("nothing to be spent", "give an amount above 0")
        priced = bool(self.image_cost or self.object_cost)
        if self.money is not None and not priced:
            raise UsageError(f"{self.money:g} of money, without costs", "give what an image or an object costs")
        if priced:
            Costs(image=self.image_cost, object=self.object_cost)  # refuses what cannot be
        if priced and (self.images is not None or self.seconds is not None):
            raise UsageError("costs in money beside images or time to be spent", "give the money to be spent")

    def priced(self, shots: Shots, times: Times) -> tuple[Costs, float | None]:
        """Costs, and what may be spent in their unit; ``None`` for as much as the captured shots cost.

        Args:
            shots: What is captured, whose way says how long an image takes.
            times: Of the rig.

        Raises:
            UsageError: If time is to be spent on a rig that does not say how long anything takes.
        """
        if self.seconds is not None:
            if not costs_travel(shots.space, times) and times.per_shot == 0:
                raise UsageError(
                    f"{duration(self.seconds)} to be spent, but the rig does not say how long anything takes",
                    "give seconds_per_unit or seconds_per_change of [[axis]], or seconds of [shot]",
                )
            way = shots.take(cheap_order(shots, times))
            image = route_seconds(way, Times(per_shot=times.per_shot)) / len(shots)
            hour = 3600.0
            return Costs(image=image / hour, object=(times.per_object or 0.0) / hour, unit="hours"), self.seconds / hour
        if self.image_cost or self.object_cost:
            return Costs(image=self.image_cost, object=self.object_cost, unit="of money"), self.money
        return Costs(), self.images


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """More images of the captured objects and of more objects.

    Attributes:
        objects: More objects of each class.
        images: More images of each class.
        cost: Of all classes, in the unit of the costs.
        design: Objects of a class and shots of each afterwards; of uneven objects Kish's effective numbers.
    """

    objects: int
    images: float
    cost: float
    design: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """How much is captured.

    Attributes:
        classes: Classes.
        objects: Objects of a class, mean.
        shots: Images of an object, mean.
        views: Images of an object that can be taken.
    """

    classes: int
    objects: float
    shots: float
    views: int

    def purchases(self, costs: Costs, spent: float) -> list[Purchase]:
        """All of a sum spent on none, one, two, … more objects of each class, what can be paid.

        Args:
            costs: Of images and objects.
            spent: The sum, in their unit.
        """
        found = []
        for more in self.more_objects():
            left = spent / self.classes - more * costs.object
            images = min(left / costs.image if costs.image else math.inf, self.room(more))
            if left >= 0.0 and images >= max(more, 1):
                found.append(self.purchase(costs, more, images))
        return found

    def purchase(self, costs: Costs, objects: int, images: float) -> Purchase:
        """So many more objects and images of each class, the images shared out as evenly as may be.

        An object seen less than the others counts for less: as many objects as would leave the mean of a class,
        weighted by images, as uncertain.

        Source:
            L. Kish, Survey Sampling (1965), section 11.7.
        """
        total = self.objects * self.shots + images
        effective = self.objects + objects
        if objects and total / effective < self.shots:  # what is captured stays, new objects share the rest
            effective = total**2 / (self.objects * self.shots**2 + images**2 / objects)
        cost = self.classes * (objects * costs.object + images * costs.image)
        return Purchase(objects=objects, images=images, cost=cost, design=(effective, total / effective))

    def room(self, objects: int) -> float:
        """Images of each class that can still be taken, with so many more objects."""
        return self.views * (self.objects + objects) - self.objects * self.shots

    def more_objects(self) -> list[int]:
        """None, one, two, … more objects of each class, up to as many again."""
        most = max(round(self.objects), FEW)
        return sorted({0, *(round(most ** (step / (STEPS - 1))) for step in range(STEPS))})
