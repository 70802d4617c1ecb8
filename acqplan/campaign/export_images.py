"""Images of an export: copies in a folder for each class, under names that every file system takes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from acqplan.campaign.export_tables import Snapshot
from acqplan.campaign.images import Images
from acqplan.campaign.record import Record
from acqplan.errors import ImageError
from acqplan.files import digest_bytes, digest_content

UNSAFE = re.compile(r"[^\w.+ -]")
LONGEST_FOLDER = 60
DIGITS = 6
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
"""Names that Windows keeps for itself."""


def copy_images(snapshot: Snapshot, images: Images, place: Path) -> dict[str, str]:
    """Copy the data set to ``images/<class>/``, and all that is kept beside it to ``aside/``.

    Returns:
        Path of each captured shot's image below ``place``.

    Raises:
        ImageError: If an image of the data set is not there as it was told.
    """
    folders = class_folders(record.label for record in snapshot.captured)
    found: dict[str, str] = {}
    taken: set[str] = set()
    for record in snapshot.captured:
        name = _free_name(f"images/{folders[record.label]}/{Path(record.image).name}", taken)
        _write(place / name, _content(images, record))
        found[record.shot] = name
    _copy_aside(snapshot, images, place)
    return found


def class_folders(labels: Iterable[str]) -> dict[str, str]:
    """A folder for each class, named like it where every file system can keep it apart from the others.

    Otherwise, as for ``a/b``, or for ``Car`` beside ``car``, unsafe letters become hyphens, and digits of the label's
    digest are added.
    """
    known = sorted(set(labels))
    plain = {label: UNSAFE.sub("-", unicodedata.normalize("NFC", label))[:LONGEST_FOLDER] for label in known}
    alike = [folder.casefold() for folder in plain.values()]
    return {
        label: folder
        if folder == label and alike.count(folder.casefold()) == 1 and _is_ordinary(folder)
        else f"{folder.strip('. ') or 'class'}-{digest_bytes(label.encode())[:DIGITS]}"
        for label, folder in plain.items()
    }


def _is_ordinary(folder: str) -> bool:
    return folder.strip(". ") == folder and not RESERVED.fullmatch(folder)


def _free_name(name: str, taken: set[str]) -> str:
    path, number = Path(name), 2
    while name in taken:
        name = path.with_name(f"{path.stem}-{number}{path.suffix}").as_posix()
        number += 1
    taken.add(name)
    return name


def _content(images: Images, record: Record) -> bytes:
    content = images.read(record.image)
    if digest_content(content) != record.digest:
        raise ImageError(
            f"{images.root / record.image}: not the image that was told for '{record.shot}'",
            "find out what is damaged: acqplan campaign check",
        )
    return content


def _copy_aside(snapshot: Snapshot, images: Images, place: Path) -> None:
    """Surplus and replaced images, where they still are."""
    kept = {record.digest for record in snapshot.captured}
    for event in snapshot.events:
        if event.kind in ("told", "surplus") and event.body["digest"] not in kept:
            name, digest = event.body["image"], event.body["digest"]
            if images.is_whole(name, digest):
                _write(place / "aside" / Path(name).name, images.read(name))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
