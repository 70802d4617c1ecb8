"""The thesis' sets of views of smallNORB, even and random, and which objects it trained and tested on."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Int

from acqplan.errors import SplitError, UsageError
from acqplan.numbers import count_noun
from acqplan.rng import generator
from acqplan.space import Category, Shots, parse_values

# Instances of each category, by their numbers in smallNORB: heads see the first three, the epoch and the setting are
# chosen by the next two, and the last five are the test.
TRAIN, VALIDATION, TEST = (4, 6, 9), (7, 8), (0, 1, 2, 3, 5)
AZIMUTHS, ELEVATIONS = parse_values("0:340:20"), parse_values("30:70:5")
# Images of each even set, validation included, as the thesis' table 3.1 prints them; its row A60E15 is misprinted there
# as a second A60E5. The random set of the same name (table 3.2) has as many azimuths and elevations.
IMAGES = {
    "A20E5": 24_300, "A20E10": 13_500, "A20E15": 8_100, "A40E5": 12_150, "A40E10": 6_750, "A40E15": 4_050,
    "A60E5": 8_100, "A60E10": 4_500, "A60E15": 2_700, "A120E5": 4_050, "A120E10": 2_250, "A120E15": 1_350,
}  # fmt: skip
FULL_SET = "A20E5"
RANDOM_SETS = tuple(name for name in IMAGES if name != FULL_SET)
# Azimuth dense and elevation sparse, against the reverse at as many images.
DENSE_AZIMUTH, DENSE_ELEVATION = "A40E15", "A120E5"
Kind = Literal["even", "random"]


def parts_of(shots: Shots) -> tuple[Int[np.ndarray, " train"], Int[np.ndarray, " rest"], Int[np.ndarray, " test"]]:
    """Rows of the objects to train, to validate and to test on, by their places among the ten of their class.

    Raises:
        UsageError: If the space is not that of smallNORB.
        SplitError: If a class has not ten objects.
    """
    space, objects = shots.space, shots.objects
    numbers = {axis.name: axis.values for axis in space.axes if not isinstance(axis, Category)}
    lights = [axis for axis in space.axes if isinstance(axis, Category)]
    if numbers != {"azimuth": AZIMUTHS, "elevation": ELEVATIONS} or len(lights) > 1 or len(shots) % space.n_views:
        found = ", ".join(f"{len(axis.values)} of {axis.name}" for axis in space.axes)
        hint = "give azimuth 0:340:20 and elevation 30:70:5, and at most one category beside them"
        raise UsageError(f"this study needs the views of smallNORB, the rig has {found}", hint)
    place = np.empty(len(objects), dtype=np.int64)
    for label in objects.classes:
        rows = [row for row, its in enumerate(objects.labels) if its == label]
        if len(rows) != 10:
            hint = "take a rig with ten, as smallNORB and the toys have"
            raise SplitError(f"class '{label}' has {count_noun(len(rows), 'object')}, the study needs ten", hint)
        place[sorted(rows, key=lambda row: objects.names[row])] = np.arange(10)
    return tuple(np.flatnonzero(np.isin(place, part)) for part in (TRAIN, VALIDATION, TEST))  # type: ignore[return-value]


def steps_of(name: str) -> tuple[int, int]:
    """Steps of azimuth and elevation of a set in degrees: ``A40E15`` is ``(40, 15)``."""
    azimuth, elevation = name.removeprefix("A").split("E")
    return int(azimuth), int(elevation)


def set_rows(shots: Shots, rule: Kind, name: str, seed: int) -> Int[np.ndarray, " images"]:
    """Rows of the shots of an even set, or of a random one of as many azimuths and elevations; all lights.

    Args:
        shots: Every shot that a head may see.
        rule: Which of the two.
        name: Name of the set.
        seed: Seed of the random levels, drawn uniformly without replacement.
    """
    levels = []
    for values, step, spacing in zip((AZIMUTHS, ELEVATIONS), steps_of(name), (20, 5), strict=True):
        kept = np.arange(0, len(values), step // spacing)
        if rule == "random":
            kept = generator(seed, "norb-sampling", name, str(spacing)).permutation(len(values))[: len(kept)]
        levels.append(np.array(values)[kept])
    columns = [shots.space.index("azimuth"), shots.space.index("elevation")]
    inside = [np.isin(shots.coordinates[:, column], own) for column, own in zip(columns, levels, strict=True)]
    return np.flatnonzero(inside[0] & inside[1])
