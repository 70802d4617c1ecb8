"""What a person does to take a shot, in words: the one place where such sentences are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired, TypedDict

from acqplan.numbers import ViewValue
from acqplan.space.axes import Axis, Category, Circle

OBJECT = "object"  # what the first step of a shot is about; the others are about axes
CAMERA = ("elevation", "camera", "altitude")
LAMP = ("light", "lamp")
SIGNS = {"deg": "°", "%": " %", "": ""}


class Step(TypedDict):
    """A part of a shot's sentence.

    Attributes:
        of: Name of the axis; "object" in the first step, which has no setting.
        do: What to do where this differs from the shot before.
        still: What to say where it does not.
        setting: Setting of the axis.
    """

    of: str
    do: str
    still: str
    setting: NotRequired[ViewValue]


def steps_of(axes: Sequence[Axis], name: str, view: Sequence[ViewValue]) -> list[Step]:
    """What to do for a shot: the object, its turn on the table, then a step for each other axis in their order.

    Args:
        axes: Axes of the space.
        name: Name of the object.
        view: Setting of each axis.
    """
    turned = next((axis for axis in axes if isinstance(axis, Circle)), None)
    found = [Step(of=OBJECT, do=f"put {name} on the table", still="same object")]
    # "turn it" is said of the object just named
    for axis, value in sorted(zip(axes, view, strict=True), key=lambda pair: pair[0] is not turned):
        do, still = _words(axis, setting_words(axis, value), is_table=axis is turned)
        found.append(Step(of=axis.name, do=do, still=still, setting=value))
    return found


def sentence(steps: Sequence[Step]) -> str:
    """Join the steps of a shot: ``Put cup-02 on the table, turn it to 240°, camera at 60°, lamp left.``."""
    text = ", ".join(step["do"] for step in steps)
    return f"{text[:1].upper()}{text[1:]}."


def changes(steps: Sequence[Step], before: Sequence[Step] | None) -> list[bool]:
    """Which steps differ from those of the shot before; all of them if there is none."""
    if before is None:
        return [True] * len(steps)
    # of an object only the words are known
    return [
        step.get("setting", step["do"]) != was.get("setting", was["do"])
        for step, was in zip(steps, before, strict=True)
    ]


def level_name(value: ViewValue) -> str:
    """A level as people write it: ``40``, ``2.5``, ``L2``."""
    return value if isinstance(value, str) else f"{value:.9g}"


def setting_words(axis: Axis, value: ViewValue) -> str:
    """A setting with its unit: ``240°``, ``12.5 cm``, ``left``."""
    return level_name(value) + SIGNS.get(axis.unit, f" {axis.unit}")


def _words(axis: Axis, setting: str, *, is_table: bool) -> tuple[str, str]:
    """What to do for one axis, and what to say where it stays as it is; the object comes before."""
    name = axis.name.lower()
    if is_table:
        return f"turn it to {setting}", f"still at {setting}"
    if isinstance(axis, Category):
        what = "lamp" if any(word in name for word in LAMP) else axis.name
        return f"{what} {setting}", f"{what} still {setting}"
    if name == "distance":
        return f"camera {setting} away", f"camera still {setting} away"
    what = "camera" if name in CAMERA else axis.name
    return f"{what} at {setting}", f"{what} still at {setting}"
