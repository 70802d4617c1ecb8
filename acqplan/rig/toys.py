"""The virtual rig of toys: five categories of ten shapes each, built from numbers alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from acqplan.errors import UsageError
from acqplan.rig.rendered import RenderedSource, norb_space
from acqplan.rig.studio import RenderSettings, Shape
from acqplan.rig.toy_shapes.airplanes import airplane
from acqplan.rig.toy_shapes.animals import animal
from acqplan.rig.toy_shapes.cars import car
from acqplan.rig.toy_shapes.humans import human
from acqplan.rig.toy_shapes.parts import Part
from acqplan.rig.toy_shapes.trucks import truck
from acqplan.rng import generator
from acqplan.runtime import available_cores
from acqplan.space import Objects, Space

CATEGORIES: dict[str, Callable[[int, np.random.Generator], Part]] = {
    "animal": animal,
    "human": human,
    "airplane": airplane,
    "truck": truck,
    "car": car,
}
"""The categories of smallNORB in its order; each makes its toy of a number."""


def toy_rig(
    *,
    space: Space | None = None,
    settings: RenderSettings | None = None,
    n_instances: int = 10,
    workers: int | None = None,
) -> RenderedSource:
    """A virtual rig of toys, named like ``car-00``.

    Args:
        space: Which views; those of smallNORB unless given.
        settings: Seed (of shapes too), noise, camera.
        n_instances: Toys a category, 1 to 100; each has ten body plans, repeated with other measures.
        workers: Processes for large captures; all cores unless given.

    Raises:
        UsageError: If ``n_instances`` is out of range.
    """
    if not 1 <= n_instances <= 100:
        raise UsageError(f"{n_instances} toys a category", "give 1 to 100")
    chosen = settings or RenderSettings()
    labels = tuple(label for label in CATEGORIES for _ in range(n_instances))
    numbers = [number for _ in CATEGORIES for number in range(n_instances)]
    names = tuple(f"{label}-{number:02d}" for label, number in zip(labels, numbers, strict=True))
    return RenderedSource(
        name="toys",
        objects=Objects(names=names, labels=labels),
        shape_of=lambda row: make_toy(labels[row], numbers[row], chosen.seed),
        space=space or norb_space(),
        settings=chosen,
        workers=workers or available_cores(),
    )


@lru_cache(maxsize=512)
def make_toy(label: str, number: int, seed: int = 0) -> Shape:
    """Build one toy; its number chooses the body plan, its seed and number the measures."""
    part = CATEGORIES[label](number, generator(seed, "toys", label, number))
    return Shape.standing(part.vertices, part.faces)
