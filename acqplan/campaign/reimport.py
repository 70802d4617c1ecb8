"""A campaign made anew from its export: the same events, so the same state, and the same images."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from acqplan.campaign.campaign import Campaign, images_folder, images_root
from acqplan.campaign.export_tables import FORMAT
from acqplan.campaign.fold import CHANGES, Fold
from acqplan.campaign.record import CAPTURED, Event, Memory, Standing
from acqplan.campaign.store import Store
from acqplan.campaign.store_database import is_url
from acqplan.campaign.terms import Terms
from acqplan.errors import ImageError, StoreError, UsageError
from acqplan.files import digest_content, whole_folder

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
    terms, events = _terms(source / "terms.json"), []
    fold = Fold(terms, Standing(), Memory())
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


def _terms(path: Path) -> Terms:
    try:
        found = json.loads(_text(path))
        version = found["format"]
        terms = found["terms"] if version == FORMAT else None
        return Terms.from_json(json.dumps(terms)) if terms is not None else _refuse(path, version)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: not the terms of a campaign ({error!r})", "export it again") from error


def _refuse(path: Path, version: object) -> Terms:
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
