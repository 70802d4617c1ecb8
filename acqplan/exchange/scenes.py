"""The images of a rig with the pose of each camera: transforms.json, COLMAP text and BOP, a scene for each object.

Poses are those of `acqplan.space.sphere`, from the axes and [camera] of rig.toml; the world is the frame of the object.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from acqplan.campaign.export import class_folders
from acqplan.errors import UsageError
from acqplan.exchange.trees import RigImages
from acqplan.files import folder
from acqplan.images import ImageHeader
from acqplan.numbers import count_noun
from acqplan.plan.plan import shot_identifiers
from acqplan.progress import SILENT, Progress
from acqplan.rig.spec import Rig
from acqplan.space.sphere import FLIP, METRES, Intrinsics, Matrices, known_orbit

# Rows of the shots of a scene, and their files from its folder, by that folder.
Scenes = dict[str, dict[int, str]]


def write_transforms(rig: Rig, place: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Write ``<object>/images/…`` and ``<object>/transforms.json``, as nerfstudio and instant-ngp read them.

    Camera-to-world with OpenGL's axes of a camera; lengths in the unit of rig.toml; frames say label, object and view.
    """
    images, lens, matrices = _posed(rig)
    head = {"camera_model": "OPENCV", "w": lens.width, "h": lens.height, "fl_x": lens.fx, "fl_y": lens.fy}
    head |= {"cx": lens.cx, "cy": lens.cy, "k1": 0.0, "k2": 0.0, "p1": 0.0, "p2": 0.0}
    head |= {"camera_angle_x": 2 * float(np.arctan2(lens.width / 2, lens.fx))}
    scenes = _write_objects(images, lens, place, progress)
    for name, files in scenes.items():
        frames = [
            {"file_path": file, "transform_matrix": matrices[row].tolist(), **images.facts(row)}
            for row, file in files.items()
        ]
        _write_json(place / name / "transforms.json", {**head, "frames": frames})
    return _summary(images, scenes)


def write_colmap(rig: Rig, place: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Write ``<object>/images/…`` and ``<object>/sparse/0``: a model of known poses, in which COLMAP finds the points.

    World-to-camera as quaternion w, x, y, z and translation with OpenCV's axes; lengths in the unit of rig.toml.
    """
    images, lens, matrices = _posed(rig)
    to_camera = np.linalg.inv(matrices @ FLIP)
    turns = Rotation.from_matrix(to_camera[:, :3, :3]).as_quat(canonical=True)[:, [3, 0, 1, 2]]
    poses = np.concatenate([turns, to_camera[:, :3, 3]], axis=1).tolist()
    camera = f"1 PINHOLE {lens.width} {lens.height} {lens.fx!r} {lens.fy!r} {lens.cx!r} {lens.cy!r}\n"
    scenes = _write_objects(images, lens, place, progress)
    for name, files in scenes.items():
        lines = [
            f"{number} {' '.join(map(repr, poses[row]))} 1 {file.removeprefix('images/')}\n\n"  # no points yet
            for number, (row, file) in enumerate(files.items(), 1)
        ]
        model = folder(place / name / "sparse" / "0")
        for kind, text in {"cameras": camera, "images": "".join(lines), "points3D": ""}.items():
            (model / f"{kind}.txt").write_text(text, encoding="utf-8")
    return _summary(images, scenes)


def write_bop(rig: Rig, place: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Write ``train/<number>`` and ``test/<number>`` of each object, and objects.json with its number, name and label.

    As BOP describes it: ``rgb`` or ``gray`` with numbered images, scene_camera.json and scene_gt.json; OpenCV's axes,
    mm. Model and world are one frame; there are no models and no masks.

    Raises:
        UsageError: If [camera] has no unit.
    """
    images, lens, matrices = _posed(rig)
    if rig.camera is None or not rig.camera.unit:
        raise UsageError("BOP has its lengths in mm, and [camera] has no unit", 'add e.g. unit = "mm" under [camera]')
    to_camera = np.linalg.inv(matrices @ FLIP)
    to_camera[:, :3, 3] *= METRES[rig.camera.unit] / METRES["mm"]
    own, scene_of = (images.shots.object_rows + 1).tolist(), dict[int, str]()
    for part, rows in images.parts()[0].items():
        scene_of |= {row: f"{part}/{own[row]:06d}" for row in rows.tolist()}

    def numbered(_: int, number: int, header: ImageHeader) -> str:
        return f"{'gray' if header.channels == 1 else 'rgb'}/{number:06d}"

    scenes, objects = _write_scenes(images, lens, place, scene_of, numbered, progress), images.shots.objects
    fixed = {"cam_K": lens.matrix.ravel().tolist(), "depth_scale": 1.0}
    for name, files in scenes.items():
        cameras, truths = {}, {}
        for number, row in enumerate(files):
            turn, shift = to_camera[row, :3, :3].ravel().tolist(), to_camera[row, :3, 3].tolist()
            cameras[str(number)] = {**fixed, "cam_R_w2c": turn, "cam_t_w2c": shift}
            truths[str(number)] = [{"cam_R_m2c": turn, "cam_t_m2c": shift, "obj_id": own[row]}]
        _write_json(place / name / "scene_camera.json", cameras)
        _write_json(place / name / "scene_gt.json", truths)
    pairs = enumerate(zip(objects.names, objects.labels, strict=True), 1)
    _write_json(place / "objects.json", {str(n): {"object": name, "label": label} for n, (name, label) in pairs})
    sensor = {"width": lens.width, "height": lens.height, "depth_scale": 1.0}
    _write_json(place / "camera.json", {**sensor, "fx": lens.fx, "fy": lens.fy, "cx": lens.cx, "cy": lens.cy})
    return _summary(images, scenes)


def _posed(rig: Rig) -> tuple[RigImages, Intrinsics, Matrices]:
    """Images, lens, and camera-to-world of each shot."""
    images, orbit = RigImages(rig), known_orbit(rig.camera, rig.source.space, needs_lens=True)
    assert orbit.intrinsics is not None
    return images, orbit.intrinsics, orbit.views(images.shots).camera_to_world()


def _write_objects(images: RigImages, lens: Intrinsics, place: Path, progress: Progress) -> Scenes:
    """Write ``<object>/images/<shot>.png``."""
    stems, folders = images.stems(), class_folders(images.shots.objects.names)
    scene_of = dict(enumerate(folders[name] for name in images.shots.names))
    return _write_scenes(images, lens, place, scene_of, lambda row, *_: f"images/{stems[row]}", progress)


def _write_scenes(
    images: RigImages,
    lens: Intrinsics,
    place: Path,
    scene_of: dict[int, str],
    named: Callable[[int, int, ImageHeader], str],
    progress: Progress,
) -> Scenes:
    """Write images to the folders of their scenes; ``named`` gives a file from row, number in the scene, and header.

    Raises:
        UsageError: If an image is not as large as the lens says.
    """
    scenes: Scenes = {}
    for row, content, header in images.pictures(np.array(sorted(scene_of)), progress):
        if (header.width, header.height) != (lens.width, lens.height):
            (shot,) = shot_identifiers(images.shots.take([row]))
            said = f"{header.width} x {header.height} pixels, [camera] intrinsics say {lens.width} x {lens.height}"
            raise UsageError(f"the image of '{shot}' has {said}", "correct width, height and lens in rig.toml")
        files = scenes.setdefault(scene_of[row], {})
        files[row] = f"{named(row, len(files), header)}{header.suffix}"
        path = place / scene_of[row] / files[row]
        folder(path.parent)
        path.write_bytes(content)
    return scenes


def _summary(images: RigImages, scenes: Scenes) -> dict[str, Any]:
    return images.summary(f"{count_noun(len(images.shots), 'image')} with poses in {count_noun(len(scenes), 'scene')}")


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
