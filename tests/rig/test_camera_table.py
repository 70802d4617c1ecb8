"""[camera] in rig.toml: how the camera stands to the objects."""

from pathlib import Path

import numpy as np
import pytest

from acqplan.errors import SpecError
from acqplan.rig.camera import Optics, Pose, image_window, place_camera
from acqplan.rig.spec import Rig, open_rig
from acqplan.space.sphere import Intrinsics

LIVE = """source = "live"
[[axis]]
name = "azimuth"
kind = "circle"
values = "0:340:20"
[objects.labels]
cup = ["cup-1"]
"""


def opened(folder: Path, table: str, head: str = LIVE) -> Rig:
    (folder / "rig.toml").write_text(head + table)
    return open_rig(folder / "rig.toml")


def test_every_key_is_read(tmp_path: Path) -> None:
    orbit = opened(
        tmp_path,
        '[camera]\ndistance = 400\nelevation = 30\ntarget = [0, 0, 25.5]\nup = [0, 1, 0]\nturns = "camera"\n'
        'unit = "mm"\n'
        "intrinsics = { width = 640, height = 480, fx = 500, cx = 318.5 }\n",
    ).camera
    assert orbit is not None
    assert (orbit.distance, orbit.elevation, orbit.turns, orbit.unit) == (400, 30, "camera", "mm")
    assert (orbit.target, orbit.up) == ((0, 0, 25.5), (0, 1, 0))
    assert orbit.intrinsics == Intrinsics(width=640, height=480, fx=500, fy=500, cx=318.5, cy=240)
    lens = opened(tmp_path, "[camera.intrinsics]\nwidth = 640\nheight = 480\nfov = 90\n").camera
    assert lens is not None
    assert lens.intrinsics is not None
    assert lens.intrinsics.fx == pytest.approx(320)
    assert opened(tmp_path, "").camera is None


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[camera]\ndistanse = 3", "line 9: unknown key 'distanse' in [camera]; did you mean 'distance'?"),
        (
            "[camera.intrinsics]\nwidth = 3\nheight = 3\nfocal = 2",
            "line 11: unknown key 'focal' in [camera.intrinsics]",
        ),
        ("[camera.intrinsics]\nwidth = 3", "[camera.intrinsics] lacks the key 'height'"),
        ("[camera.intrinsics]\nwidth = 3\nheight = 3", "line 8: give either fx or fov"),
        ("[camera.intrinsics]\nwidth = 3\nheight = 0\nfov = 3", "images of 3 x 0 pixels"),
        ("[camera]\ndistance = -3", "line 8: a camera at a distance of -3"),
        ("[camera]\nup = [0, 0, 0]", "line 8: up has no direction"),
        ("[camera]\ntarget = [0, 0]", "line 9: camera.target = [0, 0] cannot be used"),
        ('[camera]\nunit = "inch"', "lengths in 'inch'; give one of mm, cm, m"),
        ('[camera]\nturns = "arm"', "camera.turns = 'arm' cannot be used"),
    ],
)
def test_what_cannot_be_names_its_line(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        opened(tmp_path, table)
    assert said in str(caught.value)


def test_a_rendered_rig_knows_its_camera(tmp_path: Path) -> None:
    rig = opened(tmp_path, "", 'source = "toys"\n[render]\nsize = 64\n')
    assert rig.camera is not None
    shots = rig.source.shots().take([7])
    azimuth, elevation = (float(rig.source.space.view(shots.coordinates[0])[name]) for name in ("azimuth", "elevation"))
    optics, view = Optics(size=64), rig.camera.views(shots)
    camera = place_camera(Pose(azimuth=azimuth, elevation=elevation), np.zeros(3), optics)
    assert np.allclose(view.camera_to_world()[0][:3, 3], camera.origin)
    # a point right of and above the middle is seen where the renderer's own projection sees it
    point, lens = np.array([[0.5, 1.0, 2.0]]), rig.camera.intrinsics
    assert lens is not None
    x, y, z = np.linalg.inv(view.camera_to_world()[0])[:3] @ np.append(point[0], 1.0)
    column, row = lens.matrix[:2] @ [x / -z, -y / -z, 1.0]
    _, rows, columns = image_window(camera, optics, point)
    assert rows.start <= row <= rows.stop
    assert columns.start <= column <= columns.stop
    assert opened(tmp_path, "[camera]\ndistance = 50\n", 'source = "toys"\n').camera.unit == "cm"  # type: ignore[union-attr]
    assert opened(tmp_path, "", 'source = "toys"\n[render]\neye = "left"\n').camera is None
