"""Names of shots: the same in every plan, campaign and file."""

from __future__ import annotations

from collections.abc import Sequence

ViewValue = float | int | str


def shot_identifier(name: str, view: Sequence[ViewValue]) -> str:
    """A name for a shot of an object from a view, e.g. ``car-03_40_55_L2``."""
    return "_".join([name, *(str(value if isinstance(value, str) else short(value)) for value in view)])


def short(value: float) -> float | int:
    """A number as it is written: to 1e-6, and without a point where it is whole."""
    rounded = round(float(value), 6)
    return int(rounded) if rounded == int(rounded) else rounded
