from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float, Float32, UInt8
from numpy.testing import assert_allclose, assert_array_equal

from acqplan.errors import UsageError
from acqplan.rig.camera import NEAREST_CM, Optics, Pose, place_camera
from acqplan.rig.render import LIGHTINGS, Scene, Shape, build_scene, corner_normals, expose, trace
from acqplan.rig.rendered import toy_shapes

LIGHTS = np.array(list(LIGHTINGS.values()))
NORBS = Optics()
SMALL = Optics(size=48)
BACKGROUND_CORNER = (0, 0)


def turned(shape: Shape, degrees: float) -> Scene:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    return build_scene(shape.vertices @ turn.T, shape.faces)


def cube(side: float = 5.0, *, above: float = 0.0) -> Scene:
    corners = np.array([(x, y, z) for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (0.0, 1.0)]) * side
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [triangle for a, b, c, d in quads for triangle in ((a, b, c), (a, c, d))]
    return build_scene(corners + np.array([0, 0, above]), np.array(faces))


def render(
    scene: Scene, azimuth: float, elevation: float, lights: Float[np.ndarray, "lights 4"], *, optics: Optics = NORBS
) -> UInt8[np.ndarray, "lights size size"]:
    """One pose under several lightings, without noise."""
    return expose(trace(scene, Pose(azimuth=azimuth, elevation=elevation), optics), lights)


def grey(scene: Scene, azimuth: float, elevation: float, optics: Optics = SMALL) -> Float32[np.ndarray, "6 size size"]:
    return render(scene, azimuth, elevation, LIGHTS, optics=optics).astype(np.float32)


@pytest.fixture(scope="module")
def car() -> Shape:
    return toy_shapes()["car-03"]


@pytest.mark.parametrize("azimuth", [-40.0, 0.0, 137.0])
def test_turning_the_object_equals_turning_the_table_back(car: Shape, azimuth: float) -> None:
    straight = grey(turned(car, 0), azimuth, 40)
    moved = grey(turned(car, 40), azimuth - 40, 40)
    # an edge may pass on the other side of a few rays: float32 vertices are rounded anew
    assert np.abs(straight - moved).mean() < 0.1
    assert (np.abs(straight - moved) > 8).mean() < 0.002


@settings(max_examples=10, deadline=None)
@given(azimuth=st.floats(-1e4, 1e4), elevation=st.floats(-720, 720))
def test_any_view_can_be_rendered(azimuth: float, elevation: float) -> None:
    images = render(cube(), azimuth, elevation, LIGHTS, optics=SMALL)
    assert images.shape == (6, 48, 48)
    assert images.dtype == np.uint8


@pytest.mark.parametrize(("azimuth", "elevation"), [(20, 30), (100, 65)])
def test_a_full_turn_changes_nothing(car: Shape, azimuth: float, elevation: float) -> None:
    scene = turned(car, 0)
    difference = grey(scene, azimuth, elevation) - grey(scene, azimuth + 360, elevation - 720)
    assert (np.abs(difference) > 1).mean() < 0.002


def test_over_the_top_is_the_other_side_upside_down(car: Shape) -> None:
    scene = turned(car, 0)
    ambient = np.zeros((1, 4))
    over = render(scene, 0, 120, ambient, optics=SMALL)[0]
    other = render(scene, 180, 60, ambient, optics=SMALL)[0]
    assert (np.abs(over.astype(float) - other[::-1, ::-1]) > 2).mean() < 0.01


def test_light_adds_up(car: Shape) -> None:
    levels = trace(turned(car, 0), Pose(azimuth=30, elevation=40), SMALL)
    lamps = np.diag([0.2, 0.3, 0.25, 0.2])
    alone = expose(levels, lamps).astype(float)
    dark = expose(levels, np.zeros((1, 4))).astype(float)
    together = expose(levels, lamps.sum(axis=0, keepdims=True))[0].astype(float)
    assert_allclose(dark[0] + (alone - dark).sum(axis=0), together, atol=3.0)


def test_each_lighting_gives_another_image(car: Shape) -> None:
    images = render(turned(car, 0), 50, 40, LIGHTS)
    assert len({image.tobytes() for image in images}) == len(LIGHTINGS)


def test_lightings_of_one_pose_are_those_rendered_one_by_one(car: Shape) -> None:
    scene = turned(car, 0)
    together = render(scene, 70, 55, LIGHTS, optics=SMALL)
    for row in range(len(LIGHTS)):
        assert_array_equal(together[row], render(scene, 70, 55, LIGHTS[row : row + 1], optics=SMALL)[0])


def test_the_object_casts_a_shadow_away_from_the_lamp() -> None:
    levels = trace(cube(3.0), Pose(azimuth=0, elevation=60), SMALL)
    lit = levels[1][BACKGROUND_CORNER]
    assert_allclose(levels[1:, 0, 0], levels[1:, -1, -1])
    columns = [np.flatnonzero((level < 0.02 * lit).sum(axis=0)).mean() for level in levels[1:3]]
    assert columns[0] > 23.5 > columns[1]


def test_a_floating_object_has_a_shadow_apart_from_it() -> None:
    grounded, floating = (trace(cube(2.0, above=z), Pose(azimuth=0, elevation=89.9), SMALL)[3] for z in (0.0, 3.0))
    assert (floating == 0).sum() > 20
    assert abs(int((floating == 0).sum()) - int((grounded == 0).sum())) < 60


def test_the_table_is_not_seen_from_below(car: Shape) -> None:
    levels = trace(turned(car, 0), Pose(azimuth=20, elevation=-30), SMALL)
    assert levels[1][BACKGROUND_CORNER] == levels[1].max(initial=0, where=levels[0] == levels[0][0, 0])


def test_the_face_towards_a_lamp_is_brighter_by_lambert() -> None:
    overhead = trace(cube(4.0), Pose(azimuth=0, elevation=90), Optics(size=32, samples=1))
    roof = overhead[:, 16, 16]
    table = overhead[:, 0, 0]
    # a matte roof and the table are lit at the same angle: paint is darker than the table
    assert np.all((roof[1:] > 0.6 * table[1:]) & (roof[1:] < 0.8 * table[1:]))


def test_the_eyes_of_a_stereo_pair_see_the_object_from_two_sides(car: Shape) -> None:
    scene = turned(car, 0)
    images = [trace(scene, Pose(azimuth=30, elevation=40, eye=eye), SMALL) for eye in ("left", "mono", "right")]
    assert not np.array_equal(images[0], images[2])
    left, middle, right = (image.sum(axis=0) for image in images)
    assert np.abs(left - right).mean() > np.abs(left - middle).mean()


def test_stereo_cameras_stand_a_baseline_apart() -> None:
    optics = Optics()
    aim = np.array([0.0, 0.0, 2.0])
    left, right = (place_camera(Pose(azimuth=70, elevation=35, eye=eye), aim, optics) for eye in ("left", "right"))
    assert_allclose(np.linalg.norm(left.origin - right.origin), optics.baseline_cm)
    for camera in (left, right):
        assert_allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-12)
        assert_allclose(np.cross(camera.axes[2], aim - camera.origin), 0, atol=1e-9)


def test_offset_moves_the_object_in_the_image() -> None:
    scene = cube(2.0)
    centres = []
    for right in (-2.0, 0.0, 2.0):
        level = trace(scene, Pose(azimuth=25, elevation=50, offset_cm=(0.0, right)), SMALL)[0]
        centres.append(np.flatnonzero((level != level[0, 0]).any(axis=0)).mean())
    assert_allclose(np.diff(centres), 2.0 * 24 / SMALL.half_width_cm, atol=1.0)


def test_an_object_outside_the_picture_is_an_empty_picture() -> None:
    level = trace(cube(0.2), Pose(azimuth=0, elevation=45, offset_cm=(0.0, 12.0)), SMALL)[0]
    assert_array_equal(level, level[0, 0])


def test_more_samples_agree_and_smooth(car: Shape) -> None:
    scene = turned(car, 0)
    one, two, four = (grey(scene, 33, 44, Optics(size=48, samples=n)) for n in (1, 2, 4))
    assert np.abs(two - four).mean() < np.abs(one - four).mean() < 6


def test_smooth_corners_of_a_ball_and_sharp_corners_of_a_cube() -> None:
    triangle = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.9, 0.9, 0.1]], dtype=np.float32)
    faces = np.array([[0, 1, 2], [1, 4, 2], [0, 2, 3]], dtype=np.int32)
    normals = corner_normals(triangle, faces)
    assert_allclose(np.linalg.norm(normals, axis=-1), 1, atol=1e-6)
    assert_allclose(normals[0, 1], normals[1, 0], atol=1e-6)
    assert_allclose(normals[2], np.broadcast_to([1, 0, 0], (3, 3)), atol=1e-6)


def test_bright_light_is_cut_not_wrapped() -> None:
    image: UInt8[np.ndarray, "1 48 48"] = render(cube(), 0, 45, np.full((1, 4), 50.0), optics=SMALL)
    assert image.max() == 255
    noisy = expose(np.zeros((5, 4, 4), np.float32), np.zeros((1, 4)), np.full((1, 4, 4), -30, np.float32))
    assert_array_equal(noisy, 0)


@pytest.mark.parametrize(
    "wrong",
    [{"size": 0}, {"samples": 3}, {"half_width_cm": 0.0}, {"distance_cm": NEAREST_CM - 1}, {"baseline_cm": -1.0}],
)
def test_impossible_cameras_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Optics(**wrong)  # type: ignore[arg-type]
