"""poses.json: read as a robot's script reads it, with nothing of acqplan."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from acqplan import open_rig, recommend
from acqplan.errors import OutputError, SpaceError, UsageError
from tests.cli.conftest import Acqplan
from tests.cli.conftest import acqplan as acqplan  # a fixture

RIG = """source = "live"
[[axis]]
name = "azimuth"
kind = "circle"
values = "0:330:30"
[[axis]]
name = "elevation"
kind = "interval"
unit = "deg"
values = [20, 50, 80]
[[axis]]
name = "distance"
kind = "interval"
unit = "mm"
values = [300, 500]
[[axis]]
name = "roll"
kind = "interval"
unit = "deg"
values = [-90, 0, 10]
[[axis]]
name = "lamp"
kind = "category"
values = ["left", "right"]
[objects.labels]
cup = ["cup-1", "cup-2"]
"""
CAMERA = '[camera]\ntarget = [0, 0, 50]\nunit = "mm"\nintrinsics = { width = 640, height = 480, fov = 60 }\n'


def document(folder: Path, table: str = CAMERA) -> dict[str, Any]:
    (folder / "rig.toml").write_text(RIG + table)
    recommend(folder / "rig.toml", 40, strategy="random-shots").save_poses(folder / "poses.json")
    found: dict[str, Any] = json.loads((folder / "poses.json").read_text())
    return found


def matrix_of(pose: dict[str, dict[str, float]]) -> np.ndarray:
    """A geometry_msgs/Pose as a matrix."""
    found, (place, turn) = np.eye(4), (pose["position"], pose["orientation"])
    found[:3, :3] = Rotation.from_quat([turn[part] for part in "xyzw"]).as_matrix()
    found[:3, 3] = [place[part] for part in "xyz"]
    return found


def test_each_shot_has_its_pose_in_the_order_of_the_plan(tmp_path: Path) -> None:
    found = document(tmp_path)
    plan = recommend(tmp_path / "rig.toml", 40, strategy="random-shots").plan
    assert [shot["view"] for shot in found["shots"]] == plan.shots.views()
    assert [(shot["object"], shot["label"]) for shot in found["shots"]] == [(name, "cup") for name in plan.shots.names]
    assert (found["length_unit"], found["target"]) == ("m", [0, 0, 0.05])
    assert found["intrinsics"]["fx"] == pytest.approx(320 / np.tan(np.pi / 6))
    assert all("OpenGL" in found["conventions"][key] for key in ["camera_to_world"])


def test_the_optical_frame_of_ros_looks_at_the_target(tmp_path: Path) -> None:
    found = document(tmp_path)
    for shot in found["shots"]:
        view, pose = shot["view"], matrix_of(shot["pose_in_object"])
        # OpenGL and ROS say the same: y and z the other way round
        assert np.allclose(np.array(shot["camera_to_world"]) * [1, -1, -1, 1], pose, atol=1e-9)
        x, y, z = (np.linalg.inv(pose) @ [*found["target"], 1])[:3]
        assert (x, y, z) == pytest.approx((0, 0, view["distance"] / 1000), abs=1e-9)
        height = np.degrees(np.arcsin((pose[2, 3] - 0.05) / z))
        assert height == pytest.approx(view["elevation"])


def test_an_arm_beside_a_turntable_stays_on_its_side(tmp_path: Path) -> None:
    for shot in document(tmp_path)["shots"]:
        pose, angle = matrix_of(shot["pose_in_stand"]), np.radians(shot["turntable"])
        assert shot["turntable"] == shot["view"]["azimuth"]
        assert pose[1, 3] == pytest.approx(0, abs=1e-9)  # over the front of a table at rest
        turned = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        # a point of the object, turned with the table, is where it would be for the camera about the object
        point = np.array([0.02, 0.03, 0.01])
        before = np.linalg.inv(matrix_of(shot["pose_in_object"])) @ [*point, 1]
        assert np.allclose(np.linalg.inv(pose) @ [*(turned @ point), 1], before, atol=1e-9)


def test_a_camera_that_moves_about_the_object_turns_no_table(tmp_path: Path) -> None:
    for shot in document(tmp_path, CAMERA.replace("unit", 'turns = "camera"\nunit'))["shots"]:
        assert shot["turntable"] == 0
        assert shot["pose_in_stand"] == shot["pose_in_object"]
        place = shot["pose_in_object"]["position"]
        apart = np.degrees(np.arctan2(place["y"], place["x"])) - shot["view"]["azimuth"]
        assert abs((apart + 180) % 360 - 180) < 1e-6


def test_lengths_of_no_known_unit_are_those_of_the_rig(tmp_path: Path) -> None:
    found = document(tmp_path, "[camera]\ntarget = [0, 0, 50]\n")
    assert (found["length_unit"], found["target"], found["intrinsics"]) == (None, [0, 0, 50], None)


def test_the_command_writes_poses_beside_the_plan_and_nothing_of_others(tmp_path: Path, acqplan: Acqplan) -> None:
    (tmp_path / "rig.toml").write_text(RIG + CAMERA)
    asked = ("recommend", "--rig", tmp_path / "rig.toml", "--budget", 12, "--out", tmp_path / "out")
    for _ in range(2):  # its own file is replaced
        done = acqplan(*asked, "--poses", tmp_path / "new" / "poses.json", "--json")
        assert done.code == 0
    files = json.loads(done.out)["files"]
    assert files[-1] == str(tmp_path / "new" / "poses.json")
    assert len(json.loads(Path(files[-1]).read_text())["shots"]) == 12
    (tmp_path / "mine.json").write_text("[1]")
    done = acqplan(*asked[:-1], tmp_path / "other", "--poses", tmp_path / "mine.json")
    assert (done.code, (tmp_path / "other").exists()) == (2, False)
    assert "mine.json: would be replaced" in done.err
    (tmp_path / "rig.toml").write_text(RIG)
    done = acqplan(*asked[:-1], tmp_path / "other", "--poses", tmp_path / "poses.json")
    assert (done.code, (tmp_path / "other").exists()) == (2, False)
    assert "rig.toml does not say where the camera stands" in " ".join(done.err.split())


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say where the camera stands"):
        document(tmp_path, "")
    axis = RIG.index('[[axis]]\nname = "distance"')
    (tmp_path / "no.toml").write_text(RIG[:axis] + RIG[RIG.index('[[axis]]\nname = "roll"') :] + CAMERA)
    result = recommend(open_rig(tmp_path / "no.toml"), 12, strategy="random-shots")
    with pytest.raises(SpaceError, match="says the distance of the camera"):
        result.save_poses(tmp_path / "poses.json")
    (tmp_path / "poses.json").mkdir()
    (tmp_path / "rig.toml").write_text(RIG + CAMERA)
    with pytest.raises(OutputError, match="a folder is where a file shall be written"):
        recommend(tmp_path / "rig.toml", 12, strategy="random-shots").save_poses(tmp_path / "poses.json")
