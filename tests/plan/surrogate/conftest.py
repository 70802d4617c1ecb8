"""Spaces and shots that the tests of kernels share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from acqplan.plan.surrogate import ShotKernel, covariance, points_of
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, parse_values

OBJECTS = Objects(
    names=("car-0", "car-1", "car-2", "plane-0", "plane-1", "truck-0"),
    labels=("car", "car", "car", "plane", "plane", "truck"),
)


@pytest.fixture(params=["grid", "table", "many axes"])
def space(request: pytest.FixtureRequest) -> Space:
    """A grid, a table of views, and a space with two axes of each kind."""
    azimuth = Circle(name="azimuth", values=parse_values("0:315:45"))
    elevation = Interval(name="elevation", values=(10.0, 40.0, 70.0), unit="deg")
    light = Category(name="lighting", values=("dim", "warm", "bright"))
    if request.param == "grid":
        return Space(axes=(azimuth, elevation, light))
    if request.param == "table":
        rings = [(90.0, 1), (60.0, 5), (30.0, 9)]
        return Space(
            axes=(azimuth, elevation), table=np.array([(360.0 * k / n, e) for e, n in rings for k in range(n)])
        )
    roll = Circle(name="roll", values=(0.0, 3.0, 7.0), unit="hours", period=12.0)
    height = Interval(name="height", values=(0.0, 5.0), unit="mm")
    lens = Category(name="lens", values=("wide", "tele"))
    few = Circle(name="azimuth", values=parse_values("0:270:90"))
    low = Interval(name="elevation", values=(10.0, 40.0), unit="deg")
    flash = Category(name="lighting", values=("dim", "bright"))
    return Space(axes=(roll, lens, few, height, flash, low))


@pytest.fixture
def some(space: Space) -> Shots:
    """Forty shots of six objects."""
    shots = Shots.every(space, OBJECTS)
    return shots.take(np.random.default_rng(0).permutation(len(shots))[:40])


@pytest.fixture
def seen_as() -> Callable[..., np.ndarray]:
    """Draw features of shots from a kernel."""

    def draw(shots: Shots, kernel: ShotKernel, n_features: int = 12, seed: int = 0) -> np.ndarray:
        points = points_of(shots)
        gram = covariance(shots.space, kernel, points, points) + kernel.noise * np.eye(len(shots))
        lots = np.random.default_rng(seed).standard_normal((len(shots), n_features))
        return (np.linalg.cholesky(gram) @ lots).astype(np.float32)

    return draw
