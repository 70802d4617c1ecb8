"""Any rig with the axes of smallNORB, written as the six files of its authors."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import PIL.Image
from jaxtyping import Int

from acqplan.errors import SpaceError, SplitError, UsageError
from acqplan.evaluate.task import Split, draw_split, split_objects
from acqplan.files import replacing
from acqplan.progress import SILENT, Progress, Titled
from acqplan.rig.norb import CATEGORIES, INSTANCES, NorbSource, look_swapped, norb_space, object_name
from acqplan.rig.norb_files import BYTES, INTEGER, INTEGERS, file_name, header
from acqplan.rig.rendered import RenderedSource
from acqplan.rig.source import Image, Source
from acqplan.rig.spec import Rig
from acqplan.space import Shots

SIDE: Final = 96
# Instances that training objects are given from the front, and test objects from the back.
ORDER: Final = (*INSTANCES["training"], *reversed(INSTANCES["testing"]))
NAMES: Final = {object_name(category, n): (category, n) for category in range(len(CATEGORIES)) for n in ORDER}


def write_smallnorb(rig: Rig, place: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Write a rig as the six files of smallNORB, image by image.

    Images of another size or in colour become grey, 96 x 96 pixels. The second camera shows what the first does, unless
    the rig has two: smallNORB itself, or toys and meshes whose ``eye`` is left or right.

    Args:
        rig: Its axes are azimuth (of 0, 20, …, 340), elevation (of 30, 35, …, 70) and lighting (of L0 to L5), its
            labels are of animal, human, airplane, truck and car, with at most 10 objects each: the format has numbers
            for these and for nothing else. Its split makes the parts; that of the authors if all objects have names
            such as ``car-03`` and the rig names no test objects. Other names become such names.
        place: A folder that exists.
        progress: Receives each image.

    Raises:
        SpaceError: If the format has no number for an axis or a view.
        UsageError: If it has none for a label or an object, or the rig is live.
        SplitError: If no objects are kept for the test.
    """
    shots, shapes = rig.source.shots(), Counter[tuple[int, ...]]()
    views, (split, numbers) = _view_numbers(shots), _numbered(rig)
    facts = np.column_stack([[numbers[name] for name in shots.names], views])
    for part, names in (("training", split.train), ("testing", split.test)):
        rows = np.flatnonzero(np.isin(shots.names, names))
        for kind, columns in (("cat", facts[rows, 0]), ("info", facts[rows, 1:])):
            with replacing(place / file_name(part, kind), "wb") as handle:
                handle.write(header(INTEGERS, columns.shape) + columns.astype(INTEGER).tobytes())
        listener = Titled(progress=progress, title=f"{part} images")
        shapes += _write_images(place / file_name(part, "dat"), rig.source, shots.take(rows), listener)
    objects = {name: object_name(*numbers[name]) for name in shots.objects.names}
    sentences = [f"{len(shots):,} images of {len(objects)} objects, {len(split.test)} of them for testing"]
    if other := shapes.total() - shapes[SIDE, SIDE]:
        sentences.append(f"{other:,} images became {SIDE} x {SIDE} pixels of grey")
    if renamed := [name for name in objects if objects[name] != name]:
        sentences.append(f"objects have the names of smallNORB: '{renamed[0]}' is {objects[renamed[0]]}")
    return {"objects": objects, "sentences": sentences}


def _view_numbers(shots: Shots) -> Int[np.ndarray, "shots 3"]:
    """Elevation, azimuth and lighting of each shot in the authors' numbers."""
    axes = norb_space().axes
    numbers: dict[str, dict[Any, int]] = {axis.name: {level: n for n, level in enumerate(axis.values)} for axis in axes}
    if sorted(shots.space.names) != sorted(numbers):
        said = f"smallNORB has the axes azimuth, elevation and lighting, the rig has {', '.join(shots.space.names)}"
        raise SpaceError(said, "give it these three alone; one that never changes has one level, e.g. L0")
    found = []
    for name, view in zip(shots.names, shots.views(), strict=True):
        levels = {axis: value if isinstance(value, str) else round(value, 6) for axis, value in view.items()}
        for axis, level in levels.items():
            if level not in numbers[axis]:
                said = f"smallNORB has no number for {axis} {level!r}, from which '{name}' is seen"
                raise SpaceError(said, f"leave out all but {', '.join(map(str, numbers[axis]))}", asked=level)
        row = {axis: numbers[axis][level] for axis, level in levels.items()}
        found.append((row["elevation"], 2 * row["azimuth"], row["lighting"]))  # azimuths are told in tens of degrees
    return np.array(found)


def _numbered(rig: Rig) -> tuple[Split, dict[str, tuple[int, int]]]:
    """The split, and category and instance of each object: those of its name if all have such names."""
    objects = rig.source.objects
    label_of = dict(zip(objects.names, objects.labels, strict=True))
    for label, count in Counter(objects.labels).items():
        if label not in CATEGORIES:
            hint = f"rename this label to one of {', '.join(CATEGORIES)}"
            raise UsageError(f"smallNORB has no category '{label}'", hint, asked=label)
        if count > len(ORDER):
            raise UsageError(f"{count} objects of label '{label}', at most {len(ORDER)} in smallNORB", "leave some out")
    named = all(name in NAMES and name.startswith(f"{label}-") for name, label in label_of.items())
    split = draw_split(rig, seed=0)
    if split.test_views:
        said = "the rig keeps views for the test, the parts of smallNORB are of different objects"
        raise SplitError(said, 'name test objects in rig.toml, e.g. [objects] test = ["car-03"]')
    if named and not rig.test and rig.test_fraction == 0.5:
        with suppress(SplitError):  # where a label has objects in one part only, it stays as drawn
            of_authors = tuple(name for name in objects.names if NAMES[name][1] in INSTANCES["testing"])
            split = split_objects(objects, test=of_authors)
    if named and not look_swapped(*([NAMES[name][1] for name in names] for names in (split.train, split.test))):
        return split, NAMES
    numbers = {}
    for names, order in ((split.train, ORDER), (split.test, ORDER[::-1])):
        free = {label: iter(order) for label in CATEGORIES}
        for name in sorted(names):
            numbers[name] = CATEGORIES.index(label_of[name]), next(free[label_of[name]])
    return split, numbers


def _write_images(path: Path, source: Source, shots: Shots, progress: Progress) -> Counter[tuple[int, ...]]:
    """Write the pairs of images in whatever order they come; returns how many had which shape."""
    cameras, shapes = [source], Counter[tuple[int, ...]]()
    if isinstance(source, NorbSource):
        cameras = [replace(source, stereo="left"), replace(source, stereo="right")]
    elif isinstance(source, RenderedSource) and source.settings.eye != "mono":
        cameras = [replace(source, settings=replace(source.settings, eye=eye)) for eye in ("left", "right")]
    with replacing(path, "wb") as handle:
        start = handle.write(header(BYTES, (len(shots), 2, SIDE, SIDE)))
        for first, camera in enumerate(cameras):
            for row, image in camera.capture(shots, progress=progress):
                handle.seek(start + (2 * row + first) * SIDE * SIDE)
                handle.write(_fitted(image) * (2 // len(cameras)))
                shapes[image.shape] += first == 0  # a pair counts once
    return shapes


def _fitted(image: Image) -> bytes:
    """Grey pixels of an image, stretched to the size of smallNORB: as for networks, nothing is cropped."""
    if image.shape == (SIDE, SIDE):
        return image.tobytes()
    picture = PIL.Image.fromarray(image).convert("L")
    return picture.resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR).tobytes()
