"""The images of a rig with the pose of each camera: transforms.json, COLMAP text and BOP, a scene for each object.

Poses are those of `acqplan.space.sphere`, from the axes and [camera] of rig.toml; the world is the frame of the object.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from acqplan.campaign.export import class_folders
from acqplan.errors import UsageError
from acqplan.exchange.trees import ImageSet, Picture
from acqplan.files import folder
from acqplan.numbers import count_noun
from acqplan.progress import SILENT, Progress
from acqplan.rig.spec import Rig
from acqplan.space.sphere import FLIP, METRES, Intrinsics, Orbit, inverted, known_orbit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """Images in one folder that have one frame.

    Attributes:
        files: Their names, from the folder of the scene.
        rows: Rows of their shots.
    """

    files: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


def write_transforms(rig: Rig, place: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Write ``<object>/images/…`` and ``<object>/transforms.json``, as nerfstudio and instant-ngp read them.

    Camera-to-world with OpenGL's axes of a camera; lengths in the unit of rig.toml; frames say label, object and view.
    """
    images, _, lens, matrices = _posed(rig)
    head = {"camera_model": "OPENCV", "w": lens.width, "h": lens.height, "fl_x": lens.fx, "fl_y": lens.fy}
    head |= {"cx": lens.cx, "cy": lens.cy, "k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0}
    head |= {"camera_angle_x": 2 * float(np.arctan2(lens.width / 2, lens.fx))}
    scenes = _write_objects(images, lens, place, progress)
    for name, scene in scenes.items():
        frames = [
            {"file_path": file, "transform_matrix": matrices[row].tolist(), **images.facts(row)}
            for file, row in zip(scene.files, scene.rows, strict=True)
        ]
        _write_json(place / name / "transforms.json", {**head, "frames": frames})
    return _summary(images, len(scenes))


def write_colmap(rig: Rig, place: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Write ``<object>/images/…`` and ``<object>/sparse/0``: a model of known poses, in which COLMAP finds the points.

    World-to-camera as quaternion w, x, y, z and translation with OpenCV's axes; lengths in the unit of rig.toml.
    """
    images, _, lens, matrices = _posed(rig)
    to_camera = inverted(matrices @ FLIP)
    turns = Rotation.from_matrix(to_camera[:, :3, :3]).as_quat(canonical=True)[:, [3, 0, 1, 2]]
    poses = np.concatenate([turns, to_camera[:, :3, 3]], axis=1).tolist()
    camera = f"1 PINHOLE {lens.width} {lens.height} {lens.fx!r} {lens.fy!r} {lens.cx!r} {lens.cy!r}\n"
    scenes = _write_objects(images, lens, place, progress)
    for name, scene in scenes.items():
        model, lines = folder(place / name / "sparse" / "0"), []
        for number, (file, row) in enumerate(zip(scene.files, scene.rows, strict=True), 1):
            # an empty line: no points were found yet
            lines.append(f"{number} {' '.join(map(repr, poses[row]))} 1 {file.removeprefix('images/')}\n\n")
        for kind, text in {"cameras": camera, "images": "".join(lines), "points3D": ""}.items():
            (model / f"{kind}.txt").write_text(text, encoding="utf-8")
    return _summary(images, len(scenes))


def write_bop(rig: Rig, place: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Write ``train/<number>`` and ``test/<number>`` of each object, and objects.json with its number, name and label.

    As BOP describes it: ``rgb`` or ``gray`` with numbered images, scene_camera.json and scene_gt.json; OpenCV's axes,
    mm. Model and world are one frame; there are no models and no masks.

    Raises:
        UsageError: If [camera] has no unit.
    """
    images, orbit, lens, matrices = _posed(rig)
    objects = images.shots.objects
    if not orbit.unit:
        raise UsageError("BOP has its lengths in mm, and [camera] has no unit", 'add e.g. unit = "mm" under [camera]')
    to_camera = inverted(matrices @ FLIP)
    to_camera[:, :3, 3] *= METRES[orbit.unit] / METRES["mm"]
    scene_of = dict[int, str]()
    for part, rows in images.parts()[0].items():
        scene_of |= {row: f"{part}/{images.shots.object_rows[row] + 1:06d}" for row in rows.tolist()}

    def numbered(_: int, number: int, picture: Picture) -> str:
        return f"{'gray' if picture.header.channels == 1 else 'rgb'}/{number:06d}"

    scenes = _write_scenes(images, lens, place, scene_of, numbered, progress)
    for name, scene in scenes.items():
        cameras, truths = {}, {}
        for number, row in enumerate(scene.rows):
            turn, shift = to_camera[row, :3, :3].ravel().tolist(), to_camera[row, :3, 3].tolist()
            lens_and_scale = {"cam_K": lens.matrix.ravel().tolist(), "depth_scale": 1.0}
            cameras[str(number)] = {**lens_and_scale, "cam_R_w2c": turn, "cam_t_w2c": shift}
            own = int(images.shots.object_rows[row]) + 1
            truths[str(number)] = [{"cam_R_m2c": turn, "cam_t_m2c": shift, "obj_id": own}]
        _write_json(place / name / "scene_camera.json", cameras)
        _write_json(place / name / "scene_gt.json", truths)
    named = zip(objects.names, objects.labels, strict=True)
    known = {str(number): {"object": name, "label": label} for number, (name, label) in enumerate(named, 1)}
    _write_json(place / "objects.json", known)
    sensor = {"width": lens.width, "height": lens.height, "depth_scale": 1.0}
    _write_json(place / "camera.json", {**sensor, "fx": lens.fx, "fy": lens.fy, "cx": lens.cx, "cy": lens.cy})
    return _summary(images, len(scenes))


def _posed(rig: Rig) -> tuple[ImageSet, Orbit, Intrinsics, Float[np.ndarray, "shots 4 4"]]:
    """Images, orbit, lens, and camera-to-world of each shot."""
    images, orbit = ImageSet(rig), known_orbit(rig.camera, rig.source.space, needs_lens=True)
    assert orbit.intrinsics is not None
    return images, orbit, orbit.intrinsics, orbit.views(images.shots).camera_to_world()


def _write_objects(images: ImageSet, lens: Intrinsics, place: Path, progress: Progress) -> dict[str, Scene]:
    """Write ``<object>/images/<shot>.png``."""
    stems, folders = images.stems(), class_folders(images.shots.objects.names)
    scene_of = dict(enumerate(folders[name] for name in images.shots.names))
    return _write_scenes(images, lens, place, scene_of, lambda row, *_: f"images/{stems[row]}", progress)


def _write_scenes(
    images: ImageSet,
    lens: Intrinsics,
    place: Path,
    scene_of: dict[int, str],
    named: Callable[[int, int, Picture], str],
    progress: Progress,
) -> dict[str, Scene]:
    """Write the images of each scene.

    Args:
        images: What to write.
        lens: How large images are.
        place: Where.
        scene_of: Folder of the scene of each row.
        named: Name of a file without suffix, from row, number in the scene, and image.
        progress: Receives each image.

    Raises:
        UsageError: If an image is not as large as the lens says.
    """
    scenes: dict[str, Scene] = {}
    for row, picture in images.pictures(np.array(sorted(scene_of)), progress):
        width, height = picture.header.width, picture.header.height
        if (width, height) != (lens.width, lens.height):
            said = f"an image has {width} x {height} pixels, [camera] intrinsics say {lens.width} x {lens.height}"
            raise UsageError(f"{said} ({images.facts(row)})", "correct width, height and the lens in rig.toml")
        scene = scenes.setdefault(scene_of[row], Scene())
        name = f"{named(row, len(scene.files), picture)}{picture.header.suffix}"
        folder((place / scene_of[row] / name).parent)
        (place / scene_of[row] / name).write_bytes(picture.content)
        scene.files.append(name)
        scene.rows.append(row)
    return scenes


def _summary(images: ImageSet, n_scenes: int) -> dict[str, Any]:
    said = f"{count_noun(len(images.shots), 'image')} with poses in {count_noun(n_scenes, 'scene')}"
    return {"objects": list(images.shots.objects.names), "sentences": [said]}


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
