"""The images of a rig as files in folders, for torchvision and for Hugging Face, and as shards of WebDataset.

Objects are split as `acqplan.recommend` splits them: nothing of a test object is trained on. Files that every program
reads as acqplan does are copied byte for byte; others become PNG files of what it sees.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from acqplan.campaign.export import class_folders
from acqplan.errors import ImageError
from acqplan.evaluate.task import draw_split
from acqplan.files import folder
from acqplan.images import ImageHeader, as_png, png_of, read_header
from acqplan.numbers import count_noun, short
from acqplan.plan.plan import shot_identifiers
from acqplan.pool import in_threads
from acqplan.progress import SILENT, Progress
from acqplan.rig.folder import FolderSource, ImageFile
from acqplan.rig.source import Source
from acqplan.rig.spec import Rig
from acqplan.space import Shots

# Images of a shard.
SHARD_IMAGES = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """An image as it is written.

    Attributes:
        content: Its bytes.
        header: What they say of it.
        is_converted: Whether they are others than those of the rig's file.
    """

    content: bytes
    header: ImageHeader
    is_converted: bool = False


class ImageSet:
    """The images of a rig, in the order of its source.

    Args:
        rig: The rig.

    Attributes:
        source: What takes the shots.
        shots: All of them.
    """

    def __init__(self, rig: Rig) -> None:
        self.rig, self.source, self.shots = rig, rig.source, rig.source.shots()

    def parts(self) -> tuple[dict[str, Int[np.ndarray, " rows"]], str]:
        """Rows of the shots of ``train`` and ``test``, split as for a recommendation of seed 0, and the split in words.

        Raises:
            SplitError: If the objects cannot be split.
        """
        said = f"{count_noun(len(self.shots), 'image')} of {count_noun(len(self.shots.objects), 'object')}"
        if not self.rig.test and self.rig.test_fraction == 0:
            return {"train": np.arange(len(self.shots))}, f"{said}, none for testing"
        split = draw_split(self.rig, seed=0)
        train, test = split.sides(self.shots)
        kept = f"{len(split.test)} of them for testing"
        if split.test_views:
            kept = f"{len(test):,} of the images, from other views of the same objects, for testing"
        return {"train": train, "test": test}, f"{said}, {kept}"

    def facts(self, row: int) -> dict[str, Any]:
        """Label, object and view of a shot, fit for JSON."""
        view = self.shots.space.view(self.shots.coordinates[row])
        own = self.shots.object_rows[row]
        return {"label": self.shots.objects.labels[own], "object": self.shots.objects.names[own]} | {
            name: value if isinstance(value, str) else short(value) for name, value in view.items()
        }

    def pictures(self, rows: Int[np.ndarray, " rows"], progress: Progress) -> Iterator[tuple[int, Picture]]:
        """Row and image of some shots, in their order."""
        pending, place = dict[int, Picture](), 0  # a source may give images in any order
        for number, picture in _found(self.source, self.shots.take(rows), progress):
            pending[number] = picture
            while place in pending:
                yield int(rows[place]), pending.pop(place)
                place += 1

    def stems(self) -> list[str]:
        """A name for the file of each shot, without suffix and spaces, at which COLMAP ends a name."""
        identifiers = shot_identifiers(self.shots)
        names = class_folders(identifiers)  # have no tilde
        return [names[identifier].replace(" ", "~") for identifier in identifiers]


def write_imagefolder(rig: Rig, place: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Write ``train/<class>/<shot>.png`` and ``test/<class>/…``, as torchvision's ImageFolder reads them."""
    return _write_tree(ImageSet(rig), place, progress)[0]


def write_huggingface(rig: Rig, place: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Write the same files and, in each part, metadata.jsonl: ``load_dataset("imagefolder", data_dir=…)`` reads it.

    Lines of JSON, unlike a CSV, leave an object that is called 007 its name.
    """
    images = ImageSet(rig)
    summary, files = _write_tree(images, place, progress)
    for part, of_part in files.items():
        facts = ({"file_name": name, **images.facts(row)} for row, name in of_part.items())
        lines = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in facts)
        (place / part / "metadata.jsonl").write_text(lines, encoding="utf-8")
    return summary


def write_webdataset(rig: Rig, place: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Write ``train-000000.tar``, …, ``test-000000.tar``, …: of each image ``000000.png`` and ``000000.json``.

    The JSON has label, its number ``class`` in the order of classes.json, object, shot and view. Equal rigs give equal
    bytes.
    """
    images, converted = ImageSet(rig), 0
    parts, said = images.parts()
    classes, identifiers = images.shots.objects.classes, shot_identifiers(images.shots)
    for part, rows in parts.items():
        for first in range(0, len(rows), SHARD_IMAGES):
            own = rows[first : first + SHARD_IMAGES]
            with tarfile.open(place / f"{part}-{first // SHARD_IMAGES:06d}.tar", "w") as shard:
                for number, (row, picture) in enumerate(images.pictures(own, progress), first):
                    facts = images.facts(row)
                    facts |= {"class": classes.index(facts["label"]), "shot": identifiers[row]}
                    _add(shard, f"{number:06d}{picture.header.suffix}", picture.content)
                    _add(shard, f"{number:06d}.json", json.dumps(facts, ensure_ascii=False).encode())
                    converted += picture.is_converted
    (place / "classes.json").write_text(json.dumps(classes, ensure_ascii=False) + "\n", encoding="utf-8")
    return _summary(images, said, converted)


def _add(shard: tarfile.TarFile, name: str, content: bytes) -> None:
    """Add a file without owner and time, so that equal content gives equal bytes."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    shard.addfile(member, io.BytesIO(content))


def _write_tree(images: ImageSet, place: Path, progress: Progress) -> tuple[dict[str, Any], dict[str, dict[int, str]]]:
    """Write images to folders of their classes; returns the summary, and the files of each part by their rows."""
    (parts, said), stems, converted = images.parts(), images.stems(), 0
    folders, labels, files = (
        class_folders(images.shots.objects.labels),
        images.shots.labels,
        dict[str, dict[int, str]](),
    )
    for part, rows in parts.items():
        for label in images.shots.objects.classes:  # readers number the classes of each part by its folders
            folder(place / part / folders[label])
        for row, picture in images.pictures(rows, progress):
            name = f"{folders[labels[row]]}/{stems[row]}{picture.header.suffix}"
            (place / part / name).write_bytes(picture.content)
            files.setdefault(part, {})[row] = name
            converted += picture.is_converted
    return _summary(images, said, converted), files


def _summary(images: ImageSet, said: str, converted: int) -> dict[str, Any]:
    became = f"{count_noun(converted, 'image')} became PNG, as acqplan sees them; the others are copies"
    return {"objects": list(images.shots.objects.names), "sentences": [said, became] if converted else [said]}


def _found(source: Source, shots: Shots, progress: Progress) -> Iterator[tuple[int, Picture]]:
    if isinstance(source, FolderSource):
        files = [source.images[source.rows[key]] for key in shots.pairs()]
        pool = in_threads(_of_file, files, workers=source.workers, name="writing images", progress=progress)
        yield from enumerate(pool)
        return
    for row, pixels in source.capture(shots, progress=progress):
        yield row, _of_png(png_of(pixels))


def _of_file(file: ImageFile) -> Picture:
    content = file.content()
    header = read_header(io.BytesIO(content), file.error)
    if not header.conversions:
        return Picture(content=content, header=header)
    return replace(_of_png(as_png(content, file.error)), is_converted=True)


def _of_png(content: bytes) -> Picture:
    def refuse(complaint: str, advice: str) -> ImageError:
        return ImageError(f"an image {complaint}", advice)

    return Picture(content=content, header=read_header(io.BytesIO(content), refuse))
