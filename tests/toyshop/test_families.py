"""Families of shapes: valid, varied, repeatable, and none of them a category of the toys."""

from __future__ import annotations

import numpy as np
import pytest

from acqplan.rig.camera import Optics, Pose
from acqplan.rig.norb import CATEGORIES
from acqplan.rig.render import LIGHTINGS, build_scene, expose, trace
from benchmarks.toyshop.families import FAMILIES, build_member

_LIKE_TOYS = {
    *("animal", "dog", "cow", "horse", "cat", "bird", "fish", "human", "person", "man", "robot", "doll"),
    *("airplane", "plane", "jet", "glider", "helicopter", "rocket"),
    *("truck", "lorry", "bus", "van", "tractor", "car", "vehicle", "train", "tank"),
}


def test_at_least_sixty_families() -> None:
    assert len(FAMILIES) >= 60


def test_no_family_is_a_category_of_the_toys_or_of_their_kind() -> None:
    words = {word for name in FAMILIES for word in name.split("_")}
    assert not words & (set(CATEGORIES) | _LIKE_TOYS)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_members_are_finite_standing_solid_and_differ(family: str) -> None:
    members = [build_member(family, number) for number in range(3)]
    for vertices, faces in members:
        assert np.isfinite(vertices).all()
        assert len(faces) >= 4
        assert faces.min() >= 0
        assert faces.max() < len(vertices)
        assert vertices[:, 2].min() == pytest.approx(0.0, abs=1e-9)
        assert 3.0 < np.ptp(vertices, axis=0).max() < 12.5
    proportions = {tuple(np.round(np.ptp(vertices, axis=0) / np.ptp(vertices), 4)) for vertices, _ in members}
    assert len(proportions) == 3


def test_same_number_same_shape_and_seed_changes_it() -> None:
    first, again, other = build_member("chair", 4), build_member("chair", 4), build_member("chair", 4, seed=1)
    np.testing.assert_array_equal(first[0], again[0])
    assert first[0].shape != other[0].shape or not np.allclose(first[0], other[0])


@pytest.mark.parametrize("family", ["teapot", "knot", "letter_s", "windmill"])
def test_renderer_shows_it(family: str) -> None:
    scene = build_scene(*build_member(family, 0))
    levels = trace(scene, Pose(azimuth=30.0, elevation=45.0), Optics())
    image = expose(levels, np.array([LIGHTINGS["L3"]]))[0]
    assert 0.02 < (image < 150).mean() < 0.9
