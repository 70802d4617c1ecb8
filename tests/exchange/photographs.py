"""The same photographs in every form in which people have them: what each says is one truth."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

OBJECTS = {"cup-1": "cup", "cup-2": "cup", "bowl-1": "bowl", "bowl-2": "bowl"}
AZIMUTHS, ELEVATIONS = tuple(range(0, 360, 60)), (30, 66)
Row = tuple[str, str, int, int]  # label, object, azimuth, elevation
TRUTH: list[Row] = [(label, name, a, e) for name, label in OBJECTS.items() for e in ELEVATIONS for a in AZIMUTHS]
OPENCV = np.diag([1.0, -1.0, -1.0, 1.0])
LOW = [row for row in TRUTH if row[3] == 30]  # one turn of each object


def photograph(path: Path, *, taken: str = "") -> None:
    """A small picture that no other path has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(zlib.crc32(str(path).encode())).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    exif = Image.Exif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    Image.fromarray(pixels).save(path, exif=exif)


def named(folder: Path, name: Callable[[Row], str], rows: Iterable[Row] = TRUTH) -> list[str]:
    """Photographs of these names."""
    names = [name(row) for row in rows]
    for path in names:
        photograph(folder / path)
    return names


def table(folder: Path, header: str, *, separator: str = ",", encoding: str = "utf-8", comma: bool = False) -> None:
    """Photographs, and a table with the columns image, label, object, azimuth, elevation, note under these headers."""
    names = named(folder, lambda row: f"images/{row[1]}/{row[2]}_{row[3]}.png")
    lines = [header.replace(",", separator)]
    for name, (label, shown, azimuth, elevation) in zip(names, TRUTH, strict=True):
        angle = f"{azimuth:.1f}".replace(".", "," if comma else ".")
        lines.append(separator.join([name, label, shown, angle, str(elevation), "schön"]))
    (folder / "photos.csv").write_text("\n".join(lines), encoding=encoding)


def looking(azimuth: float, elevation: float, target: Sequence[float], distance: float = 0.8) -> np.ndarray:
    """Camera-to-world of a camera above a table that turned by so much, with OpenGL's axes, from first principles."""
    around, height = np.radians(-azimuth), np.radians(elevation)
    backwards = np.array([np.cos(height) * np.cos(around), np.cos(height) * np.sin(around), np.sin(height)])
    right = np.cross([0.0, 0.0, 1.0], backwards)
    right /= np.linalg.norm(right)
    matrix = np.eye(4)
    matrix[:3] = np.column_stack(
        [right, np.cross(backwards, right), backwards, np.asarray(target) + distance * backwards]
    )
    return matrix


def nerfstudio(folder: Path) -> None:
    for name in OBJECTS:
        rows = [row for row in TRUTH if row[1] == name]
        paths = named(folder / name, lambda row: f"images/{row[3]}-{row[2]}.png", rows)
        frames = [
            {"file_path": path, "transform_matrix": looking(azimuth, elevation, (0.1, 0.0, 0.2)).tolist()}
            for path, (_, _, azimuth, elevation) in zip(paths, rows, strict=True)
        ]
        (folder / name / "transforms.json").write_text(json.dumps({"frames": frames}))


def colmap(folder: Path) -> None:
    for name in OBJECTS:
        rows, lines = [row for row in TRUTH if row[1] == name], ["# Image list"]
        paths = named(folder / name / "images", lambda row: f"{row[3]}-{row[2]}.png", rows)
        for number, (path, row) in enumerate(zip(paths, rows, strict=True), 1):
            camera = np.linalg.inv(looking(row[2], row[3], (0.0, 0.0, 0.0)) @ OPENCV)
            x, y, z, w = Rotation.from_matrix(camera[:3, :3]).as_quat()
            words = [number, w, x, y, z, *camera[:3, 3], 1, path]
            lines += [" ".join(map(str, words)), ""]
        place = folder / name / "sparse" / "0"
        place.mkdir(parents=True)
        (place / "images.txt").write_text("\n".join(lines) + "\n")


def bop(folder: Path) -> None:
    for name in OBJECTS:
        rows, cameras = [row for row in TRUTH if row[1] == name], {}
        for number, (_, _, azimuth, elevation) in enumerate(rows):
            photograph(folder / name / "rgb" / f"{number:06d}.png")
            camera = np.linalg.inv(looking(azimuth, elevation, (0.0, 0.0, 0.0), 800.0) @ OPENCV)
            cameras[str(number)] = {
                "cam_K": [500, 0, 12, 0, 500, 8, 0, 0, 1],
                "cam_R_w2c": camera[:3, :3].ravel().tolist(),
                "cam_t_w2c": camera[:3, 3].tolist(),
            }
        (folder / name / "scene_camera.json").write_text(json.dumps(cameras))


def notes(folder: Path, note: Callable[[Row], dict[str, Any]], beside: str = "") -> None:
    """A JSON beside each photograph."""
    for name, row in zip(named(folder, lambda row: f"{row[1]}/scan_{row[3]}{row[2]:03d}.jpg"), TRUTH, strict=True):
        place = (folder / name).parent / beside / Path(name).with_suffix(".json").name
        place.parent.mkdir(exist_ok=True)
        place.write_text(json.dumps(note(row)))


def hugging_face(folder: Path, kind: str) -> None:
    """An imagefolder with two splits, labels by folders."""
    for part in ("train", "test"):
        rows = [row for row in TRUTH if row[1].endswith("1") == (part == "train")]
        names = named(folder / part, lambda row: f"{row[0]}/{row[1]}_{row[2]}_{row[3]}.png", rows)
        found = [
            {"file_name": name, "label": row[0], "object": row[1], "azimuth": row[2], "elevation": row[3]}
            for name, row in zip(names, rows, strict=True)
        ]
        lines = [json.dumps(one) for one in found]
        if kind == "csv":
            lines = [",".join(found[0]), *(",".join(map(str, one.values())) for one in found)]
        (folder / part / f"metadata.{kind}").write_text("\n".join(lines) + "\n")


def telephone(folder: Path) -> None:
    """Names in the order of another clock; the order in which images were taken is in EXIF alone."""
    for place, (label, name, *_) in enumerate(LOW):
        taken = f"2024:05:01 10:{place:02d}:00"
        photograph(folder / label / name / f"IMG_{9000 - place:04d}.jpg", taken=taken)


def windows(folder: Path) -> None:
    table(folder, PLAIN)
    path = folder / "photos.csv"
    text = path.read_text("utf-8").replace("images/cup-1", f"{folder}/images/cup-1")
    path.write_text(text.replace("images/cup-2/", "images\\cup-2\\"), "utf-8")


PLAIN, HEADERS = "image,label,object,azimuth,elevation,note", "File,Class,Instance,Azimuth (deg),elevation,Größe"
# Each: how to make it below a folder, what is told, which rows it shows, and what it calls cups and bowls.
INPUTS: dict[str, tuple[Callable[[Path], object], dict[str, Any], list[Row]]] = {
    "manifest": (lambda f: table(f, PLAIN), {}, TRUTH),
    "semicolons, decimal commas": (lambda f: table(f, HEADERS, separator=";", comma=True), {}, TRUTH),
    "tabs in UTF-16": (lambda f: table(f, HEADERS, separator="\t", encoding="utf-16"), {}, TRUTH),
    "byte order mark": (lambda f: table(f, PLAIN, encoding="utf-8-sig"), {}, TRUTH),
    "Windows-1252": (lambda f: table(f, HEADERS, separator=";", encoding="cp1252"), {}, TRUTH),
    "absolute paths, backslashes": (windows, {}, TRUTH),
    "class/object/pose": (lambda f: named(f, lambda r: f"{r[0]}/{r[1]}/az{r[2]:03d}_el{r[3]}.png"), {}, TRUTH),
    "class/image": (lambda f: named(f, lambda r: f"{r[0]}/{r[1]}_az{r[2]:03d}_el{r[3]}.png"), {}, TRUTH),
    "object/image": (lambda f: named(f, lambda r: f"{r[1]}/{r[3]}-{r[2]:03d}.png"), {"polar": False}, TRUTH),
    "names alone": (lambda f: named(f, lambda r: f"{r[1]}_az{r[2]:03d}_el{r[3]}.jpg"), {}, TRUTH),
    "theta and phi": (lambda f: named(f, lambda r: f"{r[1]}_theta{90 - r[3]}_phi{r[2]}.png"), {}, TRUTH),
    "ETH-80": (lambda f: named(f, lambda r: f"{r[1]}-{90 - r[3]:03d}-{r[2]:03d}.png"), {"polar": True}, TRUTH),
    "COIL-100": (lambda f: named(f, lambda r: f"{r[1]}__{r[2]}.png", LOW), {}, LOW),
    "COIL-20": (lambda f: named(f, lambda r: f"{r[1]}__{r[2] // 60}.png", LOW), {"step": 60.0}, LOW),
    "frames from 1": (lambda f: named(f, lambda r: f"{r[1]}/{r[2] // 60 + 1:04d}.png", LOW), {"step": "turn"}, LOW),
    "a pattern": (
        lambda f: named(f, lambda r: f"{r[3]}/{r[1]}/shot {r[2]}.png"),
        {"pattern": "{elevation}/{object}/shot {azimuth}.*"},
        TRUTH,
    ),
    "telephone": (telephone, {"step": "turn"}, LOW),
    "JSON": (lambda f: notes(f, lambda r: {"label": r[0], "pose": {"azimuth": r[2], "elevation": r[3]}}), {}, TRUTH),
    "OpenScan": (lambda f: notes(f, lambda r: {"at": {"theta": 90 - r[3], "fi": r[2], "r": 1}}, "metadata"), {}, TRUTH),
    "Hugging Face CSV": (lambda f: hugging_face(f, "csv"), {}, TRUTH),
    "Hugging Face JSONL": (lambda f: hugging_face(f, "jsonl"), {}, TRUTH),
    "transforms.json": (nerfstudio, {}, TRUTH),
    "COLMAP": (colmap, {}, TRUTH),
    "BOP": (bop, {}, TRUTH),
}
