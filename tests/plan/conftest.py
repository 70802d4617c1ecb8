"""Spaces, objects and requests that the tests of strategies share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from acqplan.plan.base import History
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, parse_values

LABELS = ("animal", "car", "human", "plane", "truck")


@pytest.fixture(scope="session")
def norb() -> Space:
    """The grid of smallNORB: 18 azimuths, 9 elevations, 6 lightings."""
    return Space(
        axes=(
            Circle(name="azimuth", values=parse_values("0:340:20")),
            Interval(name="elevation", values=parse_values("30:70:5"), unit="deg"),
            Category(name="lighting", values=("L0", "L1", "L2", "L3", "L4", "L5")),
        )
    )


@pytest.fixture(scope="session")
def small() -> Space:
    """A grid of 48 views."""
    return Space(
        axes=(
            Circle(name="azimuth", values=parse_values("0:330:30")),
            Interval(name="elevation", values=(10.0, 40.0), unit="deg"),
            Category(name="lighting", values=("dim", "bright")),
        )
    )


@pytest.fixture(scope="session")
def photographs() -> Space:
    """A table of views as in ETH-80: rings of the upper half of a sphere, no full grid."""
    rings = [(22.0, 1), (45.0, 8), (68.0, 8), (90.0, 8)]
    table = [(360.0 * step / count, elevation) for elevation, count in rings for step in range(count)]
    return Space(
        axes=(
            Circle(name="azimuth", values=parse_values("0:315:45")),
            Interval(name="elevation", values=(22.0, 45.0, 68.0, 90.0), unit="deg"),
        ),
        table=np.array(table),
    )


@pytest.fixture(scope="session")
def objects_of() -> Callable[..., Objects]:
    """Make objects of as many classes as there are counts."""

    def make(*counts: int) -> Objects:
        kinds = list(zip(LABELS, counts, strict=False))
        return Objects(
            names=tuple(f"{label}-{number:02d}" for label, count in kinds for number in range(count)),
            labels=tuple(label for label, count in kinds for _ in range(count)),
        )

    return make


@pytest.fixture(scope="session")
def captured() -> Callable[..., tuple[Shots, History]]:
    """Split shots into what is left and a history of some rows."""

    def split(shots: Shots, rows: np.ndarray) -> tuple[Shots, History]:
        left = np.setdiff1d(np.arange(len(shots)), rows)
        return shots.take(left), History(shots=shots.take(rows))

    return split
