"""The images of a rig as files in folders, for torchvision and for Hugging Face, and as shards of WebDataset.

Objects are split as `acqplan.recommend` splits them: nothing of a test object is trained on. Files that every program
reads as acqplan does are copied byte for byte; others become PNG files of what it sees.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from acqplan.campaign.export import class_folders
from acqplan.errors import ImageError
from acqplan.evaluate.task import draw_split
from acqplan.files import folder
from acqplan.images import Crop, ImageHeader, decode_pixels, png_of, read_header
from acqplan.numbers import count_noun
from acqplan.plan.plan import shot_identifiers, written_views
from acqplan.pool import in_threads
from acqplan.progress import SILENT, Progress
from acqplan.rig.folder import FolderSource, ImageFile
from acqplan.rig.spec import Rig

# Images of a shard, and formats that every program reads.
SHARD_IMAGES, COPIED = 2_000, {"PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM"}
# A file that is written: its bytes, what they say of the image, and whether they are others than the rig's.
Picture = tuple[bytes, ImageHeader, bool]


class RigImages:
    """The images of a rig, in the order of its source, and what is said of them.

    Args:
        rig: The rig.

    Attributes:
        shots: All its shots.
        n_converted: How many of the images that were asked for became other files.
    """

    def __init__(self, rig: Rig) -> None:
        self.rig, self.shots, self.n_converted = rig, rig.source.shots(), 0

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
        own, (view,) = self.shots.object_rows[row], written_views(self.shots.take([row]))
        return {"label": self.shots.objects.labels[own], "object": self.shots.objects.names[own], **view}

    def stems(self) -> list[str]:
        """A name for the file of each shot, without suffix and spaces, at which COLMAP ends a name."""
        identifiers = shot_identifiers(self.shots)
        names = class_folders(identifiers)  # have no tilde
        return [names[identifier].replace(" ", "~") for identifier in identifiers]

    def pictures(self, rows: Int[np.ndarray, " rows"], progress: Progress) -> Iterator[tuple[int, bytes, ImageHeader]]:
        """Row, file and header of some images, in their order."""
        source, shots, pending = self.rig.source, self.shots.take(rows), dict[int, Picture]()
        found: Iterable[tuple[int, Picture]]
        if isinstance(source, FolderSource):
            files = [source.images[source.rows[key]] for key in shots.pairs()]
            threads = source.workers
            read = partial(_file, crop=source.crop)
            found = enumerate(in_threads(read, files, workers=threads, name="writing images", progress=progress))
        else:
            captured = source.capture(shots, progress=progress)
            found = ((row, _png(png_of(pixels), is_converted=False)) for row, pixels in captured)
        place = 0
        for number, picture in found:
            pending[number] = picture  # a source may give images in any order
            while place in pending:
                content, header, is_converted = pending.pop(place)
                self.n_converted += is_converted
                yield int(rows[place]), content, header
                place += 1

    def summary(self, said: str) -> dict[str, Any]:
        """What `acqplan.exchange.convert` says of its files."""
        became = f"{count_noun(self.n_converted, 'image')} became PNG, as acqplan sees them; the others are copies"
        sentences = [said, became] if self.n_converted else [said]
        return {"objects": list(self.shots.objects.names), "sentences": sentences}


def write_imagefolder(rig: Rig, place: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Write ``train/<class>/<shot>.png`` and ``test/<class>/…``, and in each part metadata.jsonl.

    torchvision's ImageFolder reads a part, ``datasets.load_dataset("imagefolder", data_dir=…)`` all of it. Lines of
    JSON, unlike a CSV, leave an object that is called 007 its name.
    """
    images = RigImages(rig)
    (parts, said), stems, labels = images.parts(), images.stems(), images.shots.labels
    folders = class_folders(labels)
    for part, rows in parts.items():
        for name in folders.values():  # readers number the classes of each part by its folders
            folder(place / part / name)
        with (place / part / "metadata.jsonl").open("w", encoding="utf-8", newline="\n") as lines:
            for row, content, header in images.pictures(rows, progress):
                name = f"{folders[labels[row]]}/{stems[row]}{header.suffix}"
                (place / part / name).write_bytes(content)
                lines.write(json.dumps({"file_name": name, **images.facts(row)}, ensure_ascii=False) + "\n")
    return images.summary(said)


def write_webdataset(rig: Rig, place: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Write ``train-000000.tar``, …, ``test-000000.tar``, …: of each image ``000000.png`` and ``000000.json``.

    The JSON has label, its number ``class`` in classes.json, object, shot and view. Equal rigs give equal bytes.
    """
    images = RigImages(rig)
    (parts, said), classes = images.parts(), images.shots.objects.classes
    identifiers = shot_identifiers(images.shots)
    for part, rows in parts.items():
        for first in range(0, len(rows), SHARD_IMAGES):
            own = rows[first : first + SHARD_IMAGES]
            with tarfile.open(place / f"{part}-{first // SHARD_IMAGES:06d}.tar", "w") as shard:
                for number, (row, content, header) in enumerate(images.pictures(own, progress), first):
                    facts = images.facts(row)
                    facts |= {"class": classes.index(facts["label"]), "shot": identifiers[row]}
                    text = json.dumps(facts, ensure_ascii=False).encode()
                    for suffix, part_of_sample in ((header.suffix, content), (".json", text)):
                        member = tarfile.TarInfo(f"{number:06d}{suffix}")  # without owner and time
                        member.size = len(part_of_sample)
                        shard.addfile(member, io.BytesIO(part_of_sample))
    (place / "classes.json").write_text(json.dumps(classes, ensure_ascii=False) + "\n", encoding="utf-8")
    return images.summary(said)


def _file(file: ImageFile, *, crop: Crop | None) -> Picture:
    content = file.content()
    header = read_header(io.BytesIO(content), file.error)
    if crop is None and not header.conversions and header.kind in COPIED:
        return content, header, False
    return _png(png_of(decode_pixels(content, file.error, crop=crop)), is_converted=True)


def _png(content: bytes, *, is_converted: bool) -> Picture:
    return content, read_header(io.BytesIO(content), ImageError), is_converted
