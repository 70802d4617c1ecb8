"""acqplan: plan which views of which objects to photograph.

Public names are loaded on first use (PEP 562), so that importing the package loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acqplan.campaign.campaign import Campaign
    from acqplan.evaluate.recommend import Recommendation, recommend
    from acqplan.plan import find_strategy
    from acqplan.plan.base import Choice, History, Strategy
    from acqplan.rig.spec import open_rig
    from acqplan.space import Category, Circle, Interval, Objects, Shots, Space

__version__ = "0.1.0"

_HOMES = {
    "Campaign": "acqplan.campaign.campaign",
    "Category": "acqplan.space",
    "Choice": "acqplan.plan.base",
    "Circle": "acqplan.space",
    "History": "acqplan.plan.base",
    "Interval": "acqplan.space",
    "Objects": "acqplan.space",
    "Recommendation": "acqplan.evaluate.recommend",
    "Shots": "acqplan.space",
    "Space": "acqplan.space",
    "Strategy": "acqplan.plan.base",
    "find_strategy": "acqplan.plan",
    "open_rig": "acqplan.rig.spec",
    "recommend": "acqplan.evaluate.recommend",
}

__all__ = [
    "Campaign",
    "Category",
    "Choice",
    "Circle",
    "History",
    "Interval",
    "Objects",
    "Recommendation",
    "Shots",
    "Space",
    "Strategy",
    "find_strategy",
    "open_rig",
    "recommend",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'acqplan' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
