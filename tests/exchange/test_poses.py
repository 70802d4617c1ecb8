"""Poses that other programs wrote: the same cameras in each format are read as the same."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from acqplan.errors import InputError
from acqplan.exchange.poses import camera_table, read_poses, sphere_of
from acqplan.rig.spec import open_rig
from acqplan.space.sphere import Views

VIEWS = Views(
    azimuth=np.array([0.0, 75.0, 200.0]), elevation=np.array([20.0, -10.0, 60.0]),
    distance=np.array([5.0, 6.0, 7.0]), roll=np.array([0.0, 12.0, -30.0]), target=(1.0, 2.0, 3.0),
)  # fmt: skip
MATRICES = VIEWS.camera_to_world()
# World-to-camera with OpenCV's axes: right, down, forward.
OPENCV = [np.linalg.inv(matrix @ np.diag([1, -1, -1, 1])) for matrix in MATRICES]
NAMES = ["cup 1.jpg", "b.jpg", "c.jpg"]


def check(path: Path, names: list[str], *, unit: str = "", width: int | None = 640) -> None:
    found = read_poses(path)
    assert found is not None
    assert [pose.image for pose in found] == names
    assert {pose.unit for pose in found} == {unit}
    assert np.allclose([pose.matrix for pose in found], MATRICES, atol=1e-6)
    for pose in found:
        assert (pose.intrinsics and pose.intrinsics.width) == width
        assert width is None or (pose.intrinsics and abs(pose.intrinsics.fx - 500) < 1e-6)
    views = sphere_of(found)
    for name in ("azimuth", "elevation", "distance", "roll", "target"):
        assert np.allclose(getattr(views, name), getattr(VIEWS, name), atol=1e-5), name


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_nerfstudio(tmp_path: Path) -> None:
    frames = [
        {"file_path": f"images/{name}", "transform_matrix": matrix.tolist()}
        for name, matrix in zip(NAMES, MATRICES, strict=True)
    ]
    lens = {"w": 640, "h": 480, "fl_x": 500.0, "fl_y": 500.0, "cx": 320.0, "cy": 240.0, "camera_model": "OPENCV"}
    (tmp_path / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))
    check(tmp_path, [f"images/{name}" for name in NAMES])
    check(tmp_path / "transforms.json", [f"images/{name}" for name in NAMES])


def test_instant_ngp_and_scenes_below(tmp_path: Path) -> None:
    angle = 2 * math.atan(320 / 500)
    for number, matrix in enumerate(MATRICES):
        frame = {"file_path": ".\\images\\1.jpg", "sharpness": 3.0, "transform_matrix": matrix[:3].tolist()}
        place = touched(tmp_path / f"obj-{number}", "images/1.jpg")
        document = {"w": 640, "h": 480, "camera_angle_x": angle, "aabb_scale": 16, "frames": [frame]}
        (place / "transforms.json").write_text(json.dumps(document))
    check(tmp_path, [f"obj-{number}/images/1.jpg" for number in range(3)])
    assert [pose.scene for pose in read_poses(tmp_path) or ()] == ["obj-0", "obj-1", "obj-2"]


def test_blender_leaves_suffixes_out_and_writes_a_file_per_part(tmp_path: Path) -> None:
    touched(tmp_path, "train/r_0.png", "train/r_1.png", "test/r_0.png")
    for part, rows in (("train", [0, 1]), ("test", [2])):
        frames = [
            {"file_path": f"./{part}/r_{number}", "rotation": 0.01, "transform_matrix": (2 * MATRICES[row]).tolist()}
            for number, row in enumerate(rows)
        ]
        for frame, row in zip(frames, rows, strict=True):  # Blender objects may be scaled
            matrix = MATRICES[row].copy()
            matrix[:3, :3] *= 2
            frame["transform_matrix"] = matrix.tolist()
        (tmp_path / f"transforms_{part}.json").write_text(json.dumps({"camera_angle_x": 0.69, "frames": frames}))
    check(tmp_path, ["train/r_0.png", "train/r_1.png", "test/r_0.png"], width=None)


@pytest.mark.parametrize("model", ["SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "OPENCV"])
@pytest.mark.parametrize("with_points", [True, False])
def test_colmap_text(tmp_path: Path, model: str, with_points: bool) -> None:
    place = tmp_path / "sparse" / "0"
    place.mkdir(parents=True)
    touched(tmp_path, *(f"images/{name}" for name in NAMES))
    values = {"SIMPLE_PINHOLE": "500 320 240", "SIMPLE_RADIAL": "500 320 240 0.01"}.get(model, "500 500 320 240")
    values += " 0 0 0 0" if model == "OPENCV" else ""
    (place / "cameras.txt").write_text(f"# Camera list\n7 {model} 640 480 {values}\n")
    lines = ["# Image list with two lines of data per image:"]
    for number, (name, matrix) in enumerate(zip(NAMES, OPENCV, strict=True), 1):
        x, y, z, w = Rotation.from_matrix(matrix[:3, :3]).as_quat()
        lines.append(" ".join(map(str, [number, w, x, y, z, *matrix[:3, 3], 7, name])))
        if with_points:
            lines.append("" if number == 1 else "100 200 -1 300 400 17 1 2 3 4 5 6")
    (place / "images.txt").write_text("\n".join(lines) + "\n")
    check(tmp_path, [f"images/{name}" for name in NAMES])
    check(place / "images.txt", [f"../../images/{name}" for name in NAMES])


def test_colmap_as_its_own_library_writes_it(tmp_path: Path) -> None:
    pycolmap = pytest.importorskip("pycolmap", reason="pip install pycolmap")
    model = pycolmap.Reconstruction()
    camera = pycolmap.Camera(model="PINHOLE", width=640, height=480, params=[500, 500, 320, 240], camera_id=3)
    model.add_camera_with_trivial_rig(camera)
    for number, (name, matrix) in enumerate(zip(NAMES, OPENCV, strict=True), 1):
        image = pycolmap.Image(name=name, camera_id=3, image_id=number)
        rotation = pycolmap.Rotation3d(matrix[:3, :3])
        model.add_image_with_trivial_frame(image, pycolmap.Rigid3d(rotation, matrix[:3, 3]))
    model.write_text(str(tmp_path))
    check(tmp_path, NAMES)


def test_a_table_of_the_camera_makes_the_same_poses_of_the_views(tmp_path: Path) -> None:
    frames = [{"file_path": name, "transform_matrix": m.tolist()} for name, m in zip(NAMES, MATRICES, strict=True)]
    lens = {"w": 640, "h": 480, "fl_x": 501.25, "fl_y": 499.5, "cx": 320.5, "cy": 240.0}
    (tmp_path / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))
    found = read_poses(tmp_path) or ()
    views = sphere_of(found, up=(0.0, 1.0, 0.0), turns="camera")
    head = 'source = "live"\n[objects.labels]\ncup = ["cup-1"]\n'
    for name in ("azimuth", "elevation", "distance", "roll"):
        kind = "circle" if name == "azimuth" else "interval"
        head += f'[[axis]]\nname = "{name}"\nkind = "{kind}"\nunit = "deg"\nvalues = {getattr(views, name).tolist()}\n'
    (tmp_path / "rig.toml").write_text(head + camera_table(found, views))
    rig = open_rig(tmp_path / "rig.toml")
    assert rig.camera is not None
    assert rig.camera.intrinsics == found[0].intrinsics
    angles = np.stack([views.azimuth, views.elevation, views.distance, views.roll], axis=1)
    shots = replace(rig.source.shots().take([0, 0, 0]), coordinates=angles)
    assert np.allclose(rig.camera.views(shots).camera_to_world(), MATRICES, atol=1e-6)


def bop(folder: Path, **entries: list[dict[str, object]]) -> Path:
    for name, rows in entries.items():
        folder.mkdir(parents=True, exist_ok=True)
        document = {str(7 * number): row for number, row in enumerate(rows)}
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


def test_bop_with_a_world_and_with_an_object(tmp_path: Path) -> None:
    lens = {"cam_K": [500, 0, 320, 0, 500, 240, 0, 0, 1], "depth_scale": 1.0, "width": 640, "height": 480}
    names = [f"rgb/{number:06d}.jpg" for number in (0, 7, 14)]
    world = [{**lens, "cam_R_w2c": m[:3, :3].ravel().tolist(), "cam_t_w2c": m[:3, 3].tolist()} for m in OPENCV]
    place = touched(bop(tmp_path / "one/test/000001", scene_camera=world), *names)
    check(place, names, unit="mm")
    check(tmp_path / "one", [f"test/000001/{name}" for name in names], unit="mm")
    poses = [[{"obj_id": 5, "cam_R_m2c": m[:3, :3].ravel().tolist(), "cam_t_m2c": m[:3, 3].tolist()}] for m in OPENCV]
    place = touched(bop(tmp_path / "two", scene_camera=[lens] * 3, scene_gt=poses), *names)  # type: ignore[arg-type]
    check(place, names, unit="mm")
    bop(place, scene_gt=[poses[0] * 2] * 3)  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"image 0: it has no cam_R_w2c, and scene_gt.json has 2 objects, not one"):
        read_poses(place)


def test_what_is_no_file_of_poses_is_none(tmp_path: Path) -> None:
    assert read_poses(tmp_path) is None
    assert read_poses(tmp_path / "missing.json") is None
    (tmp_path / "other.json").write_text('{"frames": 3}')
    (tmp_path / "scene_camera.json").write_text("[]")
    (tmp_path / "a.csv").write_text("image,label\n")
    assert read_poses(tmp_path / "other.json") is None
    assert read_poses(tmp_path / "a.csv") is None


FRAME = {"file_path": "a.png", "transform_matrix": np.eye(4).tolist()}


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("transforms.json", "{", "transforms.json: this is not JSON"),
        (
            "transforms.json",
            json.dumps({"frames": [FRAME, {**FRAME, "transform_matrix": [[1]]}]}),
            "frame 2: transform",
        ),
        ("transforms.json", json.dumps({"frames": [{"transform_matrix": FRAME}]}), "frame 1: it lacks 'file_path'"),
        ("transforms.json", json.dumps({"frames": [{**FRAME, "w": 0, "h": 3, "fl_x": 2}, 7]}), "frame 2: "),
        (
            "transforms.json",
            json.dumps({"frames": [{**FRAME, "transform_matrix": np.diag([1, 1, -1, 1]).tolist()}]}),
            "frame 1: its pose is no rotation and translation",
        ),
        ("images.txt", "1 1 0 0 0 0 0\n", "line 1: give IMAGE_ID"),
        ("images.txt", "#\n1 1 0 0 x 0 0 0 1 a.png\n", "line 2: could not convert"),
        ("images.txt", "1 0 0 0 0 0 0 0 1 a.png\n", "line 1: "),
        ("scene_camera.json", '{"0": {}}', "image 0: it has no cam_R_w2c, and scene_gt.json has 0 objects"),
        ("scene_camera.json", '{"0": {"cam_R_w2c": [1, 2]}}', "image 0: cannot reshape"),
    ],
)
def test_damaged_files_are_named_with_the_place(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        read_poses(tmp_path)
    assert said in str(caught.value)
    assert caught.value.path == tmp_path / name
