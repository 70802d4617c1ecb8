"""A campaign as files that need no acqplan: plan.csv, images by class, a manifest, and all its events; and back."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from acqplan import __version__
from acqplan.campaign.campaign import Campaign, images_folder, images_root
from acqplan.campaign.events import (
    CAPTURED,
    KINDS,
    LEASED,
    PROPOSED,
    REJECTED,
    WITHDRAWN,
    CampaignState,
    Event,
    Fold,
    Records,
    ShotRecord,
)
from acqplan.campaign.images import WITH_IMAGE, ImageFolder
from acqplan.campaign.settings import CampaignSettings
from acqplan.campaign.store import Store
from acqplan.campaign.store_database import is_url, wherever
from acqplan.errors import ImageError, OutputError, SpaceError, StoreError, UsageError
from acqplan.files import digest_bytes, digest_content, open_file, sync_folder, whole_folder, work_folder
from acqplan.files import folder as make_folder
from acqplan.images import as_png, read_header
from acqplan.numbers import FULL_TURN, ViewValue, short
from acqplan.space.axes import Circle

FORMAT = 1  # of terms.json and events.jsonl
ORDER = (CAPTURED, LEASED, PROPOSED, REJECTED, WITHDRAWN)  # states of shots in the order of plan.csv
UNSAFE = re.compile(r"[^\w.+ -]")
LONGEST_FOLDER = 60
DIGITS = 6
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # names that Windows keeps for itself

MARK = ".import"  # in a folder of images until the campaign is there, names its store
# what an image may be called in a campaign's folder: nothing that leads out of it
IMAGE_NAME = re.compile(r"[0-9a-f]{2}/[A-Za-z0-9_+-][A-Za-z0-9._+-]*")

Row = Sequence[object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A campaign at one moment, captured shots first."""

    settings: CampaignSettings
    state: CampaignState
    records: list[ShotRecord]
    events: list[Event]

    @property
    def captured(self) -> list[ShotRecord]:
        """Shots whose image is in the data set, in the order of time."""
        return [record for record in self.records if record.state == CAPTURED]


def export_campaign(campaign: Campaign, folder: Path | str) -> tuple[Path, ...]:
    """Write a campaign as files, all of them or none, while others may use it.

    * ``plan.csv``: every shot, captured ones first, then those leased, to come, rejected and withdrawn.
    * ``images/<class>/<file>``: copies of the data set; torchvision's ImageFolder reads them. Images that acqplan has
      to convert (see `acqplan.images`) are PNG files of what it sees, upright, and their originals lie aside.
    * ``manifest.csv`` and ``rig.toml``: ``image,label,object,<axes as reached>``; `acqplan.open_rig` reads them. Where
      an object was captured twice at one pose, ``repeats.csv`` names the later image instead, as it does those at
      settings that no manifest can hold.
    * ``aside/<file>``: originals, and images that are kept, but are not part of the data set.
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
    snapshot, names = snapshot_of(campaign), ["plan.csv"]
    with whole_folder(Path(folder)) as place:
        # as in `acqplan.plan.plan.Plan`, and at the end the state of each shot
        head = ["shot", "order", "object", "label", *snapshot.settings.names, "round", "gain", "reason", "state"]
        rows: list[Row] = [head]
        for order, one in enumerate(snapshot.records):
            chosen = one.round, short(one.gain), one.reason, one.state
            rows.append([one.shot, order, one.object, one.label, *map(_written, one.view), *chosen])
        _write_table(place / "plan.csv", rows)
        images = _copy_images(snapshot, campaign.images, place)
        if images:
            # of the images of an object from one pose, the first; later ones apart
            axes, repeats = snapshot.settings.axes, list[Row]()
            first: dict[tuple[object, ...], Row] = {}
            for one in snapshot.captured:
                try:
                    reached = [_written(axis.reached(value)) for axis, value in zip(axes, one.reached, strict=True)]
                except SpaceError:  # told to an earlier version, which had no bounds; a manifest must be readable
                    repeats.append([images[one.shot], one.label, one.object, *one.reached])
                    continue
                row = [images[one.shot], one.label, one.object, *reached]
                if first.setdefault((one.object, *reached), row) is not row:
                    repeats.append(row)
            head = ["image", "label", "object", *snapshot.settings.names]
            _write_table(place / "manifest.csv", [head, *first.values()])
            (place / "rig.toml").write_text(_rig_text(snapshot), encoding="utf-8")
            names += ["manifest.csv", "rig.toml"]
            if repeats:
                _write_table(place / "repeats.csv", [head, *repeats])
                names.append("repeats.csv")
        terms = {"format": FORMAT, "acqplan": __version__, "terms": snapshot.settings.to_dict()}
        (place / "terms.json").write_text(json.dumps(terms, indent=1) + "\n", encoding="utf-8")
        with (place / "events.jsonl").open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(json.dumps(asdict(event), ensure_ascii=False) + "\n" for event in snapshot.events)
    return tuple(Path(folder) / name for name in (*names, "terms.json", "events.jsonl"))


def import_campaign(
    folder: Path | str, path: Path | str, images: Path | None = None, *, caller: str | None = None
) -> Campaign:
    """Make a campaign of an export of another; leases, failures and all else are as they were.

    Args:
        folder: What `export_campaign` wrote.
        path: A file that does not exist, or the URL of a PostgreSQL database.
        images: Folder of the images; by default beside the file. It must not exist, be empty, or be what this
            import left when it was killed.
        caller: Who asks; by default this process.

    Raises:
        StoreError: If the export cannot be used, or is of a newer acqplan.
        ImageError: If an image of the data set is missing, or is not the one that was told.
        OutputError: If the images cannot be written. Other errors as in `Store.create`.
    """
    source, place = Path(folder), images_folder(path, images)
    fold, events = _read(source, str(place))
    root = images_root(path, place)
    Store.check_free(path)
    found = sorted(source.glob("images/*/*")) + sorted(source.glob("aside/*"))
    there = {digest_content(file.read_bytes()): file for file in found}
    for record in fold.records.every(CAPTURED):
        if record.digest not in there:
            said = f"{source}: the image of '{record.shot}' is missing, or not the one that was told"
            raise ImageError(said, "export it again")
    with_image = [event.body for event in events if event.kind in WITH_IMAGE]
    wanted = {body["image"]: there[body["digest"]] for body in with_image if body["digest"] in there}
    # a killed import has left images and its mark, and is made again; the campaign comes last, in one piece
    mark, owner = root / MARK, digest_content(wherever(path).encode())
    held = {file.relative_to(root).as_posix() for file in root.rglob("[!.]*") if not file.is_dir()}
    if held and not (held <= wanted.keys() and mark.is_file() and mark.read_text(encoding="ascii") == owner):
        raise OutputError(f"{root}: is there already", "give a folder that does not exist, or is empty", path=root)
    with work_folder(root if is_url(path) else Path(path).absolute()) as work:
        try:
            (make_folder(root) / MARK).write_text(owner, encoding="ascii")
            for name, file in wanted.items():
                shutil.copyfile(file, make_folder((root / name).parent) / Path(name).name)
            if hasattr(os, "sync"):
                os.sync()
            Store.restore(path if is_url(path) else work / "store", events, fold).close()
            if not is_url(path):
                (work / "store").rename(path)
        except BaseException:
            shutil.rmtree(root, ignore_errors=True)
            raise
        sync_folder(work.parent)
        mark.unlink()
    return Campaign.open(path, caller=caller)


def snapshot_of(campaign: Campaign) -> Snapshot:
    """Read everything of a campaign in one transaction: captured shots by time, all others as they are queued."""
    with campaign.store.reading() as transaction:
        records, events = list(transaction.every()), transaction.events()
        records.sort(key=lambda one: (ORDER.index(one.state), one.captured_at, one.position, one.shot))
        return Snapshot(settings=campaign.settings, state=transaction.state, records=records, events=events)


def class_folders(labels: Iterable[str]) -> dict[str, str]:
    """A folder for each class, named like the class where every file system can tell it from the others.

    Otherwise, as for ``a/b``, or for ``Car`` beside ``car``, unsafe letters become hyphens, and digits of the label's
    digest are added.
    """
    known = sorted(set(labels))
    plain = {label: UNSAFE.sub("-", unicodedata.normalize("NFC", label))[:LONGEST_FOLDER] for label in known}
    alike = Counter(folder.casefold() for folder in plain.values())
    for label, folder in plain.items():
        is_ordinary = folder.strip(". ") == folder and not RESERVED.fullmatch(folder)
        if folder != label or alike[folder.casefold()] > 1 or not is_ordinary:
            plain[label] = f"{folder.strip('. ') or 'class'}-{digest_bytes(label.encode())[:DIGITS]}"
    return plain


def _write_table(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _copy_images(snapshot: Snapshot, images: ImageFolder, place: Path) -> dict[str, str]:
    """Copy the data set to ``images/<class>/``, and all that is kept beside it to ``aside/``.

    Returns:
        Path of each captured shot's image below ``place``.
    """
    # a damaged image stops the export: its file would be a wrong answer
    captured = snapshot.captured
    folders = class_folders(record.label for record in captured)
    found: dict[str, str] = {}
    for record in captured:
        content = images.read(record.image)
        if digest_content(content) != record.digest:
            raise ImageError(
                f"{images.root / record.image}: not the image that was told for '{record.shot}'",
                "find out what is damaged: acqplan campaign check",
            )
        first, number, seen = Path("images", folders[record.label], Path(record.image).name), 1, _converted(content)
        if seen:
            (place / "aside").mkdir(exist_ok=True)
            (place / "aside" / first.name).write_bytes(content)
            first = first.with_suffix(".png")
        path = place / first
        while path.exists():  # two shots may have one image and one name of a file
            number += 1
            path = place / first.with_stem(f"{first.stem}-{number}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(seen or content)
        found[record.shot] = path.relative_to(place).as_posix()
    # surplus and replaced images may be gone
    kept = {record.digest for record in captured}
    for event in snapshot.events:
        if event.kind in WITH_IMAGE and event.body["digest"] not in kept:
            name = event.body["image"]
            if images.is_whole(name, event.body["digest"]):
                (place / "aside").mkdir(exist_ok=True)
                (place / "aside" / Path(name).name).write_bytes(images.read(name))
    return found


def _converted(content: bytes) -> bytes:
    """What acqplan sees of an image that it has to convert, as a PNG file; empty for any other."""

    def refuse(complaint: str, advice: str) -> ImageError:
        return ImageError(f"an image {complaint}", advice)

    try:
        return as_png(content, refuse) if read_header(io.BytesIO(content), refuse).conversions else b""
    except ImageError:  # of a campaign of an earlier version: it is what was told
        return b""


def _rig_text(snapshot: Snapshot) -> str:
    """rig.toml beside the manifest: the campaign's axes and times.

    Levels are listed where all images were taken at them; a rig that reaches its views roughly has those that occur.
    """
    settings, quoted = snapshot.settings, partial(json.dumps, ensure_ascii=False)
    lines = ['source = "folder"', 'path = "manifest.csv"']
    for place, axis in enumerate(settings.axes):
        # rig.toml knows circles of 360 degrees only; others become intervals, which keeps their numbers
        kind = "interval" if isinstance(axis, Circle) and axis.period != FULL_TURN else axis.kind
        lines += ["", "[[axis]]", f"name = {quoted(axis.name)}", f"kind = {quoted(kind)}"]
        if kind == "interval" or axis.unit == "deg":
            # a manifest has no angles of more than a turn; such levels stay plain numbers
            is_beyond = axis.unit == "deg" and any(abs(float(value)) > FULL_TURN for value in axis.values)
            lines.append(f"unit = {quoted('' if is_beyond else axis.unit)}")
        if {axis.read(value) for value in axis.values} >= {record.reached[place] for record in snapshot.captured}:
            lines.append(f"values = {quoted(list(axis.values))}")
        lines.append(f"{'seconds_per_change' if kind == 'category' else 'seconds_per_unit'} = {float(axis.seconds)!r}")
    lines += ["", "[shot]", f"seconds = {settings.seconds_per_shot!r}"]
    lines += [f"settle_seconds = {settings.settle_seconds!r}"] if settings.settle_seconds else []
    if settings.seconds_per_object is not None:
        lines += ["", "[objects]", f"seconds_per_change = {settings.seconds_per_object!r}"]
    lines.append("")
    return "\n".join(lines)


def _written(value: ViewValue) -> object:
    return value if isinstance(value, str) else short(value)


def _read(source: Path, place: str) -> tuple[Fold, list[Event]]:
    """The events, told where the images will be, and what they are folded into."""
    path = source / "terms.json"
    try:
        found = json.loads(_text(path))
        settings = CampaignSettings.from_dict(found["terms"]) if found["format"] == FORMAT else None
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise StoreError(f"{path}: not the settings of a campaign ({error!r})", "export it again", path=path) from error
    if settings is None:
        said = f"{path}: an export of format {found['format']}; this acqplan knows {FORMAT}"
        raise StoreError(said, "update acqplan")
    path, events, fold = source / "events.jsonl", [], Fold(settings, CampaignState(), Records())
    lines = _text(path).removesuffix("\n").split("\n")  # splitlines() would also split at U+2028 within a text
    for line, text in enumerate(lines, 1):
        event = _event(text, f"{path}: line {line}")
        if event.kind == "created":
            event = replace(event, body={**event.body, "images": place})
        try:
            assert event.number == line
            if event.kind in WITH_IMAGE:
                values = event.body["reached"]
                settings.reached(values, dict(zip(settings.names, values, strict=True)))
            fold.apply(event)
        except (AssertionError, LookupError, TypeError, ValueError, AttributeError, UsageError) as error:
            raise StoreError(f"{path}: line {line}: an event that cannot be ({error!r})", "export it again") from error
        events.append(event)
    if events[0].kind != "created":
        raise StoreError(f"{path}: the beginning is missing", "export it again", path=path)
    return fold, events


def _event(text: str, where: str) -> Event:
    try:
        event = Event(**json.loads(text))
    except (TypeError, ValueError) as error:
        raise StoreError(f"{where}: no event ({error})", "export it again") from error
    if not (isinstance(event.at, int | float) and isinstance(event.kind, str) and isinstance(event.body, dict)):
        raise StoreError(f"{where}: no event", "export it again")
    if event.kind in WITH_IMAGE:
        name, digest = event.body.get("image"), event.body.get("digest")
        if not isinstance(digest, str) or not isinstance(name, str) or not IMAGE_NAME.fullmatch(name):
            raise StoreError(f"{where}: an image cannot be called '{name}'", "export it again")
    if event.kind not in KINDS:
        raise StoreError(f"{where}: an event of kind '{event.kind}'", "update acqplan")
    return event


def _text(path: Path) -> str:
    try:
        with open_file(path) as handle:
            return handle.read().decode("utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})", "give the folder of an export") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: the text is not UTF-8", "export it again", path=path) from error
