"""Readers of photographs: each says what a folder or file shows, or nothing if it is of another kind."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL.Image

from acqplan.errors import InputError, UnclearError
from acqplan.exchange.found import Told, Understanding
from acqplan.exchange.name_patterns import proposed_pattern
from acqplan.exchange.poses import CameraPose, read_poses, sphere_of
from acqplan.files import open_file
from acqplan.images import NAME_SUFFIXES
from acqplan.numbers import count_noun, plain_number
from acqplan.progress import Progress
from acqplan.rig.manifest import AxisColumn, ImageRows, axis_word, default_columns, read_manifest
from acqplan.rig.names import NamePattern, image_names, shown_objects
from acqplan.table import CsvTable, read_table

# Headers by which tables call what a manifest has, letters alone.
ALIASES: Final = {
    "image": "image file filename filepath path imagepath imagefile imagename img photo photograph picture",
    "label": "label class category classname classlabel labelname",
    "object": "object instance objectid objectname instanceid item",
}
TABLES: Final = (".csv", ".tsv", ".txt", ".jsonl")
MOST_BYTES = 100_000_000
# Links may lead out of a folder that its owner names; rig.toml then says where to.
ANYWHERE = (Path(Path.cwd().anchor),)
# Distances and rolls that differ by less are those of one tripod.
SAME_DISTANCE, SAME_ROLL = 0.02, 2.0
TAKEN_AT, EXIF = (0x9003, 0x9004, 0x0132), 0x8769  # DateTimeOriginal, DateTimeDigitized, DateTime


def read_tables(path: Path, told: Told, progress: Progress) -> Understanding | None:
    """A table of images: acqplan's manifest, a spreadsheet's CSV, or Hugging Face's metadata.csv and metadata.jsonl."""
    tables = {place: table for place in _tables_at(path) if (table := _table(place)) is not None}
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
            ignored=ignored + _unlisted(place.parent, [file.name for file in manifest.files]),
        )
    rows: list[dict[str, str]] = []
    for place, table in tables.items():
        named = _names_of(table)
        renamed = {theirs: ours for ours, theirs in named.items()}
        for row in range(len(table)):
            cells = {renamed.get(name, name): cells[row] for name, cells in table.columns.items()}
            cells["image"] = (place.parent.relative_to(folder) / cells["image"].replace("\\", "/")).as_posix()
            rows.append(cells)
    return _noted(folder, rows, told, reader=f"the table {place.name}")


def read_cameras(path: Path, told: Told, progress: Progress) -> Understanding | None:
    """Poses of cameras: transforms.json, COLMAP text or BOP; each scene is one object."""
    poses = read_poses(path) if not told.pattern else None
    if not poses:
        return None
    folder, rows, said = path if path.is_dir() else path.parent, list[dict[str, str]](), list[str]()
    scenes: dict[str, list[CameraPose]] = {}
    for pose in poses:
        scenes.setdefault(pose.scene, []).append(pose)
    for scene, members in scenes.items():
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
        said.append(f"cameras {f'of {scene} ' if scene else ''}look at {target} with z up; azimuth is the table's turn")
    for row in rows:  # one scene may have turned the camera where others did not
        row |= {name: row.get(name, "0") for name in {name for other in rows for name in other}}
    is_there = [(folder / row["image"]).is_file() for row in rows]
    missing = len(rows) - sum(is_there)
    rows = [row for row, there in zip(rows, is_there, strict=True) if there]
    if not rows:
        raise InputError(f"{folder}: none of {len(is_there)} images with poses is there", "copy them", path=folder)
    found = _noted(folder, rows, told, reader="poses of cameras")
    gone = (f"{count_noun(missing, 'pose')} without an image",) if missing else ()
    return replace(
        found,
        said=(said[0], *([f"{len(said) - 1} more scenes likewise"] if said[1:] else [])),
        ignored=(*gone, *found.ignored),
    )


def read_notes(path: Path, told: Told, progress: Progress) -> Understanding | None:
    """A JSON file beside each image, ``cup/7.jpg`` and ``cup/7.json`` (or ``cup/metadata/7.json``), with its view."""
    if not path.is_dir() or told.pattern:
        return None
    rows, names = list[dict[str, str]](), image_names(path)[0]
    for name in names:
        image = path / name
        beside = (image.with_suffix(".json"), Path(f"{image}.json"), image.parent / "metadata" / f"{image.stem}.json")
        note = next((place for place in beside if place.is_file()), None)
        if note is not None and (cells := _flat(_json(note), note)):
            rows.append({"image": name, **cells})
    if not rows or not any(AxisColumn.known(name) for name in rows[0]):
        return None
    return _noted(path, rows, told, reader="JSON files beside the images")


def read_names(path: Path, told: Told, progress: Progress) -> Understanding | None:
    """Names of images that say from where they were taken."""
    if not path.is_dir():
        return None
    names, others = image_names(path)
    pattern, said = (NamePattern(text=told.pattern), ()) if told.pattern else proposed_pattern(names, told)
    if told.pattern and "{index}" in told.pattern:
        step = told.step
        if step is None or step == "turn":
            hint = "say how many degrees two frames are apart: --step 5"
            raise UnclearError(f"{path}: the pattern has {{index}}, frame numbers", hint, question="step")
        pattern = NamePattern(text=told.pattern, step=step, offset=told.offset)
    if pattern is None:
        return None
    shown = ("", "")
    if not re.search(r"\{(label|object)\b", pattern.text):
        labels, objects = _in_folders(path, names[:1], told)
        shown = labels[0], objects[0]
    rows = pattern.read(names, shown=shown)
    settings: dict[str, object] = {"pattern": pattern.text}
    if pattern.step is not None:
        settings |= {"step": pattern.step, "offset": pattern.offset}
    odd = [name for name in names if name not in set(rows.names)]
    ignored = [f"{count_noun(len(odd), 'image')} of another name, e.g. {odd[0]}"] if odd else []
    return Understanding(
        folder=path,
        reader=f"names such as {pattern.text}",
        manifest=rows.manifest(path, roots=ANYWHERE),
        columns=rows.columns(),
        pattern={} if shown[0] else settings,
        said=said,
        ignored=(*ignored, *_others(others)),
        unknown=_unknown(rows),
    )


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
    return Understanding(
        folder=path,
        reader=f"the order {by}",
        manifest=rows.manifest(path, roots=ANYWHERE),
        columns=rows.columns(),
        said=(f"images of each object, in order {by}, are {way}: the first is at {told.offset:g}°",),
        ignored=_others(others),
        unknown=_unknown(rows),
    )


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


def _table(path: Path) -> CsvTable | None:
    """A table of images; ``None`` if it names none."""
    if path.suffix.lower() == ".jsonl":
        cells = [_flat(json.loads(line), path) for line in _text(path).splitlines() if line.strip()]
        names = dict.fromkeys(name for row in cells for name in row)
        columns = {name: tuple(row.get(name, "") for row in cells) for name in names}
        table = CsvTable(path=path, lines=tuple(range(1, len(cells) + 1)), columns=columns)
    elif path.suffix.lower() == ".txt" and not any(mark in _text(path).split("\n")[0] for mark in ",;\t|"):
        return None
    else:
        table = read_table(path, required=(), others=True)
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
        shown = shown_objects(None, [Path(row["scene"]).name for row in rows])
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
    return Understanding(
        folder=folder,
        reader=reader,
        manifest=images.manifest(folder, roots=ANYWHERE),
        columns=images.columns(),
        ignored=ignored + _unlisted(folder, [Path(name).name for name in names]),
        unknown=_unknown(images),
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


def _unlisted(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """Images below a folder that a table or notes do not name."""
    listed = set(names)
    more = [name for name in image_names(folder)[0] if Path(name).name not in listed]
    return (f"{count_noun(len(more), 'image')} not named there, e.g. {more[0]}",) if more else ()


def _others(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Files that are no images."""
    return tuple(f"{count_noun(number, 'file')} ({kind})" for kind, number in sorted(counts.items()))


def _unknown(rows: ImageRows) -> tuple[str, ...]:
    """What names and notes do not say."""
    found = []
    if "azimuth" in rows.axes and not any(name in rows.axes for name in ("elevation", "polar", "el", "pitch")):
        found.append("the height of the camera, which is taken as the same in all images")
    if not any((axis := AxisColumn.known(name)) and axis.kind == "category" for name in rows.axes):
        found.append("the light, which is taken as the same in all images")
    if rows.labels == rows.objects and len(set(rows.objects)) > 1:
        found.append("which objects are of one class: each is taken as a class of its own")
    return (*found, "how long a shot and a change of object take: rig.toml has places for it")


def _text(path: Path) -> str:
    try:
        with open_file(path, most=MOST_BYTES) as handle:
            return handle.read().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})", "check the file", path=path) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(_text(path))
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
