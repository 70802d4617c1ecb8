"""Numbers of which sometimes only a bound is known: images to reach an accuracy, and how many times fewer."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """A number that is known (both ends alike), or only known to lie between two ends: a censored one.

    Attributes:
        low: It is at least this; 0 if nothing is known.
        high: It is at most this; infinite if nothing is known.
    """

    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether it is a single number."""
        return self.low == self.high

    def to_dict(self) -> dict[str, float | None]:
        """Both ends, ready for JSON: an end of which nothing is known is null."""
        return {"low": self.low or None, "high": self.high if math.isfinite(self.high) else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesToReach:
    """How many images an arm needs for an accuracy.

    Attributes:
        target: The accuracy.
        images: The number, in ``[largest, inf]`` if no budget reached the target, in ``[0, smallest]`` if all did.
        interval: Its interval over objects and seeds, censored in the same way: the low end 0 means "at most the
            smallest budget", the high end infinite "more than the largest".
        level: Confidence of the interval.
        smallest: Smallest budget measured.
        largest: Largest budget measured.
        n_runs: Pairs of object and seed that had all budgets.
    """

    target: float
    images: Bounds
    interval: Bounds
    level: float
    smallest: int
    largest: int
    n_runs: int

    @property
    def text(self) -> str:
        """For example ``420``, ``≤ 90`` or ``> 2,430``."""
        if self.images.known:
            return f"{self.images.low:,.0f}"
        return f"> {self.largest:,}" if math.isinf(self.images.high) else f"≤ {self.smallest:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedUp:
    """How many times fewer images an arm needs than a baseline for the same accuracy.

    Attributes:
        target: The accuracy.
        ratio: Images of the baseline over images of the arm; one-sided if one of both is censored, and
            ``[0, inf]`` if nothing can be said.
        interval: Its interval over objects and seeds.
        level: Confidence of the interval.
        n_runs: Pairs of object and seed that had all budgets in both arms.
    """

    target: float
    ratio: Bounds
    interval: Bounds
    level: float
    n_runs: int

    @property
    def text(self) -> str:
        """For example ``2.4``, ``≥ 2.4``, ``≤ 0.7``, ``unknown``."""
        if self.ratio.known:
            return f"{self.ratio.low:.1f}"
        if math.isinf(self.ratio.high):
            return f"≥ {self.ratio.low:.1f}" if self.ratio.low else "unknown"
        return f"{self.ratio.low:.1f} to {self.ratio.high:.1f}" if self.ratio.low else f"≤ {self.ratio.high:.1f}"
