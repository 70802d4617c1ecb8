"""What advice consists of: curve, images to reach an accuracy, views or objects, stop or go on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar

from acqplan.errors import UsageError
from acqplan.numbers import count_noun, finite, points
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
    """One point of the learning curve.

    Attributes:
        images: Images of all captured objects.
        accuracy: Accuracy on left-out objects, with its interval over objects.
    """

    images: int
    accuracy: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The fitted curve ``err(n) = scale * (n / unit)**-exponent + floor``, and where it ends.

    Attributes:
        unit: Images that ``scale`` refers to: those captured.
        scale: Error that images can still remove there.
        exponent: How fast they do.
        floor: Error that would remain with images without end.
        saturation: Accuracy with all views of these objects, which are as many as the space has.
    """

    unit: int
    scale: float
    exponent: float
    floor: float
    saturation: Estimate


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
    """

    answer: Which
    reason: str
    images: int
    views: Estimate | None = field(default=None, repr=False)
    objects: Estimate | None = field(default=None, repr=False)
    extra: Estimate | None = field(default=None, repr=False)


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
        confidence: One-sided confidence that all further images of these objects gain no more than ``margin``.
        gain: What they are expected to gain.
    """

    answer: Stop
    reason: str
    margin: float
    confidence: float | None = None
    gain: Estimate | None = field(default=None, repr=False)


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
        curve: The fitted curve; ``None`` where there were too few sizes to fit one.
        reach: Images to reach each accuracy asked for.
        next: More views or more objects.
        end: Stop or go on.
        test_objects: Objects that the smallest difference is about.
        smallest_difference: Least difference of accuracies of two heads that a test over so many objects finds in 80
            of 100 cases at .05; ``None`` where nothing can be said.
        factors: What the variety of each axis is worth; empty where there is no learning curve.
    """

    images: int
    objects: int
    classes: int
    judged: int
    capacity: int
    points: tuple[CurvePoint, ...] = field(repr=False)
    curve: Curve | None = field(repr=False)
    reach: tuple[Reach, ...] = field(repr=False)
    next: Next
    end: End
    test_objects: int
    smallest_difference: float | None
    factors: tuple[Factor, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Advice:
        """The advice of which these are the fields, as ``dataclasses.asdict`` gives them."""
        curve = fields["curve"]
        parts = {
            "points": tuple(_parted(CurvePoint, point, "accuracy") for point in fields["points"]),
            "curve": None if curve is None else _parted(Curve, curve, "saturation"),
            "reach": tuple(Reach(**reach) for reach in fields["reach"]),
            "next": _parted(Next, fields["next"], "views", "objects", "extra"),
            "end": _parted(End, fields["end"], "gain"),
            "factors": tuple(_parted(Factor, factor, "worth", "next") for factor in fields.get("factors", ())),
        }
        return cls(**{**fields, **parts})

    def to_dict(self) -> dict[str, object]:
        """All of it for JSON; what never happens (infinitely many images) is null."""
        return {name: finite(value) for name, value in asdict(self).items()}


def _parted(kind: Callable[..., Part], fields: Mapping[str, Any], *names: str) -> Part:
    """A part of an advice, some of whose fields are intervals or nothing."""
    intervals = {name: None if fields[name] is None else Estimate(**fields[name]) for name in names}
    return kind(**{**fields, **intervals})


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


def advice_sentences(advice: Advice) -> tuple[str, ...]:
    """Advice in plain words, the most important first: end, next images, images to reach, smallest difference.

    Returns:
        A sentence each, without full stop; intervals are 95 % over objects.
    """
    detectable = "the smallest difference that a test could find cannot be told from these images"
    if advice.smallest_difference is not None:
        detectable = (
            f"a test over {count_noun(advice.test_objects, 'object')} finds differences of classifiers from "
            f"{100 * advice.smallest_difference:.1f} points on (in 80 of 100 cases, at p < .05); smaller ones need "
            "more objects, not more images"
        )
    return (*advice_in_short(advice), *map(_factor, advice.factors), *map(_reach, advice.reach), detectable)


def advice_in_short(advice: Advice) -> tuple[str, ...]:
    """The first of these sentences: stop or go on, and what to spend the next images on."""
    unknown = advice.end.answer == advice.next.answer == "cannot tell" and advice.curve is None
    return (f"cannot tell: {advice.end.reason}",) if unknown else (_end(advice.end), _next(advice.next))


def worded(advice: Advice) -> dict[str, object]:
    """Advice for JSON, with its sentences."""
    return {**advice.to_dict(), "sentences": list(advice_sentences(advice))}


def _end(end: End) -> str:
    if end.confidence is None or end.gain is None:
        return f"cannot tell whether to stop: {end.reason}"
    margin = f"{100 * end.margin:g} points"
    if end.answer == "stop":
        return (
            f"stop: further images of these objects will not gain more than {margin} "
            f"(confidence {_percent(end.confidence)}; {end.reason}; expected gain {_points(end.gain)})"
        )
    return (
        f"go on: further images of these objects may gain more than {margin} "
        f"({end.reason}; expected gain of all of them {_points(end.gain)}; "
        f"confidence that it is no more: {_percent(end.confidence)})"
    )


def _next(after: Next) -> str:
    start = "cannot tell whether more views or more objects" if after.answer == "cannot tell" else after.answer
    if after.views is None:
        return f"{start}: {after.reason}"
    views = f"the next {count_noun(after.images, 'image')} of these objects gain {_points(after.views)}"
    if after.objects is None or after.extra is None:
        return f"{start}: {after.reason}; {views}"
    return (
        f"{start}: {after.reason}; {views}, as many of one more object a class {_points(after.objects)}, "
        f"difference {_points(after.extra)}"
    )


def _factor(factor: Factor) -> str:
    """What to do about a factor, as far as its interval carries it."""
    worth, name = factor.worth, factor.name
    if worth is None:
        return f"cannot tell whether to vary the {name}: {factor.reason}"
    at = f"at {count_noun(factor.images, 'image')} of each object"
    found = f"worth {_points(worth)} over {factor.narrowed} {at}"
    if worth.low > 0.0:
        more = (
            ""
            if factor.next is None
            else f"; a quarter more images gain at most {points(factor.next.high)} points by it"
        )
        return f"vary the {name}: {found}{more}"
    if worth.high < 0.0:
        return f"varying the {name} is no gain: {found}"
    if max(-worth.low, worth.high) <= NEGLIGIBLE:
        return f"varying the {name} hardly matters: {found}{': no turntable needed' * (factor.narrowed == QUARTER)}"
    return f"cannot tell whether to vary the {name}: {found}"


def _reach(reach: Reach) -> str:
    what = f"{100 * reach.accuracy:.1f} %"
    if reach.share is not None:
        what = f"{100 * reach.share:g} % of what all views of these objects reach ({what})"
    if math.isinf(reach.images):
        chance = "" if math.isinf(reach.low) else f"; the lower end of its 95 % interval is {_count(reach.low)} images"
        return f"{what}: not expected even with all views of these objects{chance}"
    if reach.images <= reach.smallest and reach.high <= reach.smallest:
        return f"{what}: reached with {reach.smallest:,} images or fewer"
    high = "never" if math.isinf(reach.high) else _count(reach.high)
    low = f"at most {_count(reach.low)}" if reach.low <= reach.smallest else _count(reach.low)
    return f"{what}: reached with {_count(reach.images)} images of these objects (95 % interval {low} to {high})"


def _count(images: float) -> str:
    return f"{math.ceil(images - 1e-6):,}"


def _percent(share: float) -> str:
    return f"{math.floor(100 * share)} %" if share < 1.0 else "100 %"


def _points(gain: Estimate) -> str:
    return f"{points(gain.estimate)} points ({points(gain.low)} to {points(gain.high)})"
