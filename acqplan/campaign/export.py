"""A campaign as files that need no acqplan: plan.csv, images by class, a manifest, and all its events."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from acqplan import __version__
from acqplan.campaign.campaign import Campaign, images_folder, images_root
from acqplan.campaign.events import (
    CAPTURED,
    LEASED,
    PROPOSED,
    REJECTED,
    WITHDRAWN,
    CampaignState,
    Event,
    Memory,
    ShotRecord,
)
from acqplan.campaign.fold import CHANGES, Fold
from acqplan.campaign.images import ImageFolder
from acqplan.campaign.settings import CampaignAxis, CampaignSettings
from acqplan.campaign.store import Store
from acqplan.campaign.store_database import is_url
from acqplan.errors import ImageError, StoreError, UsageError
from acqplan.files import digest_bytes, digest_content, whole_folder
from acqplan.numbers import ViewValue, short

if TYPE_CHECKING:
    from acqplan.campaign.campaign import Campaign

FORMAT = 1
"""Of terms.json and events.jsonl."""

FULL_TURN = 360.0

Row = Sequence[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A campaign as of one moment.

    Attributes:
        terms: What it was created with.
        standing: The campaign as a whole.
        records: All shots, captured ones first.
        events: What happened.
    """

    settings: CampaignSettings
    standing: CampaignState
    records: list[ShotRecord]
    events: list[Event]

    @property
    def captured(self) -> list[ShotRecord]:
        """Shots whose image is in the data set, in the order of time."""
        return [record for record in self.records if record.state == CAPTURED]


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write rows as CSV in UTF-8."""
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def plan_rows(snapshot: Snapshot) -> Iterator[Row]:
    """plan.csv as of `acqplan.plan.plan.Plan`, and at its end the state of each shot."""
    yield ["shot", "order", "object", "label", *snapshot.settings.names, "round", "gain", "reason", "state"]
    for order, one in enumerate(snapshot.records):
        view = map(_written, one.view)
        yield [one.shot, order, one.object, one.label, *view, one.round, short(one.gain), one.reason, one.state]


def manifest_rows(snapshot: Snapshot, images: dict[str, str]) -> tuple[list[Row], list[Row]]:
    """The manifest, and later images of an object from a pose that it has an image of.

    Args:
        snapshot: The campaign.
        images: File of each captured shot.
    """
    header = ["image", "label", "object", *snapshot.settings.names]
    rows: list[Row] = [header]
    repeats: list[Row] = [header]
    seen: set[tuple[object, ...]] = set()
    for one in snapshot.captured:
        reached = [_written(axis.read(value)) for axis, value in zip(snapshot.settings.axes, one.reached, strict=True)]
        row = [images[one.shot], one.label, one.object, *reached]
        (repeats if (one.object, *reached) in seen else rows).append(row)
        seen.add((one.object, *reached))
    return rows, repeats


def rig_text(snapshot: Snapshot) -> str:
    """rig.toml beside the manifest: the campaign's axes and times.

    Levels are listed where all images were taken at them; a rig that reaches its views roughly has those that occur.
    """
    settings = snapshot.settings
    parts = ['source = "folder"', 'path = "manifest.csv"']
    for place, axis in enumerate(settings.axes):
        parts += ["", *_axis_lines(axis, {record.reached[place] for record in snapshot.captured})]
    parts += ["", "[shot]", f"seconds = {settings.seconds_per_shot!r}"]
    parts += ["", "[objects]", f"seconds_per_change = {settings.seconds_per_object!r}", ""]
    return "\n".join(parts)


def terms_text(settings: CampaignSettings) -> str:
    """terms.json."""
    return json.dumps({"format": FORMAT, "acqplan": __version__, "terms": asdict(settings)}, indent=1) + "\n"


def _axis_lines(axis: CampaignAxis, reached: set[ViewValue]) -> Iterator[str]:
    # rig.toml knows circles of 360 degrees only; others become intervals, which keeps their numbers
    circle = axis.kind == "circle" and axis.period == FULL_TURN
    kind = axis.kind if axis.kind == "category" or circle else "interval"
    yield "[[axis]]"
    yield f"name = {_quoted(axis.name)}"
    yield f"kind = {_quoted(kind)}"
    if kind == "interval":
        yield f"unit = {_quoted(axis.unit)}"
    if {axis.read(value) for value in axis.values} >= reached:
        yield f"values = {json.dumps(list(axis.values), ensure_ascii=False)}"
    yield f"{'seconds_per_change' if kind == 'category' else 'seconds_per_unit'} = {axis.seconds!r}"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _written(value: ViewValue) -> object:
    return value if isinstance(value, str) else short(value)


UNSAFE = re.compile(r"[^\w.+ -]")
LONGEST_FOLDER = 60
DIGITS = 6
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
"""Names that Windows keeps for itself."""


def copy_images(snapshot: Snapshot, images: ImageFolder, place: Path) -> dict[str, str]:
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


def _content(images: ImageFolder, record: ShotRecord) -> bytes:
    content = images.read(record.image)
    if digest_content(content) != record.digest:
        raise ImageError(
            f"{images.root / record.image}: not the image that was told for '{record.shot}'",
            "find out what is damaged: acqplan campaign check",
        )
    return content


def _copy_aside(snapshot: Snapshot, images: ImageFolder, place: Path) -> None:
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


IMAGE_NAME = re.compile(r"[0-9a-f]{2}/[A-Za-z0-9_+-][A-Za-z0-9._+-]*")
"""What an image may be called in a campaign's folder: nothing that leads out of it."""


def import_campaign(
    folder: Path | str, path: Path | str, images: Path | None = None, *, caller: str | None = None
) -> Campaign:
    """Make a campaign of an export of another; leases, failures and all else are as they were.

    Args:
        folder: What `export_campaign` wrote.
        path: A file that does not exist, or the URL of a PostgreSQL database.
        images: Folder of the images; by default beside the file. It must not exist, or be empty.
        caller: Who asks; by default this process.

    Raises:
        StoreError: If the export cannot be used, or is of a newer acqplan.
        ImageError: If an image of the data set is missing or another than was told.
        OutputError: If the images cannot be written. Other errors as of `Store.create`.
    """
    source, place = Path(folder), images_folder(path, images)
    fold, events = _read(source, str(place))
    root = images_root(path, place)
    if not is_url(path) and Path(path).exists():
        raise UsageError(f"{path}: is there already", "choose another place")
    with whole_folder(root) as beside:
        _copy_images(source, fold, events, beside)
    try:
        Store.restore(path, events, fold).close()
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise
    return Campaign.open(path, caller=caller)


def _read(source: Path, place: str) -> tuple[Fold, list[Event]]:
    """The events, told where the images will lie, and what they are folded into."""
    settings, events = _terms(source / "terms.json"), []
    fold = Fold(settings, CampaignState(), Memory())
    for line, event in enumerate(_events(source / "events.jsonl"), 1):
        if event.kind == "created":
            event = replace(event, body={**event.body, "images": place})
        try:
            assert event.number == line
            fold.apply(event)
        except (AssertionError, LookupError, TypeError, ValueError, AttributeError, UsageError) as error:
            raise StoreError(
                f"{source / 'events.jsonl'}: line {line}: an event that cannot be ({error!r})", "export it again"
            ) from error
        events.append(event)
    if not events or events[0].kind != "created":
        raise StoreError(f"{source / 'events.jsonl'}: the beginning is missing", "export it again")
    return fold, events


def _terms(path: Path) -> CampaignSettings:
    try:
        found = json.loads(_text(path))
        version = found["format"]
        settings = found["terms"] if version == FORMAT else None
        return CampaignSettings.from_json(json.dumps(settings)) if settings is not None else _refuse(path, version)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: not the terms of a campaign ({error!r})", "export it again") from error


def _refuse(path: Path, version: object) -> CampaignSettings:
    raise StoreError(f"{path}: an export of format {version}; this acqplan knows {FORMAT}", "update acqplan")


def _events(path: Path) -> Iterator[Event]:
    lines = _text(path).removesuffix("\n").split("\n")  # splitlines() would also split at U+2028 within a text
    for line, text in enumerate(lines, 1):
        try:
            event = Event(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise StoreError(f"{path}: line {line}: no event ({error})", "export it again") from error
        if not (isinstance(event.at, int | float) and isinstance(event.kind, str) and isinstance(event.body, dict)):
            raise StoreError(f"{path}: line {line}: no event", "export it again")
        if event.kind in ("told", "surplus"):
            _check_image(event)
        if event.kind not in CHANGES:
            raise StoreError(f"{path}: line {line}: an event of kind '{event.kind}'", "update acqplan")
        yield event


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})", "give the folder of an export") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: the text is not UTF-8", "export it again") from error


def _copy_images(source: Path, fold: Fold, events: list[Event], beside: Path) -> None:
    """Every image that is there under the name that it had; those of the data set must be."""
    there = {}
    for path in sorted(source.glob("images/*/*")) + sorted(source.glob("aside/*")):
        there[digest_content(path.read_bytes())] = path
    for record in fold.records.every(CAPTURED):
        if record.digest not in there:
            raise ImageError(
                f"{source}: the image of '{record.shot}' is missing, or not the one that was told", "export it again"
            )
    for event in events:
        if event.kind in ("told", "surplus") and event.body["digest"] in there:
            _copy(there[event.body["digest"]], beside, event)
    if hasattr(os, "sync"):
        os.sync()


def _check_image(event: Event) -> None:
    name, digest = (event.body.get(key) for key in ("image", "digest"))
    if not isinstance(digest, str) or not isinstance(name, str) or not IMAGE_NAME.fullmatch(name):
        raise StoreError(f"event {event.number}: an image cannot be called '{name}'", "export it again")


def _copy(path: Path, beside: Path, event: Event) -> None:
    target = beside / event.body["image"]
    target.parent.mkdir(exist_ok=True)
    shutil.copyfile(path, target)


__all__ = ["export_campaign", "import_campaign", "snapshot_of"]

ORDER = (CAPTURED, LEASED, PROPOSED, REJECTED, WITHDRAWN)


def export_campaign(campaign: Campaign, folder: Path | str) -> tuple[Path, ...]:
    """Write a campaign as files, all of them or none; it may go on meanwhile.

    * ``plan.csv``: every shot, captured ones first, then those leased, to come, rejected and withdrawn.
    * ``images/<class>/<file>``: copies of the data set; torchvision's ImageFolder reads them.
    * ``manifest.csv`` and ``rig.toml``: ``image,label,object,<axes as reached>``; `acqplan.open_rig` reads them. Where
      an object was captured twice at one pose, the later image stands in ``repeats.csv`` instead.
    * ``aside/<file>``: images that are kept, but are not part of the data set.
    * ``terms.json`` and ``events.jsonl``: everything that happened; `import_campaign` reads them.

    Before anything is captured there are no images, manifest and rig.

    Args:
        campaign: The campaign.
        folder: A folder that does not exist, or is empty.

    Returns:
        The files, images not included.

    Raises:
        OutputError: If the folder holds something, or cannot be written.
        ImageError: If an image of the data set is not there as it was told.
    """
    target = Path(folder)
    snapshot = snapshot_of(campaign)
    with whole_folder(target) as place:
        write_table(place / "plan.csv", plan_rows(snapshot))
        names = ["plan.csv"]
        images = copy_images(snapshot, campaign.images, place)
        if images:
            names += _write_data_set(snapshot, images, place)
        (place / "terms.json").write_text(terms_text(snapshot.settings), encoding="utf-8")
        with (place / "events.jsonl").open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(json.dumps(asdict(event), ensure_ascii=False) + "\n" for event in snapshot.events)
    return tuple(target / name for name in (*names, "terms.json", "events.jsonl"))


def snapshot_of(campaign: Campaign) -> Snapshot:
    """Read everything of a campaign in one transaction."""
    with campaign.store.reading() as ledger:
        records = sorted(ledger.every(), key=_turn)
        return Snapshot(settings=campaign.settings, standing=ledger.standing, records=records, events=ledger.events())


def _write_data_set(snapshot: Snapshot, images: dict[str, str], place: Path) -> list[str]:
    rows, repeats = manifest_rows(snapshot, images)
    write_table(place / "manifest.csv", rows)
    (place / "rig.toml").write_text(rig_text(snapshot), encoding="utf-8")
    if len(repeats) > 1:
        write_table(place / "repeats.csv", repeats)
        return ["manifest.csv", "repeats.csv", "rig.toml"]
    return ["manifest.csv", "rig.toml"]


def _turn(record: ShotRecord) -> tuple[int, float, int, str]:
    """Captured shots in the order of time, all others in that of the queue."""
    return ORDER.index(record.state), record.captured_at, record.position, record.shot
