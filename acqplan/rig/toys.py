"""The virtual rig of toys: five categories of ten shapes each, made by ``benchmarks/toyshop`` and shipped as arrays."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from acqplan.errors import UsageError
from acqplan.rig.rendered import RenderedSource, norb_space
from acqplan.rig.studio import RenderSettings, Shape
from acqplan.runtime import available_cores
from acqplan.space import Objects, Space

CATEGORIES = ("animal", "human", "airplane", "truck", "car")
"""The categories of smallNORB in its order."""

N_INSTANCES = 10
"""Toys per category."""


def toy_rig(
    *,
    space: Space | None = None,
    settings: RenderSettings | None = None,
    n_instances: int = N_INSTANCES,
    workers: int | None = None,
) -> RenderedSource:
    """A virtual rig of toys, named like ``car-00``.

    Args:
        space: Which views; those of smallNORB unless given.
        settings: Seed of noise and jitter, noise, camera.
        n_instances: Toys per category, 1 to 10, each of a body plan of its own.
        workers: Processes for large captures; all cores unless given.

    Raises:
        UsageError: If ``n_instances`` is out of range.
    """
    if not 1 <= n_instances <= N_INSTANCES:
        raise UsageError(f"{n_instances} toys a category", f"give 1 to {N_INSTANCES}")
    names = tuple(f"{label}-{number:02d}" for label in CATEGORIES for number in range(n_instances))
    return RenderedSource(
        name="toys",
        objects=Objects(names=names, labels=tuple(name[:-3] for name in names)),
        shape_of=lambda row: toy_shapes()[names[row]],
        space=space or norb_space(),
        settings=settings or RenderSettings(),
        workers=workers or available_cores(),
    )


@cache
def toy_shapes() -> dict[str, Shape]:
    """The shape of each toy by its name; see `benchmarks.toyshop.toys.pack` for how they are stored."""
    with np.load(Path(__file__).with_name("toys.npz")) as stored:
        counts, planes, differences = stored["counts"], stored["vertices"], stored["faces"]
    vertices = np.ascontiguousarray(planes.T).view("<f4")[..., 0]
    faces = np.cumsum(differences, dtype=np.int32).reshape(-1, 3)
    names = [f"{label}-{number:02d}" for label in CATEGORIES for number in range(N_INSTANCES)]
    parts = (np.split(array, np.cumsum(counts[:-1, column])) for column, array in enumerate((vertices, faces)))
    return {name: Shape(*arrays) for name, *arrays in zip(names, *parts, strict=True)}
