"""What advice consists of: the design surface, views or objects, what to buy, worths of factors, stop or go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

from acqplan.errors import UsageError
from acqplan.numbers import finite, plain_number
from acqplan.statistics.objects import Estimate

Which = Literal["more views", "more objects", "cannot tell"]
Stop = Literal["stop", "go on", "cannot tell"]
Part = TypeVar("Part")
# The factor that is not an axis: each object is seen from views of its own.
SAME_VIEWS = "views between objects"
# What a circle is narrowed to.
QUARTER = "a quarter of the circle"
# A worth within this, either way, is no reason to vary a factor.
NEGLIGIBLE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """What heads of a sub-design of the captured images reached.

    Attributes:
        images: Images of all captured objects, where heads learned from all objects but those left out.
        accuracy: Accuracy on left-out objects, with its interval over objects.
    """

    images: int
    accuracy: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceGrid:
    """Accuracy on new objects, foreseen for every number of objects of a class and of shots of each.

    Attributes:
        objects: Objects of a class, ascending.
        shots: Shots of each object, ascending.
        accuracy: Shape ``[objects, shots]``, with intervals of 80 %.
    """

    objects: tuple[float, ...]
    shots: tuple[float, ...]
    accuracy: tuple[tuple[Estimate, ...], ...]

    @property
    def is_flat(self) -> bool:
        """Whether it is a line, because objects have one view."""
        return len(self.shots) < 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Buy:
    """What to buy: the best use of a sum, or the cheapest way to an accuracy.

    Attributes:
        asked: The sum, in ``unit``, or the accuracy.
        objects: More objects of each class.
        images: More images, of all classes.
        shots: Images of each object afterwards, about.
        cost: What it costs.
        unit: What costs are counted in.
        accuracy: Accuracy on new objects afterwards.
        extra: What it gains beyond the same sum spent on more views alone; ``None`` where that is what it is.
    """

    asked: float
    objects: int
    images: int
    shots: float
    cost: float
    unit: str
    accuracy: Estimate
    extra: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """Images of these objects that an accuracy takes.

    Attributes:
        accuracy: The accuracy.
        share: What share of the saturation that is, if it was asked for as one.
        images: Images; infinite if all views of these objects are not enough.
        low: Lower end of their interval; the smallest sub-sample where it may be fewer.
        high: Upper end; infinite if they may never be enough.
        smallest: The smallest sub-sample: below it nothing is known.
    """

    accuracy: float
    share: float | None
    images: float
    low: float
    high: float
    smallest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """More views or more objects: what the next images bring if they are spent in either way.

    Attributes:
        answer: Which is better.
        reason: Why, in a few words.
        images: How many images are spent.
        views: Gain of accuracy by more images of these objects; ``None`` where nothing can be said.
        objects: Gain by the same number of images of one more object per class.
        extra: The second less the first.
        exchange: How many more shots of every captured object one more object of each class is worth; infinite where
            all views are not worth it.
    """

    answer: Which
    reason: str
    images: int
    views: Estimate | None = field(default=None, repr=False)
    objects: Estimate | None = field(default=None, repr=False)
    extra: Estimate | None = field(default=None, repr=False)
    exchange: Estimate | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """What the variety of a factor is worth at equal numbers of images.

    Attributes:
        name: The axis, or `SAME_VIEWS`.
        narrowed: What it was narrowed to, e.g. "a quarter of the circle"; empty where nothing can be said.
        images: Images of each object that were compared.
        worth: Accuracy with as many images of all of it, less that of the narrowed ones, with its interval.
        next: What a quarter more images of it gain at most (`high`); ``None`` where that cannot be told.
        reason: Why nothing can be said.
    """

    name: str
    narrowed: str = ""
    images: int = 0
    worth: Estimate | None = field(default=None, repr=False)
    next: Estimate | None = field(default=None, repr=False)
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """Stop, or go on.

    Attributes:
        answer: What to do.
        reason: Why, in a few words.
        margin: A gain that is not worth going on for.
        confidence: Chance that further images of these objects gain no more than ``margin``.
        gain: What they are expected to gain.
        within: How many images they are; all that there are views for if ``None``.
        agreement: Cohen's kappa of predictions on left-out objects by heads of all images and of half of them; ``None``
            where objects have one image.
    """

    answer: Stop
    reason: str
    margin: float
    confidence: float | None = None
    gain: Estimate | None = field(default=None, repr=False)
    within: int | None = field(default=None, repr=False)
    agreement: float | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What captured images say about capturing more.

    Attributes:
        images: Images captured.
        objects: Objects captured.
        classes: Classes captured.
        judged: Objects that were left out in turn and judged.
        capacity: Images of these objects that the space has views for, at least ``images``.
        points: Learning curve on left-out objects; empty where none could be left out.
        surface: What the images, and where they say nothing simulated rigs, foretell for other designs; ``None`` where
            nothing can be said.
        saturation: Accuracy with all views of these objects.
        reach: Images to reach each accuracy asked for.
        next: More views or more objects.
        end: Stop or go on.
        best: The best use of a sum.
        cheapest: The cheapest way to each accuracy asked for; none where it takes more than twice the objects.
        test_objects: Objects that the smallest difference is about.
        smallest_difference: Least difference of accuracies of two heads that a test over so many objects finds in 80
            of 100 cases at .05; ``None`` where nothing can be said.
        objects_to_tell: Test objects that such differences take, ``(difference, objects)``; empty where nothing can be
            said.
        factors: What the variety of each axis is worth; empty where there is no surface.
    """

    images: int
    objects: int
    classes: int
    judged: int
    capacity: int
    points: tuple[CurvePoint, ...] = field(repr=False)
    surface: SurfaceGrid | None = field(repr=False)
    saturation: Estimate | None = field(repr=False)
    reach: tuple[Reach, ...] = field(repr=False)
    next: Next
    end: End
    best: Buy | None = field(default=None, repr=False)
    cheapest: tuple[Buy, ...] = field(default=(), repr=False)
    test_objects: int
    smallest_difference: float | None
    objects_to_tell: tuple[tuple[float, int], ...] = field(default=(), repr=False)
    factors: tuple[Factor, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Advice:
        """The advice of which these are the fields, as ``dataclasses.asdict`` gives them."""
        surface, best = fields["surface"], fields["best"]
        parts = {
            "points": tuple(_parted(CurvePoint, point, "accuracy") for point in fields["points"]),
            "surface": None if surface is None else _grid(surface),
            "saturation": _interval(fields["saturation"]),
            "reach": tuple(Reach(**reach) for reach in fields["reach"]),
            "next": _parted(Next, fields["next"], "views", "objects", "extra", "exchange"),
            "end": _parted(End, fields["end"], "gain"),
            "best": None if best is None else _parted(Buy, best, "accuracy", "extra"),
            "cheapest": tuple(_parted(Buy, buy, "accuracy", "extra") for buy in fields["cheapest"]),
            "objects_to_tell": tuple((apart, objects) for apart, objects in fields.get("objects_to_tell", ())),
            "factors": tuple(_parted(Factor, factor, "worth", "next") for factor in fields.get("factors", ())),
        }
        return cls(**{**fields, **parts})

    @property
    def curve(self) -> tuple[CurvePoint, ...]:
        """Accuracy that the surface foretells for ever more images of the captured objects; empty without one."""
        if self.surface is None:
            return ()
        row = self.surface.objects.index(self.objects / self.classes)
        return tuple(
            CurvePoint(images=round(shots * self.objects), accuracy=accuracy)
            for shots, accuracy in zip(self.surface.shots, self.surface.accuracy[row], strict=True)
        )

    def to_dict(self) -> dict[str, object]:
        """All of it for JSON; what never happens (infinitely many images) is null."""
        return {name: finite(value) for name, value in asdict(self).items()}


def _parted(kind: Callable[..., Part], fields: Mapping[str, Any], *names: str) -> Part:
    """A part of an advice, some of whose fields are intervals or nothing."""
    return kind(**{**fields, **{name: _interval(fields[name]) for name in names}})


def _interval(fields: Mapping[str, Any] | None) -> Estimate | None:
    return None if fields is None else Estimate(**fields)


def _grid(fields: Mapping[str, Any]) -> SurfaceGrid:
    rows = tuple(tuple(Estimate(**cell) for cell in row) for row in fields["accuracy"])
    return SurfaceGrid(objects=tuple(fields["objects"]), shots=tuple(fields["shots"]), accuracy=rows)


def check_accuracies(accuracies: Sequence[float]) -> None:
    """Refuse accuracies, or shares of the saturation, that nothing can reach.

    Raises:
        UsageError: If one is not above 0 and at most 1.
    """
    for accuracy in accuracies:
        if not 0.0 < accuracy <= 1.0:
            raise UsageError(
                f"an accuracy of {accuracy:g} to be reached", "give a number above 0, at most 1: e.g. 0.95"
            )


def read_worth(text: str | None) -> dict[str, Any]:
    """Settings of `advise_history` for what is worth going on for: ``0.5``, ``0.5/doubling`` or ``0.2/100``.

    Args:
        text: Points of all further images, of a doubling of the images, or of so many images; ``None`` for the default.

    Raises:
        UsageError: If it is none of these.
    """
    if text is None:
        return {}
    share, _, images = text.partition("/")
    number, within = plain_number(share), None if images in ("", "doubling") else plain_number(images)
    wrong = not 0.0 < number < 100.0 or (within is not None and not (within >= 1.0 and within == round(within)))
    if wrong or text.endswith("/"):
        raise UsageError(f"--worth '{text}' cannot be read", "give points: 0.5, 0.5/doubling, or 0.2/100 images")
    return {"margin": number / 100.0, "within": "doubling" if images == "doubling" else within and round(within)}
