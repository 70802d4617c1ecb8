"""What a folder or file of photographs shows, as far as it says so, and the rig.toml and manifest that say it."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal

from acqplan.errors import InputError, OutputError, SpaceError, UnclearError
from acqplan.files import folder, replacing
from acqplan.numbers import shortened
from acqplan.progress import SILENT, Progress
from acqplan.rig.manifest import AxisColumn, Manifest, check_shots, object_rows, space_of
from acqplan.space import Objects, Shots, Space

quoted = partial(json.dumps, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a person says of photographs, beyond what these say themselves.

    Attributes:
        pattern: What their names say, see `acqplan.rig.names.NamePattern`.
        step: Degrees from frame to frame; ``"turn"`` where the frames of an object go once around.
        offset: Azimuth of the first frame.
        polar: Whether bare angles of height count from straight above (or are elevations).
        label: The class of all objects, where nothing says another.
    """

    pattern: str | None = None
    step: float | Literal["turn"] | None = None
    offset: float = 0.0
    polar: bool | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Understanding:
    """What photographs show.

    Attributes:
        folder: The folder that was looked at.
        reader: What said so, in words.
        manifest: Image, label, object and axes of each row.
        columns: The axes.
        settings: What rig.toml says of a table that is its manifest; empty if a manifest is to be written.
        pattern: The pattern that the names fit, as lines of rig.toml.
        camera: The table ``[camera]`` of rig.toml by which views are poses again.
        said: What was supposed or found, in sentences.
        ignored: What was not used, and why.
        unknown: What cannot be known.
    """

    folder: Path
    reader: str
    manifest: Manifest
    columns: Sequence[AxisColumn]
    settings: Mapping[str, Any] = field(default_factory=dict)
    pattern: Mapping[str, object] = field(default_factory=dict)
    camera: str = ""
    said: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def objects(self) -> Objects:
        """The objects, sorted by name."""
        return self.manifest.objects()

    def shots(self) -> Shots:
        """What was captured, as shots; each object was seen once from each view.

        Raises:
            ManifestError: If not, or a cell is no number; names the image or the line.
            SpaceError: If levels are no axis, or angles may be radians.
        """
        space, coordinates = space_of(self.manifest, self.columns)
        check_shots(self.manifest, space.names, coordinates)
        rows = object_rows(self.manifest.names, self.objects)
        return Shots(space=space, objects=self.objects, object_rows=rows, coordinates=coordinates)

    def row(self, number: int) -> list[str]:
        """Image, label, object and axes of a row, as the manifest has them."""
        manifest = self.manifest
        shown = os.path.relpath(manifest.files[number], self.folder.resolve())
        cells = [manifest.columns[column.name][number] for column in self.columns]
        return [Path(shown).as_posix(), manifest.labels[number], manifest.names[number], *cells]


def understand(path: Path | str, told: Told | None = None, *, progress: Progress = SILENT) -> Understanding:
    """What photographs show: by a table, poses of cameras, notes beside them, their names, or their order.

    Args:
        path: A folder of photographs, or a table or file of poses that names them.
        told: What a person says of them.
        progress: Hears about photographs whose time is read.

    Raises:
        UnclearError: If something cannot be known, and a person must say it.
        InputError: If there is no photograph, or a file among them is damaged. Other errors as `read_manifest`.
    """
    from acqplan.exchange.readers import READERS

    path, told = Path(path), told or Told()
    if not path.exists():
        raise InputError(f"{path}: there is no such folder or file", "check the path", path=path)
    try:
        for read in READERS:
            if (found := read(path, told, progress)) is not None:
                break
        else:
            raise InputError(f"{path}: nothing here says what is photographed", "give a folder of images", path=path)
        found.shots()
    except UnclearError as error:
        error.path = error.path or path
        raise
    except SpaceError as error:
        raise InputError(f"{path}: {error.message}", error.hint, path=path) from error
    return found


def write_rig(found: Understanding, out: Path, *, square: bool = False) -> tuple[Path, ...]:
    """Write rig.toml, and beside it the manifest where there is none yet; both or none.

    Args:
        found: What photographs show.
        out: The rig.toml, which does not exist.
        square: Whether the square in the middle of each image is looked at alone.

    Returns:
        The files.

    Raises:
        OutputError: If one of them exists, or cannot be written.
    """
    here, settings = out.absolute().parent.resolve(), dict(found.settings)
    manifest = found.manifest.path.resolve()
    if not settings:
        taken = (here / "manifest.csv").exists()
        manifest = here / (f"{out.stem}-manifest.csv" if taken else "manifest.csv")
    outside = sorted({str(file.parent) for file in found.manifest.files if not file.is_relative_to(manifest.parent)})
    if outside and (shared := Path(os.path.commonpath(outside))) != Path(shared.anchor):
        outside = [str(shared)]
    below = partial(_relative, start=here)
    lines = [f"# Written by acqplan init from {shortened(str(found.folder), 80)}: {found.reader}"]
    lines += ['source = "folder"', f"path = {quoted(below(manifest))}"]
    lines += [f"roots = {quoted([below(Path(root)) for root in outside])}"] if outside else []
    if found.pattern:
        lines += ["", "# Instead of the manifest, so that further photographs count as well:"]
        other = {"path": below(found.folder.resolve()), **found.pattern}
        lines += [f"# {key} = {quoted(value)}" for key, value in other.items()]
    if settings.get("columns"):
        lines += ["", "[columns] # what the table calls them"]
        lines += [f"{quoted(ours)} = {quoted(theirs)}" for ours, theirs in settings["columns"].items()]
    if square:
        lines += ["", "[image]", 'crop = "square" # or left, top, right, bottom as shares: [0.25, 0.1, 0.75, 0.9]']
    lines += ["", found.camera.rstrip()] if found.camera else []
    for column in found.columns:
        lines += _axis_lines(column.name, column.kind, column.unit)
    lines += [*_COSTS, "test_fraction = 0.5 # kept aside to judge the plan, the same share of each class", ""]
    rows = [["image", "label", "object", *(column.name for column in found.columns)]]
    for number, file in enumerate(found.manifest.files):
        rows.append([_relative(file, manifest.parent), *found.row(number)[1:]])
    with _new_files([out] if settings else [manifest, out]) as handles:
        handles[-1].write("\n".join(lines))
        if not settings:
            csv.writer(handles[0], lineterminator="\n").writerows(rows)
    return (out,) if settings else (out.parent / manifest.name, out)


def write_live_rig(space: Space, objects: Objects, out: Path) -> tuple[Path, ...]:
    """Write the rig.toml of a live rig, which has nothing to read.

    Raises:
        OutputError: If it exists, or cannot be written.
    """
    lines = ["# Written by acqplan init: a live rig; acqplan plans its shots and captures nothing", 'source = "live"']
    for axis in space.axes:
        lines += _axis_lines(axis.name, axis.kind, axis.unit, list(axis.values))
    lines += [*_COSTS, "", "[objects.labels]"]
    for label in objects.classes:
        names = [name for name, other in zip(objects.names, objects.labels, strict=True) if other == label]
        lines.append(f"{quoted(label)} = {quoted(names)}")
    with _new_files([out]) as (handle,):
        handle.write("\n".join([*lines, ""]))
    return (out,)


_COSTS = ["", "[shot]", "# seconds = 0.4 # exposure and transfer"]
_COSTS += ["", "[objects]", "# seconds_per_change = 20 # to put another object on the table"]


def _axis_lines(name: str, kind: str, unit: str, values: Sequence[object] = ()) -> list[str]:
    lines = ["", "[[axis]]", f"name = {quoted(name)}", f"kind = {quoted(kind)}"]
    lines += [f"unit = {quoted(unit)}"] if unit else []
    lines += [f"values = {quoted(values)}"] if values else []
    per = ("change", "another level") if kind == "category" else ("unit", "one degree" if unit == "deg" else "one unit")
    return [*lines, f"# seconds_per_{per[0]} = 0.1 # time to move to {per[1]}".replace("to one", "by one")]


def _relative(path: Path, start: Path) -> str:
    return Path(os.path.relpath(path, start)).as_posix()


@contextmanager
def _new_files(paths: Sequence[Path]) -> Iterator[list[IO[str]]]:
    """Files that do not exist yet, written all or none."""
    for path in paths:
        if path.exists():
            raise OutputError(f"{path}: is there already", "move it away, or give another --out", path=path)
        folder(path.absolute().parent)
    with ExitStack() as stack:
        yield [stack.enter_context(replacing(path)) for path in paths]
