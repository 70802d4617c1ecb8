"""Pictures with classes, decoded once into one small tensor: trees of image files as they come, or any rig."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor

from acqplan.errors import ImageError, InputError
from acqplan.evaluate.task import draw_split
from acqplan.features.pixels import Preprocessing, resized, stack
from acqplan.files import digest_bytes, open_file
from acqplan.images import NAME_SUFFIXES, decode_pixels
from acqplan.pool import in_threads
from acqplan.progress import SILENT, Progress
from acqplan.rig.spec import Rig
from acqplan.rng import generator
from acqplan.runtime import available_cores

# Share of each class that is tested on where a tree does not say which.
TEST_SHARE = 0.25
# Where the lists of MiniPlaces may lie: beside its images, or in its development kit.
LISTS = (".", "data", "development_kit/data")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictures:
    """Pictures of classes, all of one size.

    Attributes:
        kind: Where they come from, in words.
        pixels: Colours, shape ``[pictures, size, size, 3]``; grey ones have three equal channels.
        labels: Class of each, shape ``[pictures]``.
        tests: Which of them are tested on and never trained on, shape ``[pictures]``.
        classes: Names of the classes.
    """

    kind: str
    pixels: UInt8[Tensor, "pictures size size 3"]
    labels: Int[np.ndarray, " pictures"]
    tests: Bool[np.ndarray, " pictures"]
    classes: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of all of it."""
        parts = (self.pixels.numpy().tobytes(), self.labels.tobytes(), self.tests.tobytes())
        return digest_bytes("\x1f".join(self.classes).encode(), *parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFile:
    """An image file, its class, and whether it is tested on."""

    path: Path
    label: str
    is_test: bool

    @property
    def n_bytes(self) -> int:
        """Bytes in memory; unknown before it is read."""
        return 0


def read_tree(root: Path, *, size: int, seed: int = 0, progress: Progress = SILENT) -> Pictures:
    """Read a tree of image files in the layout that it has.

    * Tiny-ImageNet: ``train/CLASS/images/*`` and ``val/images/*`` with ``val/val_annotations.txt``.
    * MiniPlaces: ``images/train/a/abbey/*``, and ``train.txt`` and ``val.txt`` with a path and a number a line.
    * ``train/CLASS/*`` beside ``val/CLASS/*`` or ``test/CLASS/*``.
    * ``CLASS/*``: of each class a quarter, drawn by ``seed``, is tested on.

    Args:
        root: The folder.
        size: Height and width that pictures get, pixels.
        seed: Of the draw.
        progress: Hears of each image.

    Raises:
        InputError: If there is no such folder, or it holds no classes of images.
        ImageError: If an image cannot be used; names it.
    """
    if not root.is_dir():
        raise InputError(f"{root}: there is no such folder", "name the folder of the classes", path=root)
    kind, files = _files(root, seed)
    if len({file.label for file in files}) < 2:
        raise InputError(f"{root}: no folders of images of at least two classes", "give class/image.png", path=root)

    def read(file: ClassFile) -> np.ndarray:
        def refuse(complaint: str, advice: str) -> ImageError:
            return ImageError(f"{file.path} {complaint}", advice, path=file.path)

        try:
            with open_file(file.path) as handle:
                content = handle.read()
        except OSError as error:
            raise refuse(f"cannot be read ({error.strerror})", "bring it, or take it out of the list") from error
        return _small(decode_pixels(content, refuse, side=size), size)

    found = list(in_threads(read, files, workers=available_cores(), name="reading images", progress=progress))
    classes = tuple(sorted({file.label for file in files}))
    number = {label: row for row, label in enumerate(classes)}
    return Pictures(
        kind=kind,
        pixels=torch.from_numpy(np.stack(found)),
        labels=np.array([number[file.label] for file in files]),
        tests=np.array([file.is_test for file in files]),
        classes=classes,
    )


def read_rig(rig: Rig, *, size: int, seed: int = 0, progress: Progress = SILENT) -> Pictures:
    """Every shot of a rig; its labels are the classes, and what it keeps for the test is tested on.

    Raises:
        SplitError: If objects cannot be split.
        ImageError: If an image cannot be used.
    """
    source, shots = rig.source, rig.source.shots()
    train, tests = draw_split(rig, seed).sides(shots)
    shots = shots.take(np.concatenate([train, tests]))
    pixels = np.empty((len(shots), size, size, 3), dtype=np.uint8)
    with progress.task("taking images", len(shots)) as advance:
        for row, image in source.capture(shots):
            pixels[row] = _small(image, size)
            advance(1)
    return Pictures(
        kind=f"rig {source.name}",
        pixels=torch.from_numpy(pixels),
        labels=shots.class_rows,
        tests=np.arange(len(shots)) >= len(train),
        classes=source.objects.classes,
    )


def _small(image: UInt8[np.ndarray, "height width *channels"], size: int) -> UInt8[np.ndarray, "size size 3"]:
    square = Preprocessing(channels=3, size=size, mean=(0.0,), std=(1.0,))
    pixels = resized(stack([image]), square)[0].round().to(torch.uint8)
    return pixels.expand(3, -1, -1).permute(1, 2, 0).numpy()


def _files(root: Path, seed: int) -> tuple[str, list[ClassFile]]:
    """The layout of a tree in words, and its files."""
    if (notes := root / "val" / "val_annotations.txt").exists():
        rows = csv.reader(notes.read_text(encoding="utf-8").splitlines(), delimiter="\t")
        tested = [ClassFile(path=root / "val/images" / row[0], label=row[1], is_test=True) for row in rows if row]
        return "Tiny-ImageNet's layout", [*_folders(root / "train", "images", is_test=False), *tested]
    for place in (root / name for name in LISTS):
        if (place / "train.txt").exists() and (place / "val.txt").exists():
            return "MiniPlaces' layout", list(_listed(root, place))
    for name in ("val", "test"):
        if (root / "train").is_dir() and (root / name).is_dir():
            both = [(root / "train", False), (root / name, True)]
            return f"train and {name} folders", [file for at, test in both for file in _folders(at, "", is_test=test)]
    files = list[ClassFile]()
    for at in _subfolders(root):
        images = list(_images(at))
        drawn = generator(seed, "test images", at.name).permutation(len(images))[: round(TEST_SHARE * len(images))]
        files += [ClassFile(path=path, label=at.name, is_test=row in drawn) for row, path in enumerate(images)]
    return "folders of classes", files


def _listed(root: Path, place: Path) -> Iterator[ClassFile]:
    """What two lists name: a path below the folder of images and the number of a class; classes keep their numbers."""
    for name, is_test in (("train.txt", False), ("val.txt", True)):
        for line, text in enumerate((place / name).read_text(encoding="utf-8").splitlines(), start=1):
            path, _, label = text.strip().rpartition(" ")
            if not path or not label.isdecimal():
                said = f"{place / name}: line {line}: '{text}' is no path and number"
                raise InputError(said, "write e.g. train/a/abbey/00000001.jpg 0", path=place / name, line=line)
            yield ClassFile(path=root / "images" / path, label=f"{int(label):05d}", is_test=is_test)


def _folders(root: Path, inner: str, *, is_test: bool) -> Iterator[ClassFile]:
    for at in _subfolders(root):
        for path in _images(at / inner):
            yield ClassFile(path=path, label=at.name, is_test=is_test)


def _subfolders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(at: Path) -> list[Path]:
    """Files of images of a folder, in the order of their names."""
    if not at.is_dir():
        return []
    return sorted(
        path for path in at.iterdir() if path.suffix.lower() in NAME_SUFFIXES and not path.name.startswith(".")
    )
