"""The design space: axes, views, objects and shots; no pixels."""

from acqplan.space.axes import Axis, Category, Circle, Interval, parse_values
from acqplan.space.shots import Objects, Shots
from acqplan.space.space import Space, ViewValue

__all__ = ["Axis", "Category", "Circle", "Interval", "Objects", "Shots", "Space", "ViewValue", "parse_values"]
