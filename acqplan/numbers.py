"""Lengths of time as people read them."""

from __future__ import annotations

from collections.abc import Sequence


def duration(seconds: float) -> str:
    """``45 s``, ``12 min 30 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if seconds >= 1 or seconds == 0 else f"{seconds:.2g} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60:02d} s" if whole % 60 else "")
    minutes = round(seconds / 60)
    return f"{minutes // 60} h" + (f" {minutes % 60:02d} min" if minutes % 60 else "")


ViewValue = float | int | str


def shot_identifier(name: str, view: Sequence[ViewValue]) -> str:
    """A name for a shot of an object from a view, e.g. ``car-03_40_55_L2``."""
    return "_".join([name, *(str(value if isinstance(value, str) else short(value)) for value in view)])


def short(value: float) -> float | int:
    """A number as it is written: to 1e-6, and without a point where it is whole."""
    rounded = round(float(value), 6)
    return int(rounded) if rounded == int(rounded) else rounded
