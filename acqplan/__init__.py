"""acqplan: plan which views of which objects to photograph.

Every command has a twin here: `recommend`, `benchmark`, `advise`, `compare`; a robot's script uses `Campaign`. Public
names are loaded on first use (PEP 562), so that importing the package loads neither numpy nor torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from acqplan.advice.answers import Advice
    from acqplan.campaign.campaign import Campaign
    from acqplan.errors import AcqplanError
    from acqplan.evaluate.benchmark import benchmark
    from acqplan.evaluate.compare import Comparison, compare
    from acqplan.evaluate.findings import Findings
    from acqplan.evaluate.judging import PlannedTest, plan_test
    from acqplan.evaluate.recommend import Recommendation, advise, recommend
    from acqplan.exchange import convert
    from acqplan.plan import find_strategy
    from acqplan.plan.base import Choice, History, Strategy
    from acqplan.plan.plan import Plan
    from acqplan.rig.spec import Rig, open_rig
    from acqplan.runtime import Runtime
    from acqplan.space import Category, Circle, Interval, Objects, Shots, Space

__version__ = "0.1.0"

_HOMES = {
    "acqplan.advice.answers": ("Advice",),
    "acqplan.campaign.campaign": ("Campaign",),
    "acqplan.errors": ("AcqplanError",),
    "acqplan.evaluate.benchmark": ("benchmark",),
    "acqplan.evaluate.compare": ("Comparison", "compare"),
    "acqplan.evaluate.findings": ("Findings",),
    "acqplan.evaluate.judging": ("PlannedTest", "plan_test"),
    "acqplan.evaluate.recommend": ("Recommendation", "advise", "recommend"),
    "acqplan.exchange": ("convert",),
    "acqplan.plan": ("find_strategy",),
    "acqplan.plan.base": ("Choice", "History", "Strategy"),
    "acqplan.plan.plan": ("Plan",),
    "acqplan.rig.spec": ("Rig", "open_rig"),
    "acqplan.runtime": ("Runtime",),
    "acqplan.space": ("Category", "Circle", "Interval", "Objects", "Shots", "Space"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AcqplanError",
    "Advice",
    "Campaign",
    "Category",
    "Choice",
    "Circle",
    "Comparison",
    "Findings",
    "History",
    "Interval",
    "Objects",
    "Plan",
    "PlannedTest",
    "Recommendation",
    "Rig",
    "Runtime",
    "Shots",
    "Space",
    "Strategy",
    "advise",
    "benchmark",
    "compare",
    "convert",
    "find_strategy",
    "open_rig",
    "plan_test",
    "recommend",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'acqplan' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])
