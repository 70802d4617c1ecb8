from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from acqplan.errors import UsageError
from acqplan.files import digest_bytes
from acqplan.rig.camera import Optics, Pose
from acqplan.rig.norb import CATEGORIES
from acqplan.rig.render import DIAGONAL_CM, RenderSettings, build_scene, trace
from acqplan.rig.rendered import toy_rig, toy_shapes
from acqplan.space import Circle, Interval, Space

QUICK = RenderSettings(optics=Optics(size=32, samples=1))
IDENTITIES = "b44e5aa3f4f78f9c8f3a0a7c73d0d29aec84c6d1fbf770ba1be96de421e34e07"
NAMES = [f"{label}-{number:02d}" for label in CATEGORIES for number in range(10)]


def test_the_rig_is_norbs() -> None:
    source = toy_rig()
    assert source.objects.names == tuple(NAMES)
    assert source.space.shape == (18, 9, 6)
    assert len(source.shots()) == 50 * 972
    assert source.name == "toys"


def test_every_toy_looks_different() -> None:
    view = Space(axes=(Circle(name="azimuth", values=(40.0,)), Interval(name="elevation", values=(40.0,), unit="deg")))
    source = toy_rig(space=view, settings=replace(QUICK, noise=0.0))
    taken = dict(source.capture(source.shots()))
    pictures = [taken[row] for row in range(50)]
    flat = np.stack(pictures).reshape(50, -1).astype(float)
    for first, second in itertools.combinations(range(50), 2):
        assert np.abs(flat[first] - flat[second]).mean() > 1.0, (NAMES[first], NAMES[second])


@pytest.mark.parametrize("label", CATEGORIES)
def test_toys_stand_on_the_table_at_one_size(label: str) -> None:
    for number in range(10):
        shape = toy_shapes()[f"{label}-{number:02d}"]
        low, high = shape.vertices.min(axis=0), shape.vertices.max(axis=0)
        assert_allclose(np.linalg.norm(high - low), DIAGONAL_CM, rtol=1e-5)
        assert_allclose([*(low + high)[:2], low[2]], 0, atol=1e-5)
        assert 500 < len(shape.faces) < 10_000


@pytest.mark.parametrize("label", CATEGORIES)
def test_toys_are_seen_whole(label: str) -> None:
    for number, azimuth in itertools.product(range(10), (0.0, 130.0)):
        shape = toy_shapes()[f"{label}-{number:02d}"]
        ambient = trace(build_scene(shape.vertices, shape.faces), Pose(azimuth=azimuth, elevation=35), QUICK.optics)[0]
        covered = ambient != ambient[0, 0]
        assert covered.mean() > 0.03
        assert not covered[[0, -1]].any()
        assert not covered[:, [0, -1]].any()


def test_the_seed_makes_other_images_of_the_same_toys() -> None:
    first, second = (toy_rig(settings=replace(QUICK, seed=seed)) for seed in (0, 1))
    assert first.shape(0).digest() == second.shape(0).digest()
    shot = first.shots().take([0])
    assert first.identities(shot) != second.identities(shot)
    assert not np.array_equal(next(first.capture(shot))[1], next(second.capture(shot))[1])


def test_the_toys_and_their_keys_never_change() -> None:
    """Else plans would be others, and features in caches would be lost."""
    source = toy_rig()
    assert digest_bytes(*source.identities(source.shots())) == IDENTITIES


@pytest.mark.parametrize("n_instances", [0, 11])
def test_impossible_numbers_of_toys_are_refused(n_instances: int) -> None:
    with pytest.raises(UsageError):
        toy_rig(n_instances=n_instances)
