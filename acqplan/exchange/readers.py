"""Readers of photographs: each says what a folder or file shows, or nothing if it is of another kind."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL.Image

from acqplan.errors import InputError, UnclearError
from acqplan.exchange.found import Told, Understanding
from acqplan.exchange.name_patterns import proposed_pattern
from acqplan.exchange.poses import CameraPose, camera_table, read_poses, sphere_of
from acqplan.files import open_file
from acqplan.images import NAME_SUFFIXES
from acqplan.numbers import count_noun, plain_number
from acqplan.progress import Progress
from acqplan.rig.manifest import AxisColumn, ImageRows, axis_word, default_columns, read_manifest
from acqplan.rig.names import image_names, shown_objects
from acqplan.table import CsvTable, read_table

# Headers by which tables call what a manifest has, letters alone.
ALIASES: Final = {
    "image": "image file filename filepath path imagepath imagefile imagename img photo photograph picture",
    "label": "label class category classname classlabel labelname",
    "object": "object instance objectid objectname instanceid item",
}
TABLES: Final = (".csv", ".tsv", ".txt", ".jsonl")
MOST_BYTES = 1_000_000_000
# Links may lead out of a folder that its owner names; rig.toml then says where to.
ANYWHERE = (Path("/"),)
# Distances and rolls that differ by less are those of one tripod.
SAME_DISTANCE, SAME_ROLL = 0.02, 2.0
TAKEN_AT, EXIF = (0x9003, 0x9004, 0x0132), 0x8769  # DateTimeOriginal, DateTimeDigitized, DateTime


def read_tables(path: Path, told: Told, progress: Progress) -> Understanding | None:
    """A table of images: acqplan's manifest, a spreadsheet's CSV, or Hugging Face's metadata.csv and metadata.jsonl."""
    tables = {
        place: table for place in _tables_at(path) if (table := _table(place, is_given=path.is_file())) is not None
    }
    if not tables or told.pattern:
        return None
    folder = path if path.is_dir() else path.parent
    if len(tables) > 1 and not all(place.stem == "metadata" for place in tables):
        first = next((place for place in tables if place.name == "manifest.csv"), None)
        if first is None:
            names = ", ".join(place.name for place in tables)
            raise InputError(f"{folder}: several tables name images: {names}", "give the path of one", path=folder)
        tables = {first: tables[first]}
    place, table = next(iter(tables.items()))
    named = _names_of(table)
    if len(tables) == 1 and set(ALIASES) <= named.keys() and place.suffix != ".jsonl":
        columns = {ours: theirs for ours, theirs in named.items() if ours != theirs}
        manifest = read_manifest(place, file_column="image", names=columns)
        axes = default_columns(manifest)
        others = [name for name in manifest.columns if name not in {axis.name for axis in axes}]
        ignored = (f"columns {', '.join(others)}",) if others else ()
        said = (f"the table is read with {manifest.dialect}",) if manifest.dialect else ()
        return Understanding(
            folder=place.parent,
            reader=f"the table {place.name}",
            manifest=manifest,
            columns=axes,
            settings={"columns": columns},
            said=said,
            ignored=ignored + _unlisted(place.parent, map(str, manifest.files)),
        )
    rows = []
    for place, table in tables.items():
        ours = {theirs: name for name, theirs in _names_of(table).items()}
        lines = zip(*table.columns.values(), strict=True)
        known = [dict(zip([ours.get(name, name) for name in table.columns], line, strict=True)) for line in lines]
        below = place.parent.relative_to(folder)
        rows += [row | {"image": (below / row["image"].replace("\\", "/")).as_posix()} for row in known]
    return _noted(folder, rows, told, reader=f"the table {place.name}")


def read_cameras(path: Path, told: Told, progress: Progress) -> Understanding | None:
    """Poses of cameras: transforms.json, COLMAP text or BOP; each scene is one object."""
    poses = read_poses(path) if not told.pattern else None
    if not poses:
        return None
    folder, rows, said = path if path.is_dir() else path.parent, list[dict[str, str]](), list[str]()
    cameras = set[str]()
    scenes: dict[str, list[CameraPose]] = {}
    for pose in poses:
        scenes.setdefault(pose.scene, []).append(pose)
    for place, members in scenes.items():
        # COLMAP's results lie in folders of their own below the object's
        parts = [part for part in Path(place).parts if part not in ("0", "sparse", "colmap")]
        scene = parts[-1] if parts else folder.resolve().name
        views = sphere_of(members)
        near = views.distance / np.median(views.distance)
        angles = {"azimuth": views.azimuth, "elevation": views.elevation}
        if np.ptp(near) > SAME_DISTANCE:
            angles["distance"] = views.distance
        if np.ptp(views.roll) > SAME_ROLL:
            angles["roll"] = views.roll
        for number, pose in enumerate(members):
            cells = {name: f"{round(float(values[number]), 2) + 0.0:g}" for name, values in angles.items()}
            rows.append({"image": pose.image, "scene": scene, **cells})
        target = ", ".join(f"{round(float(part), 3) + 0.0:g}" for part in views.target)
        cameras.add(camera_table(members, views))
        said.append(f"cameras of {scene} look at {target} with z up; azimuth is the table's turn")
    level = dict.fromkeys((name for row in rows for name in row), "0")  # a scene may have turned what others did not
    there = [level | row for row in rows if (folder / row["image"]).is_file()]
    if not there:
        raise InputError(f"{folder}: none of {len(rows)} images with poses is there", "copy them", path=folder)
    found = _noted(folder, there, told, reader="poses of cameras")
    said = said[:1] + [f"{len(said) - 1} more scenes likewise"] * bool(said[1:])
    gone = [f"{count_noun(len(rows) - len(there), 'pose')} without an image"] * (len(rows) > len(there))
    # where the scenes differ, or the distance is an axis, no camera leads back to all poses
    camera = cameras.pop() if len(cameras) == 1 and "distance" not in level else ""
    return replace(found, said=tuple(said), ignored=(*gone, *found.ignored), camera=camera)


def read_notes(path: Path, told: Told, progress: Progress) -> Understanding | None:
    """A JSON file beside each image, ``cup/7.jpg`` and ``cup/7.json`` (or ``cup/metadata/7.json``), with its view."""
    if not path.is_dir() or told.pattern:
        return None
    rows, names = list[dict[str, str]](), image_names(path)[0]
    for name in names:
        image = path / name
        beside = (image.with_suffix(".json"), Path(f"{image}.json"), image.parent / "metadata" / f"{image.stem}.json")
        note = next((place for place in beside if place.is_file()), None)
        if note is not None and (cells := _flat(_parsed(_text(note), note), note)):
            rows.append({"image": name, **cells})
    if not rows or not any(AxisColumn.known(name) for name in rows[0]):
        return None
    return _noted(path, rows, told, reader="JSON files beside the images")


def read_names(path: Path, told: Told, progress: Progress) -> Understanding | None:
    """Names of images that say from where they were taken."""
    if not path.is_dir():
        return None
    names, others = image_names(path)
    pattern, said = proposed_pattern(names, told)
    if pattern is None:
        return None
    shown = ("", "")
    if not re.search(r"\{(label|object)\b", pattern.text):
        labels, objects = _in_folders(path, names[:1], told)
        shown = labels[0], objects[0]
    rows = pattern.read(names, shown=shown)
    settings: dict[str, object] = {"pattern": pattern.text} if not shown[0] else {}
    if settings and pattern.step is not None:
        settings |= {"step": pattern.step, "offset": pattern.offset}
    fitting = set(rows.names)
    odd = [name for name in names if name not in fitting]
    ignored = [f"{count_noun(len(odd), 'image')} of another name, e.g. {odd[0]}"] if odd else []
    found = _of_rows(path, rows, reader=f"names such as {pattern.text}", ignored=(*ignored, *_others(others)))
    return replace(found, pattern=settings, said=said)


def read_order(path: Path, told: Told, progress: Progress) -> Understanding | None:
    """Images of each object in order of time or name, once around or a step apart."""
    if not path.is_dir() or told.pattern:
        return None
    names, others = image_names(path)
    if not names:
        hint = "give a folder of images, below it one folder per class and object"
        raise InputError(f"{path}: holds no image that can be read", hint, path=path)
    labels, objects = _in_folders(path, names, told)
    times = _times(path, names, progress)
    order = sorted(range(len(names)), key=lambda row: (times[row], row)) if times else range(len(names))
    counts, rank = Counter(objects), Counter[str]()
    if told.step is None:
        most = max(counts.values())
        said = f"{path}: names do not say from where images were taken, e.g. {names[0]}"
        hint = f"say how many degrees apart images of an object are: --step {360 / most:g}"
        hint += ", or --step turn if they go once around; or --pattern if names say it"
        raise UnclearError(said, hint, question="step", proposal="turn", path=path)
    azimuths = [""] * len(names)
    for row in order:
        step = 360.0 / counts[objects[row]] if told.step == "turn" else told.step
        azimuths[row] = f"{round((told.offset + step * rank[objects[row]]) % 360.0, 6):.12g}"
        rank[objects[row]] += 1
    rows = ImageRows(names=tuple(names), labels=labels, objects=objects, axes={"azimuth": tuple(azimuths)})
    by = "of time (EXIF)" if times else "of name"
    way = "once around" if told.step == "turn" else f"{told.step:g}° apart"
    said = f"images of each object, in order {by}, are {way}: the first is at {told.offset:g}°"
    return replace(_of_rows(path, rows, reader=f"the order {by}", ignored=_others(others)), said=(said,))


# What is tried, in this order: what says most comes first.
READERS: Final[Sequence[Callable[[Path, Told, Progress], Understanding | None]]] = (
    read_tables,
    read_cameras,
    read_notes,
    read_names,
    read_order,
)


def _tables_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() in TABLES else []
    here = sorted(place for place in path.iterdir() if place.suffix.lower() in TABLES and place.is_file())
    return here or sorted(place for end in ("csv", "jsonl") for place in path.glob(f"*/metadata.{end}"))


def _table(path: Path, *, is_given: bool) -> CsvTable | None:
    """A table of images; ``None`` if it names none."""
    with open_file(path) as handle:
        head = handle.readline(10_000).decode("latin-1").casefold()
    if path.suffix.lower() == ".txt" and not any(mark in head for mark in ",;\t|"):
        return None
    try:
        if path.suffix.lower() != ".jsonl":
            table = read_table(path, required=(), others=True)
        else:
            rows = [_flat(_parsed(line, path), path) for line in _text(path).splitlines() if line.strip()]
            names = dict.fromkeys(name for row in rows for name in row)
            columns = {name: tuple(row.get(name, "") for row in rows) for name in names}
            table = CsvTable(path=path, lines=tuple(range(1, len(rows) + 1)), columns=columns)
    except InputError:
        if is_given or any(word in head for word in ("image", "file", "path", "photo")):
            raise
        return None  # somebody else's, of something else
    named = _names_of(table)
    paths = table.column(named["image"])[:50] if "image" in named else ("",)
    is_table = not paths or any(Path(cell.replace("\\", "/")).suffix.lower() in NAME_SUFFIXES for cell in paths)
    return table if is_table else None


def _names_of(table: CsvTable) -> dict[str, str]:
    """What a table calls image, label, object, and axes that it writes in another way."""
    letters = {re.sub(r"[^a-z]", "", name.casefold()): name for name in reversed(list(table.columns))}
    found = {ours: next((letters[a] for a in alike.split() if a in letters), "") for ours, alike in ALIASES.items()}
    axes = {word: name for name in table.columns if (word := axis_word(name)) and AxisColumn.known(name)}
    return {ours: theirs for ours, theirs in (found | axes).items() if theirs}


def _noted(folder: Path, rows: Sequence[Mapping[str, str]], told: Told, *, reader: str) -> Understanding:
    """What notes say of images; label and object are theirs, or those of the folders that the images are in."""
    names = tuple(row["image"] for row in rows)
    labels = [row.get("label", "") for row in rows]
    objects = [row.get("object", "") for row in rows]
    if all(labels) and not all(objects):
        above = [image.split("/")[-2] if "/" in image else label for image, label in zip(names, labels, strict=True)]
        objects = [name or folder for name, folder in zip(objects, above, strict=True)]
    if all(objects):
        shown = shown_objects(labels if all(labels) else None, objects)
    elif all(row.get("scene") for row in rows):
        shown = shown_objects([told.label] * len(rows) if told.label else None, [row["scene"] for row in rows])
    else:
        shown = _in_folders(folder, names, told)
    taken = {"image", "label", "object", "scene"}
    known = [name for name in rows[0] if name not in taken and AxisColumn.known(name)]
    lacking = [name for name in known if any(not row.get(name) for row in rows)]
    axes = {name: tuple(row[name] for row in rows) for name in known if name not in lacking}
    if not axes:
        said = f"{folder}: {reader} do not say from where images were taken"
        raise InputError(said, "add azimuth or elevation to each", path=folder)
    images = ImageRows(names=names, labels=shown[0], objects=shown[1], axes=axes)
    others = sorted({name for row in rows for name in row} - taken - set(axes))
    ignored = (f"notes {', '.join(others[:12])}",) if others else ()
    return _of_rows(folder, images, reader=reader, ignored=ignored + _unlisted(folder, names))


def _of_rows(folder: Path, rows: ImageRows, *, reader: str, ignored: tuple[str, ...]) -> Understanding:
    """What images show, and what nothing says of them."""
    unknown = []
    if "azimuth" in rows.axes and not any(name in rows.axes for name in ("elevation", "polar", "el", "pitch")):
        unknown.append("the height of the camera, which is taken as the same in all images")
    if all(column.kind != "category" for column in rows.columns()):
        unknown.append("the light, which is taken as the same in all images")
    if rows.labels == rows.objects and len(set(rows.objects)) > 1:
        unknown.append("which objects are of one class: each is taken as a class of its own")
    return Understanding(
        folder=folder,
        reader=reader,
        manifest=rows.manifest(folder, roots=ANYWHERE),
        columns=rows.columns(),
        ignored=ignored,
        unknown=(*unknown, "how long a shot and a change of object take: rig.toml has places for it"),
    )


def _in_folders(folder: Path, names: Sequence[str], told: Told) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Labels and objects by the folders of images: class/object/image, or object/image.

    Raises:
        UnclearError: If images are in no folder, and nobody said what they show.
    """
    above = [name.split("/")[:-1] for name in names]
    depth = min(map(len, above))
    if told.label:
        return (told.label,) * len(names), tuple(parts[-1] if parts else folder.resolve().name for parts in above)
    if depth == 0:
        own = folder.resolve().name
        said = f"{folder}: nothing says which class and object images show, e.g. {names[0]}"
        hint = f"if all show one object, say of which class: --label {shown_objects(None, [own, own + 'x'])[0][0]}"
        raise UnclearError(said, hint, question="label", proposal=own, path=folder)
    labels = [parts[-2] for parts in above] if depth > 1 else None
    return shown_objects(labels, [parts[-1] for parts in above])


def _times(folder: Path, names: Sequence[str], progress: Progress) -> list[str] | None:
    """When images were taken, by EXIF; ``None`` unless all say so, and no two of them the same."""
    times = list[str]()
    with progress.task("times of images", len(names)) as advance:
        for name in names:
            try:
                with PIL.Image.open(folder / name) as image:
                    exif = image.getexif()
                    said = {**exif, **exif.get_ifd(EXIF)}
            except Exception:  # what is no image is told by name when it is used
                return None
            times.append(str(next((said[tag] for tag in TAKEN_AT if said.get(tag)), "")))
            advance(1)
            if not times[-1]:
                return None
    return times if len(set(times)) == len(times) else None


def _unlisted(folder: Path, names: Iterable[str]) -> tuple[str, ...]:
    """Images below a folder that a table or notes do not name."""
    listed = {Path(name).name for name in names}
    more = [name for name in image_names(folder)[0] if Path(name).name not in listed]
    return (f"{count_noun(len(more), 'image')} not named there, e.g. {more[0]}",) if more else ()


def _others(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Files that are no images."""
    return tuple(f"{count_noun(number, 'file')} ({kind})" for kind, number in sorted(counts.items()))


def _text(path: Path) -> str:
    try:
        with open_file(path, most=MOST_BYTES) as handle:
            return handle.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})", "check the file", path=path) from error


def _parsed(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is no JSON ({error})", "write it again, or remove it", path=path) from error


def _flat(document: Any, path: Path) -> dict[str, str]:
    """Words and numbers of a document by their names, whatever they are in; physicists' theta and phi as views."""
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds no names with values", 'write e.g. {"azimuth": 40}', path=path)
    found: dict[str, str] = {}
    parts = [document]
    while parts:
        part = parts.pop(0)
        for name, value in part.items():
            if isinstance(value, dict):
                parts.append(value)
            elif isinstance(value, str | int | float) and not isinstance(value, bool):
                found.setdefault(name, f"{value:g}" if isinstance(value, float) else str(value))
    around = found.get("phi") or found.get("fi")  # as OpenScan writes it
    if around is not None and "theta" in found:
        found["elevation"] = f"{round(90.0 - plain_number(found.pop('theta')), 6) + 0.0:g}"
        found["azimuth"] = around
        found = {name: value for name, value in found.items() if name not in ("phi", "fi")}
    return found
