"""Fits: what was put in is found again, whatever the order of rows, and nothing is ever NaN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, replace

import numpy as np
import pytest

from acqplan.plan.surrogate import LARGEST, ShotKernel, fit_surrogate
from acqplan.space import Category, Circle, Interval, Objects, Shots, Space, parse_values

Draw = Callable[..., np.ndarray]

SPACE = Space(
    axes=(
        Circle(name="azimuth", values=parse_values("0:340:20")),
        Interval(name="elevation", values=parse_values("30:70:5"), unit="deg"),
        Category(name="lighting", values=("L0", "L1", "L2")),
    )
)


def objects(*counts: int) -> Objects:
    kinds = [(label, count) for label, count in zip("abcde", counts, strict=False)]
    return Objects(
        names=tuple(f"{label}{number}" for label, count in kinds for number in range(count)),
        labels=tuple(label for label, count in kinds for _ in range(count)),
    )


def drawn(n: int, *counts: int, space: Space = SPACE, seed: int = 0) -> Shots:
    shots = Shots.every(space, objects(*counts))
    return shots.take(np.random.default_rng(seed).permutation(len(shots))[:n])


def test_lengths_are_found_again(seen_as: Draw) -> None:
    shots = drawn(200, 4, 4)
    truth = ShotKernel(lengths=(80.0, 10.0, 5.0), noise=0.02)
    found = fit_surrogate(shots, seen_as(shots, truth, 40), seed=0)
    assert found.learned
    azimuth, elevation, lighting = found.kernel.lengths
    assert azimuth == pytest.approx(80.0, rel=0.4)
    assert elevation == pytest.approx(10.0, rel=0.4)
    assert lighting > 2.0
    assert found.kernel.noise < 0.1


def test_neither_the_order_of_rows_nor_the_zero_of_the_circle_matters(seen_as: Draw) -> None:
    shots = drawn(60, 3, 2)
    features = seen_as(shots, ShotKernel(lengths=(25.0, 30.0, 1.0)))
    expected = fit_surrogate(shots, features, seed=3)
    order = np.random.default_rng(5).permutation(60)
    assert fit_surrogate(shots.take(order), features[order], seed=3) == expected
    turned = replace(
        shots,
        space=SPACE.turned("azimuth", 40.0),
        coordinates=np.mod(shots.coordinates + np.array([40.0, 0.0, 0.0]), np.array([360.0, 1e9, 1e9])),
    )
    assert fit_surrogate(turned, features, seed=3) == expected


def test_many_shots_are_thinned_evenly(monkeypatch: pytest.MonkeyPatch, seen_as: Draw) -> None:
    monkeypatch.setattr("acqplan.plan.surrogate.LARGEST", 40)
    shots = drawn(90, 3, 2)
    features = seen_as(shots, ShotKernel(lengths=(25.0, 30.0, 1.0)))
    found = fit_surrogate(shots, features, seed=0)
    assert found.n_shots == 40 < LARGEST
    assert found == fit_surrogate(shots, features, seed=0)


def equal(shots: Shots) -> np.ndarray:
    return np.ones((len(shots), 5), dtype=np.float32)


def noise(shots: Shots) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((len(shots), 5)).astype(np.float32)


def huge(shots: Shots) -> np.ndarray:
    return noise(shots) * np.float32(1e18)


def one_column(shots: Shots) -> np.ndarray:
    return noise(shots)[:, :1]


def holes(shots: Shots) -> np.ndarray:
    return np.where(noise(shots) > 2.0, np.nan, noise(shots)).astype(np.float32)


NARROW = Space(axes=(SPACE.axes[0], Category(name="lighting", values=("only",))))


@pytest.mark.parametrize("features", [equal, noise, huge, one_column, holes])
@pytest.mark.parametrize(
    "shots",
    [
        drawn(1, 1),
        drawn(9, 1, 1, 1),
        drawn(30, 1, 1, 1, 1, 1),
        drawn(30, 2, 2, space=NARROW),
        drawn(20, 2, 2).join(drawn(20, 2, 2)),
        replace(drawn(30, 2, 2), objects=objects(2, 2, 2)),
        drawn(30, 3),
    ],
    ids=["one shot", "few", "one object a class", "one level", "duplicates", "a class without capture", "one class"],
)
def test_hard_inputs_give_finite_numbers(shots: Shots, features: Callable[[Shots], np.ndarray]) -> None:
    found = fit_surrogate(shots, features(shots), seed=0)
    kernel = astuple(found.kernel)
    assert all(np.isfinite(value).all() and np.min(value) > 0.0 for value in kernel)
    if not found.learned:
        assert found.kernel == ShotKernel.default(shots.space)
        assert found.why


def test_nothing_seen_leaves_the_prior() -> None:
    shots, prior = drawn(30, 2, 2), ShotKernel.default(SPACE)
    assert fit_surrogate(shots, None, seed=0).kernel == prior
    assert fit_surrogate(shots, np.zeros((30, 0), dtype=np.float32), seed=0).kernel == prior
