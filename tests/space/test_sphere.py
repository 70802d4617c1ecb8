"""Poses on a sphere: against the renderer's camera, and back and forth."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acqplan.errors import SpaceError, UsageError
from acqplan.rig.camera import Optics, Pose, place_camera
from acqplan.space import Circle, Interval, Objects, Shots, Space
from acqplan.space.sphere import Intrinsics, Orbit, Views, nearest_point, views_of

ANGLES = st.floats(-180, 180)
POINTS = st.tuples(*[st.floats(-50, 50)] * 3)
UPS = POINTS.filter(lambda up: np.linalg.norm(up) > 0.1)
TURNS = st.sampled_from(["table", "camera"])


def one(azimuth: float, elevation: float, distance: float = 10.0, roll: float = 0.0, **more: object) -> Views:
    numbers = (np.array([value], dtype=float) for value in (azimuth, elevation, distance, roll))
    names = ("azimuth", "elevation", "distance", "roll")
    return Views(**dict(zip(names, numbers, strict=True)), **more)  # type: ignore[arg-type]


@given(azimuth=ANGLES, elevation=st.floats(-89.9, 89.9), aim=POINTS)
def test_a_view_has_the_camera_of_the_renderer(azimuth: float, elevation: float, aim: tuple[float, ...]) -> None:
    optics = Optics(distance_cm=41.0)
    camera = place_camera(Pose(azimuth=azimuth, elevation=elevation), np.array(aim), optics)
    matrix = one(azimuth, elevation, 41.0, target=aim).camera_to_world()[0]
    right, up, forward = camera.axes
    assert np.allclose(matrix[:3, :3], np.stack([right, up, -forward], axis=1), atol=1e-9)
    assert np.allclose(matrix[:3, 3], camera.origin, atol=1e-9)


def test_the_conventions_are_those_that_are_written() -> None:
    place = one(90, 0).camera_to_world()[0][:3, 3]
    assert np.allclose(place, [0, -10, 0])  # the table turned its left side to the camera
    assert np.allclose(one(90, 0, turns="camera").camera_to_world()[0][:3, 3], [0, 10, 0])
    assert np.allclose(one(0, 90).camera_to_world()[0][:3, 3], [0, 0, 10])
    rolled = one(0, 0, roll=90).camera_to_world()[0]
    # a camera over +x that is turned clockwise: its top points to what was its right, +y
    assert np.allclose(rolled[:3, 1], [0, 1, 0])
    upright = one(0, 0, up=(0.0, 1.0, 0.0)).camera_to_world()[0]
    assert np.allclose(upright[:3, 1], [0, 1, 0])
    assert np.allclose(upright[:3, 3], [10, 0, 0])


@given(
    azimuth=st.floats(0, 360, exclude_max=True), elevation=st.floats(-89, 89), distance=st.floats(0.01, 1e4),
    roll=st.floats(-179, 179), target=POINTS, up=UPS, turns=TURNS,
)  # fmt: skip
def test_numbers_come_back_from_poses(
    azimuth: float, elevation: float, distance: float, roll: float, target: tuple[float, ...], up: tuple[float, ...],
    turns: str,
) -> None:  # fmt: skip
    views = one(azimuth, elevation, distance, roll, target=target, up=up, turns=turns)
    back = views_of(views.camera_to_world(), target=target, up=up, turns=turns)  # type: ignore[arg-type]
    assert (back.azimuth >= 0).all()
    assert (back.azimuth < 360).all()
    apart = (back.azimuth[0] - azimuth + 180) % 360 - 180
    assert apart == pytest.approx(0, abs=1e-6)
    assert back.elevation[0] == pytest.approx(elevation, abs=1e-6)
    assert back.distance[0] == pytest.approx(distance, rel=1e-6)
    assert back.roll[0] == pytest.approx(roll, abs=1e-6)
    assert np.max(back.off_axis) < 1e-6


@given(
    azimuth=ANGLES, elevation=st.one_of(st.floats(-180, 180), st.sampled_from([90.0, -90.0, 0.0])), roll=ANGLES, up=UPS,
    turns=TURNS,
)  # fmt: skip
def test_poses_come_back_from_numbers(
    azimuth: float, elevation: float, roll: float, up: tuple[float, ...], turns: str
) -> None:
    matrices = one(azimuth, elevation, roll=roll, up=up, turns=turns).camera_to_world()
    back = views_of(matrices, target=(0.0, 0.0, 0.0), up=up, turns=turns)  # type: ignore[arg-type]
    assert np.allclose(back.camera_to_world(), matrices, atol=1e-6)


def test_cameras_that_look_at_a_point_tell_which() -> None:
    target = (3.0, -1.0, 2.0)
    views = Views(
        azimuth=np.arange(0.0, 360.0, 40.0), elevation=np.linspace(10, 70, 9), distance=np.full(9, 5.0),
        roll=np.zeros(9), target=target,
    )  # fmt: skip
    matrices = views.camera_to_world()
    assert nearest_point(matrices) == pytest.approx(target)
    assert views_of(matrices).target == pytest.approx(target)
    with pytest.raises(UsageError, match="parallel"):
        nearest_point(matrices[:1])
    with pytest.raises(UsageError, match="camera 1 is at the target"):
        views_of(matrices, target=tuple(matrices[0, :3, 3].tolist()))


def test_a_camera_that_looks_past_the_target_says_how_far() -> None:
    matrices = one(30, 20).camera_to_world()
    aside = tuple(
        (matrices[0, :3, 3] - 10 * (matrices[0, :3, 2] + np.tan(np.radians(4)) * matrices[0, :3, 0])).tolist()
    )
    assert np.allclose(views_of(matrices, target=aside).off_axis, 4)


def shots(**axes: tuple[str, float]) -> Shots:
    made = [
        Circle(name=name, values=(value,)) if kind == "circle" else Interval(name=name, values=(value,), unit=kind)
        for name, (kind, value) in axes.items()
    ]
    return Shots.every(Space(axes=tuple(made)), Objects(names=("cup-1",), labels=("cup",)))


def numbers(views: Views) -> list[float]:
    return np.concatenate([views.azimuth, views.elevation, views.distance, views.roll]).tolist()


def test_axes_and_orbit_together_say_where_a_camera_is() -> None:
    found = Orbit(distance=400.0, elevation=30.0).views(shots(turntable_deg=("circle", 40.0)))
    assert numbers(found) == [40, 30, 400, 0]
    found = Orbit(distance=400.0).views(
        shots(Azimuth=("circle", 40.0), polar=("deg", 60.0), distance_mm=("mm", 300.0), roll=("deg", 5.0))
    )
    assert numbers(found) == [40, 30, 300, 5]
    with pytest.raises(SpaceError, match=r"says the elevation of the camera; write under \[camera\]"):
        Orbit(distance=400.0).views(shots(azimuth=("circle", 40.0)))
    with pytest.raises(SpaceError, match="'yaw' is not the only one for the azimuth"):
        Orbit(distance=400.0, elevation=0.0).views(shots(azimuth=("circle", 40.0), yaw=("circle", 0.0)))


def test_a_field_of_view_makes_a_lens() -> None:
    lens = Intrinsics.from_fov(640, 480, 90)
    assert (lens.fx, lens.fy, lens.cx, lens.cy) == pytest.approx((320, 320, 320, 240))
    with pytest.raises(UsageError, match="field of view of 180"):
        Intrinsics.from_fov(640, 480, 180)
