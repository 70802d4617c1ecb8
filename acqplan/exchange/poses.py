"""Poses of cameras as other programs write them: transforms.json, COLMAP text and BOP, all read as one thing.

Conventions of azimuth, elevation, distance and roll are those of `acqplan.space.sphere`; those of each format are with
its reader.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from acqplan.errors import InputError, UsageError
from acqplan.files import open_file
from acqplan.numbers import plain_number
from acqplan.space.sphere import FLIP, Intrinsics, Point, Turns, Views, views_of

# Files of each format, and where below a folder they are looked for.
FILES = (
    ("transforms.json", *(f"transforms_{part}.json" for part in ("train", "val", "test")), "*/transforms.json"),
    tuple(f"{above}{below}images.txt" for above in ("", "*/") for below in ("", "sparse/", "sparse/0/")),
    ("scene_camera.json", "*/scene_camera.json", "*/*/scene_camera.json"),
)
# Suffixes that Blender leaves out.
SUFFIXES = (".png", ".jpg", ".jpeg", ".JPG", ".PNG", ".webp", ".tif", ".bmp")
# Rotations in files are rounded; beyond this they are none.
ROUNDED = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CameraPose:
    """Where the camera of an image was.

    Attributes:
        image: The file, from the folder that was read, with ``/``; it need not exist.
        matrix: Camera-to-world, OpenGL's axes of a camera (right, up, backwards), shape ``[4, 4]``.
        scene: Folder of the file of poses, likewise; poses of one scene have one frame.
        unit: Of lengths, where the format has one: ``mm`` in BOP.
        intrinsics: Lens and sensor, as far as the file says.
    """

    image: str
    matrix: Float[np.ndarray, "4 4"]
    scene: str = ""
    unit: str = ""
    intrinsics: Intrinsics | None = None


def sphere_of(
    poses: Sequence[CameraPose], *, target: Point | None = None, up: Point | None = None, turns: Turns = "table"
) -> Views:
    """The views of a sphere that the cameras of one scene look from; see `acqplan.space.sphere.views_of`."""
    return views_of(np.stack([pose.matrix for pose in poses]), target=target, up=up, turns=turns)


def camera_table(poses: Sequence[CameraPose], views: Views) -> str:
    """``[camera]`` of a rig.toml by which such views become such poses: distance, target, up, unit and lens."""
    target, up = ([round(value, 9) + 0.0 for value in point] for point in (views.target, views.up))
    lines = ["[camera]", f"distance = {round(float(np.median(views.distance)), 9)}", f"target = {target}", f"up = {up}"]
    lines += [f'turns = "{views.turns}"', f'unit = "{poses[0].unit}"']
    lenses = {pose.intrinsics for pose in poses}
    if len(lenses) == 1 and (lens := lenses.pop()):
        lines.append(f"intrinsics = {{ {', '.join(f'{name} = {value}' for name, value in asdict(lens).items())} }}")
    return "\n".join(lines) + "\n"


def read_poses(path: Path) -> tuple[CameraPose, ...] | None:
    """Read the poses in a file, or in a folder and those below it where formats have them.

    Args:
        path: ``transforms.json`` (nerfstudio, instant-ngp, Blender), ``images.txt`` (COLMAP), ``scene_camera.json``
            (BOP), or a folder of one of them; of several kinds in a folder, the first of these is read.

    Returns:
        The poses in the order of the files; ``None`` if there is no such file, or it is none.

    Raises:
        InputError: If such a file is damaged; names it, and its line or entry.
    """
    if not path.is_dir():
        return tuple(_read(path, path.parent)) or None if path.is_file() else None
    for names in FILES:
        places = (place for name in names for place in sorted(path.glob(name)))
        if found := tuple(pose for place in places for pose in _read(place, path)):
            return found
    return None


def _read(path: Path, root: Path) -> Iterator[CameraPose]:
    """The poses in a file; none if it is of another kind."""
    if path.name == "images.txt":
        return _colmap(path, root)
    found = _json(path) if path.suffix == ".json" else None
    document: dict[str, Any] = found if isinstance(found, dict) else {}
    if path.name == "scene_camera.json":
        return _bop(path, root, document)
    frames = document.get("frames")
    if isinstance(frames, list) and frames and isinstance(frames[0], dict) and "transform_matrix" in frames[0]:
        return _transforms(path, root, document)
    return iter(())


def _transforms(path: Path, root: Path, document: Mapping[str, Any]) -> Iterator[CameraPose]:
    """Camera-to-world with OpenGL's axes; image files are named from the folder of the file, with or without suffix."""
    for number, frame in enumerate(document["frames"]):
        with _entry(path, f"frame {number + 1}"):
            said: dict[str, Any] = {**document, **frame}
            name = str(said["file_path"]).replace("\\", "/")
            image = _image(root, path.parent, [name, *(name + suffix for suffix in SUFFIXES)])
            matrix = np.array(said["transform_matrix"], dtype=np.float64)
            if matrix.shape not in ((4, 4), (3, 4)):
                raise ValueError("transform_matrix is not 4 x 4")
            lens, width, height, angle = None, said.get("w"), said.get("h"), said.get("camera_angle_x", 0)
            if width and height and (said.get("fl_x") or angle):
                fx = said.get("fl_x") or width / 2 / math.tan(angle / 2)
                cx, cy = said.get("cx", width / 2), said.get("cy", height / 2)
                lens = _intrinsics(width, height, fx, said.get("fl_y") or fx, cx, cy)
            yield CameraPose(image=image, matrix=_rigid(matrix), scene=_below(path.parent, root), intrinsics=lens)


def _colmap(path: Path, root: Path) -> Iterator[CameraPose]:
    """World-to-camera as quaternion w, x, y, z and translation, OpenCV's axes: a line per image, one of points.

    Files made by hand may lack the lines of points. Images lie in the folder itself or below ``images``;
    ``sparse/0`` is not counted.
    """
    cameras, base, is_next_points = _colmap_cameras(path.with_name("cameras.txt")), path.parent, False
    while base.name in ("0", "sparse"):
        base = base.parent
    for number, line in enumerate(_text(path).splitlines(), 1):
        words = line.split(maxsplit=9)
        if line.startswith("#") or (not words and not is_next_points):
            continue
        was_points = is_next_points and (len(words) < 10 or _is_number(words[9].split()[0]))
        is_next_points = not was_points
        if was_points:
            continue
        with _entry(path, f"line {number}"):
            if len(words) < 10:
                raise ValueError("give IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID and NAME")
            w, x, y, z, *translation = map(float, words[1:8])
            matrix = np.eye(4)
            matrix[:3] = np.column_stack([Rotation.from_quat([x, y, z, w]).as_matrix(), translation])
            image = _image(root, base, [words[9].rstrip(), f"images/{words[9].rstrip()}"])
            lens = cameras.get(words[8])
            yield CameraPose(image=image, matrix=_opengl(matrix), scene=_below(path.parent, root), intrinsics=lens)


def _colmap_cameras(path: Path) -> dict[str, Intrinsics]:
    """Cameras by their number, distortions left out; none if the file is missing."""
    found = {}
    for number, line in enumerate(_text(path).splitlines() if path.exists() else (), 1):
        words = line.split()
        if not words or line.startswith("#"):
            continue
        with _entry(path, f"line {number}"):
            model, width, height, *values = words[1], *map(float, words[2:])
            if model.startswith(("SIMPLE", "RADIAL")):  # one focal length
                values.insert(0, values[0])
            found[words[0]] = _intrinsics(width, height, *values[:4])
    return found


def _bop(path: Path, root: Path, document: Mapping[str, Any]) -> Iterator[CameraPose]:
    """World-to-camera with OpenCV's axes, in mm; where there is none, the one object of scene_gt.json is the world."""
    truth = path.with_name("scene_gt.json")
    objects = _json(truth) if truth.exists() else {}
    for key, camera in document.items():
        with _entry(path, f"image {key}"):
            name, lens = f"{int(key):06d}", None
            image = _image(root, path.parent, [f"{kind}/{name}{end}" for kind in ("rgb", "gray") for end in SUFFIXES])
            rotation, translation = camera.get("cam_R_w2c"), camera.get("cam_t_w2c", [0.0, 0.0, 0.0])
            if rotation is None:
                seen = objects.get(key, [])
                if len(seen) != 1:
                    raise ValueError(f"it has no cam_R_w2c, and {truth.name} has {len(seen)} objects, not one")
                rotation, translation = seen[0]["cam_R_m2c"], seen[0]["cam_t_m2c"]
            matrix = np.eye(4)
            matrix[:3] = np.column_stack([np.reshape(rotation, (3, 3)), translation])
            if camera.get("cam_K") and "width" in camera and "height" in camera:
                fx, _, cx, _, fy, cy, *_ = camera["cam_K"]
                lens = _intrinsics(camera["width"], camera["height"], fx, fy, cx, cy)
            scene = _below(path.parent, root)
            yield CameraPose(image=image, matrix=_opengl(matrix), scene=scene, unit="mm", intrinsics=lens)


def _opengl(world_to_camera: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "4 4"]:
    """Camera-to-world with OpenGL's axes from world-to-camera with OpenCV's."""
    return np.linalg.inv(_rigid(world_to_camera)) @ FLIP


def _rigid(matrix: Float[np.ndarray, "rows 4"]) -> Float[np.ndarray, "4 4"]:
    """A pose without the scale that its axes may have.

    Raises:
        ValueError: If it is none.
    """
    found = np.eye(4)
    if not np.isfinite(matrix).all():
        raise ValueError("its pose is not finite")
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    found[:3] = matrix[:3]
    found[:3, :3] /= np.where(lengths > 0, lengths, 1.0)
    rotation = found[:3, :3]
    if np.abs(rotation.T @ rotation - np.eye(3)).max() > ROUNDED or np.linalg.det(rotation) < 0:
        raise ValueError("its pose is no rotation and translation")
    return found


def _intrinsics(width: float, height: float, fx: float, fy: float, cx: float, cy: float) -> Intrinsics:
    sides = round(float(width)), round(float(height))
    return Intrinsics(width=sides[0], height=sides[1], fx=float(fx), fy=float(fy), cx=float(cx), cy=float(cy))


def _image(root: Path, base: Path, names: Sequence[str]) -> str:
    """The first of some names below a folder that is a file, or the first of all."""
    name = next((name for name in names if (base / name).is_file()), names[0])
    return _below(base / name, root)


def _below(path: Path, root: Path) -> str:
    """A path from a folder, with ``/``; empty for the folder itself."""
    found = Path(os.path.relpath(path, root)).as_posix()
    return "" if found == "." else found


@contextmanager
def _entry(path: Path, where: str) -> Iterator[None]:
    """What is wrong with an entry of a file names file and entry."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, ValueError, ZeroDivisionError, UsageError) as error:
        said = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{path}: {where}: {said}", "correct it, or take it out", path=path) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: this is not JSON ({error})", "write it again", path=path) from error


def _text(path: Path) -> str:
    try:
        with open_file(path) as handle:
            return handle.read().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})", "check its permissions", path=path) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the text is not UTF-8", "save it in UTF-8", path=path) from error


def _is_number(word: str) -> bool:
    return not math.isnan(plain_number(word))
