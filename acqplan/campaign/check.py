"""Proof that nothing is lost: events, records and image files of a campaign compared, and mended where they differ.

An image is on the disk before its event is, and an event before `tell` returns, so that a killed process leaves at
worst an image that no event mentions. A loss of power on a disk that lies about what it has written can take more:
the end of an image, or the last events.
"""

from __future__ import annotations

import heapq
import os
import shutil
import socket
import sqlite3
import tempfile
import time
from collections import defaultdict
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acqplan.campaign.events import CAPTURED, LEASED, Fold
from acqplan.campaign.images import (
    ALREADY,
    CAPTURED_NOW,
    DIGITS,
    SURPLUS,
    WITH_IMAGE,
    ImageFolder,
    Written,
    events_of_image,
    known_shot,
    outcome_of_image,
    stems,
    take_image,
)
from acqplan.campaign.leases import take_back
from acqplan.campaign.machine import boot, is_gone
from acqplan.campaign.store_database import is_open_here
from acqplan.campaign.turns import turn
from acqplan.errors import ConflictError, ImageError, OutputError, StoreError
from acqplan.files import digest_content, whole_folder
from acqplan.numbers import count_noun

if TYPE_CHECKING:
    from acqplan.campaign.campaign import Campaign
    from acqplan.campaign.store import Store

NEWEST = 1000  # images that are looked at after the machine was started: more are never on their way to a disk at once

# an image that is younger may be waiting for its event; writers wait for their turn for two minutes at most
GRACE_SECONDS = 300.0

PART_SECONDS = 86_400.0  # files half-written are deleted when they are older
MACHINE = f"checked on {socket.gethostname()}"  # what this machine notes in a store


@dataclass(slots=True, kw_only=True)
class CheckResult:
    """What a check found.

    Attributes:
        images: Told images that were looked at.
        damaged: Shots whose image is missing or not whole; mended, they are wanted again.
        recovered: Shots with a whole image that no event mentions; mended, they are captured, as commanded.
        surplus: Shots with such an image that are not wanted any more; mended, the image is counted.
        left: Files that no event mentions and that could not be given to a shot, or are beyond the budget.
        on_their_way: Files that are too young to say.
        half_written: Remains of writers that were killed; mended, those older than a day are gone.
        records: ``agree`` with the events, ``differ``, or ``unchecked``; mended, they are folded anew.
        mended: Whether what was found is mended.
    """

    images: int = 0
    damaged: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    surplus: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    on_their_way: list[str] = field(default_factory=list)
    half_written: int = 0
    records: str = "unchecked"
    mended: bool = True


def check_campaign(campaign: Campaign, *, mend: bool = True) -> dict[str, Any]:
    """Compare events, records and images of a campaign, while others may use it; reads every image.

    Args:
        campaign: The campaign.
        mend: Whether to write what was found into the campaign; nothing is changed otherwise.

    Returns:
        Attributes of `CheckResult`, fit for JSON.

    Raises:
        StoreError: If the database itself is damaged, or the folder of images is not there.
    """
    store, images = campaign.store, campaign.images
    mend = mend and not store.database.is_readonly
    store.database.check_pages()
    store.check_events()
    if images.marked()[0] not in ("", images.owner):
        raise StoreError(f"{images.root}: holds images of another campaign", "put those of this one back")
    found = CheckResult(mended=mend)
    _check_records(store, found)
    _check_images(campaign, found, newest=0)
    if mend:
        with suppress(OutputError):  # also where all are lost, and others will be taken
            images.mark(store.place)
        store.note(MACHINE, _start_and_file(store))
    return asdict(found)


def check_after_restart(campaign: Campaign) -> None:
    """Once after this machine was started, check what may have been on its way to the disk; of a copy, all records.

    The store notes for each machine which of its starts it was checked in, and which file it then was. Machines that do
    not see the folder of images check nothing of a campaign on a server.

    Raises:
        StoreError: If the database is damaged, or the images are not there.
    """
    store, images = campaign.store, campaign.images
    before, now = store.noted(MACHINE), _start_and_file(store)
    if before == now or not (store.database.is_sqlite or images.root.is_dir()):
        return
    if images.marked()[0] not in ("", images.owner):  # which telling refuses; the rest can be read
        return
    store.database.check_pages()
    store.check_events()
    found = CheckResult()
    if before.partition(" ")[2] != now.partition(" ")[2]:
        _check_records(store, found)
    with store.reading() as transaction:
        captured = transaction.state.captured
    if captured and not images.names():  # before hundreds of shots are wanted again
        raise StoreError(
            f"{images.root}: none of {captured:,} images is there",
            "mount their disk; if they are lost, run: acqplan campaign check",
        )
    _check_images(campaign, found, newest=NEWEST)
    store.note(MACHINE, now)


def check_log(path: Path) -> None:
    """Refuse a file beside which the write-ahead log of another lies, as after a backup was put there by hand.

    SQLite would write that log into the file, and so destroy it. Unless the file is noted as the one that this machine
    knows, what both together hold is tried out on copies.

    Args:
        path: The file, absolute.

    Raises:
        StoreError: If they do not belong together.
    """
    log = Path(f"{path}-wal")
    if not log.exists() or is_open_here(path) or not os.access(path, os.W_OK):
        return
    for waits in (False, True, True, True):  # for a writer only if need be; one that ends may be at the log just now
        with turn(path) if waits else nullcontext():
            if not log.exists() or not log.stat().st_size or _fits(log, path):
                return
    said = f"{log}: the log of another file than {path.name}, or both are damaged"
    raise StoreError(said, "put a backup in place with: acqplan campaign restore --replace", path=log)


def _fits(log: Path, path: Path) -> bool:
    """Whether a log belongs to a file: as noted, or as copies of both show."""
    from acqplan.campaign.store import Store

    with suppress(sqlite3.Error), closing(sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)) as alone:
        (noted,) = alone.execute("SELECT text FROM facts WHERE name = ?", (MACHINE,)).fetchone() or ("",)
        # a copy over the file leaves its number, but not the time of its last change
        if noted.endswith(f" {path.stat().st_ino}") and path.stat().st_ctime_ns <= log.stat().st_ctime_ns:
            return True
    with tempfile.TemporaryDirectory() as folder, suppress(StoreError, FileNotFoundError):
        copy, last = Path(folder) / "copy", None
        if shutil.disk_usage(folder).free < 3 * (path.stat().st_size + log.stat().st_size):
            raise OutputError(f"{folder}: no room to look whether {log.name} is whole", "make room, or set TMPDIR")
        shutil.copyfile(path, copy)
        with suppress(sqlite3.Error), closing(sqlite3.connect(copy)) as alone:  # the tables may be in the log still
            last = alone.execute("SELECT * FROM events ORDER BY number DESC LIMIT 1").fetchone()
        shutil.copyfile(log, f"{copy}-wal")
        with closing(Store.open(copy)) as store:
            store.database.check_pages()
            store.check_events()
        with closing(sqlite3.connect(copy)) as both:
            return last is None or both.execute("SELECT * FROM events WHERE number = ?", last[:1]).fetchone() == last
    return False


def back_up(campaign: Campaign, folder: Path) -> Path:
    """Copy a campaign in SQLite, with the images beside it, into a folder, while others may use it.

    Copying the files by hand is safe only while nobody has the campaign open. An image is on the disk before any event
    mentions it, so that images copied after the database hold all that it knows. Images that were put elsewhere stay
    there, and the copy refers to them.

    Args:
        campaign: The campaign.
        folder: A folder that does not exist, or is empty.

    Returns:
        The file to open.

    Raises:
        UsageError: If it is kept on a server.
        OutputError: If the folder holds something, or cannot be written.
        ImageError: If an image of the data set is not there as it was told; then nothing is kept.
    """
    store, root, copy = Path(campaign.store.place), campaign.images.root, campaign.images
    with whole_folder(folder) as part:
        campaign.store.database.copy_to(part / store.name)
        with campaign.store.reading() as transaction:
            told = [(record.image, record.digest) for record in transaction.every(CAPTURED)]
        if root.absolute().parent == store.absolute().parent and root.is_dir():
            copy = ImageFolder(root=part / root.name)
            with suppress(shutil.Error):  # of files that cannot be read
                shutil.copytree(root, copy.root, ignore=shutil.ignore_patterns(".*.part"))
        lost = [name for name, digest in told if not copy.is_whole(name, digest)]
        if lost:
            raise ImageError(
                f"{root}: {len(lost):,} of {count_noun(len(told), 'image')} could not be copied, {lost[0]} first",
                "mount their disk; if they are lost, run: acqplan campaign check",
                path=root,
            )
    return folder / store.name


def _start_and_file(store: Store) -> str:
    return f"{boot() or 'unknown'} {Path(store.place).stat().st_ino if store.database.is_sqlite else 'server'}"


def _check_records(store: Store, found: CheckResult) -> None:
    with store.reading() as transaction:
        fold = Fold.replay(store.settings, transaction.events())
        kept = {record.shot: record for record in transaction.every()}
        agree = fold.state == transaction.state and kept == {one.shot: one for one in fold.records.every()}
    found.records = "agree" if agree else "differ"
    if not agree and found.mended:
        store.rebuild()


def _check_images(campaign: Campaign, found: CheckResult, *, newest: int) -> None:
    """Compare images with events: all, or only the newest."""
    images = campaign.images
    with campaign.store.reading() as transaction:
        if newest:
            shots = dict.fromkeys(event.shot for event in transaction.events(kinds=("told",), last=newest))
            told = [record for shot in shots if (record := transaction.get(shot)) and record.state == CAPTURED]
        else:
            told = list(transaction.every(CAPTURED))
        spoken = {event.body["image"] for event in transaction.events(kinds=WITH_IMAGE, last=2 * newest)}
        # images that were damaged may have come back, with their disk
        spoken -= {event.body["image"] for event in transaction.events(kinds=("damaged",))}
        if told and not images.root.is_dir():
            raise StoreError(
                f"{images.root}: the folder of images is not there", "mount its disk, put it back, or make it"
            )
        names = images.names()
        if 0 < newest < len(names):
            names = heapq.nlargest(newest, names, key=images.changed_at)
        unspoken = [name for name in names if name not in spoken]
        owners: dict[str, list[str]] = defaultdict(list)
        for record in transaction.every() if unspoken else ():
            for stem in set(stems(record.shot)):  # of files of earlier versions, several shots may be the owner
                owners[stem].append(record.shot)
    # outside of any transaction: reading images takes long, and others may use the campaign meanwhile
    found.images = len(told)
    damaged = [record for record in told if not images.is_whole(record.image, record.digest)]
    found.damaged = [record.shot for record in damaged]
    whole = _whole_images(images, unspoken, owners, found)
    if damaged and found.mended:
        with campaign.store.writing() as transaction:
            for record in damaged:
                now = transaction.get(record.shot)
                unchanged = now is not None and now.state == CAPTURED and now.digest == record.digest
                if unchanged and not images.is_whole(record.image, record.digest):
                    transaction.append("damaged", record.shot, digest=record.digest, image=record.image)
    if whole:
        _write_recovered(campaign, whole, found)
    # what killed writers left, unless it may still be written
    parts = [path.relative_to(images.root).as_posix() for path in images.root.glob("??/.*.part")]
    found.half_written = len(parts)
    for name in parts if found.mended else []:
        if time.time() - PART_SECONDS > images.changed_at(name) > 0.0:
            images.forget(name)


def _whole_images(
    images: ImageFolder, unspoken: list[str], owners: dict[str, list[str]], found: CheckResult
) -> list[tuple[str, Written]]:
    """Whole images that no event mentions, each with its shot."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    started = GRACE_SECONDS if clock is None else time.clock_gettime(clock)  # writers from before it are gone
    limit, whole = time.time() - min(GRACE_SECONDS, started), []
    for name in unspoken:
        head, _, digits = Path(name).stem.rpartition("__")
        if images.changed_at(name) > limit:
            found.on_their_way.append(name)
            continue
        if not images.has(name):  # refused, and deleted by its writer
            continue
        digest, shots = digest_content(images.read(name)), owners.get(head, [])
        if len(shots) == 1 and digest[:DIGITS] == digits:
            whole.append((shots[0], Written(digest=digest, name=name, fresh=False)))
        else:
            found.left.append(name)
    return whole


def _write_recovered(campaign: Campaign, whole: list[tuple[str, Written]], found: CheckResult) -> None:
    """Give images to their shots."""
    kept = {CAPTURED_NOW: found.recovered, SURPLUS: found.surplus}
    with campaign.store.writing() if found.mended else campaign.store.reading() as transaction:
        if found.mended:
            take_back(transaction)
        for shot, written in whole:
            record, before = known_shot(transaction, shot), events_of_image(transaction, shot, written.digest)
            try:
                outcome = outcome_of_image(transaction, record, written.digest, replace=False)
            except ConflictError:
                outcome = SURPLUS
            if before and record.lost != written.digest:
                outcome = ALREADY
            elif record.state == LEASED and not is_gone(record.caller):
                outcome = ""  # nothing yet: its shot is leased to another caller
            elif outcome == SURPLUS and not transaction.state.room:
                outcome = ""  # nothing: the budget is spent
            if outcome in kept:
                kept[outcome].append(shot)
            elif outcome != ALREADY:
                found.left.append(written.name)
            if outcome in kept and found.mended:
                reached = before[-1].body["reached"] if before else record.view
                take_image(transaction, record, written, reached, outcome, recovered=True)
