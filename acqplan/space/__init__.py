"""The design space: axes, views, objects and shots; no pixels.

Names are loaded on first use (PEP 562): a campaign needs axes to ask and tell, and axes need no numpy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acqplan.space.axes import Axis, Category, Circle, Interval, parse_values
    from acqplan.space.shots import Objects, Shots, Space, ViewValue

__all__ = ["Axis", "Category", "Circle", "Interval", "Objects", "Shots", "Space", "ViewValue", "parse_values"]

_HOMES = {"Objects": "shots", "Shots": "shots", "Space": "shots", "ViewValue": "shots"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES.get(name, 'axes')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
