"""Proof that nothing is lost: events, records and image files of a campaign compared, and mended where they differ.

An image is on the disk before its event is, and an event before `tell` returns, so that a killed process leaves at
worst an image that nobody spoke of. A loss of power on a disk that lies about what it has written can take more: the
end of an image, or the last events.
"""

from __future__ import annotations

import heapq
import shutil
import socket
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from acqplan.campaign.events import CAPTURED, LEASED, Event, ShotRecord
from acqplan.campaign.fold import Fold
from acqplan.campaign.images import (
    ALREADY,
    CAPTURED_NOW,
    DIGITS,
    SURPLUS,
    Written,
    known_shot,
    outcome_of_image,
    safe,
    take_image,
)
from acqplan.campaign.leases import is_gone, take_back
from acqplan.errors import ConflictError, StoreError
from acqplan.files import digest_content, whole_folder

if TYPE_CHECKING:
    from acqplan.campaign.campaign import Campaign
    from acqplan.campaign.images import ImageFolder
    from acqplan.campaign.store import Store, Transaction

NEWEST = 1000
"""Images that are looked at after the machine was started: more are never on their way to a disk at once."""

GRACE_SECONDS = 300.0
"""An image that is younger may be waiting for its event; writers wait for their turn for two minutes at most."""

PART_SECONDS = 86_400.0
"""Files half-written are taken away when they are older."""

SPEAKING = ("told", "surplus")
"""Events that speak of an image."""

STARTED = Path("/proc/sys/kernel/random/boot_id")


@dataclass(slots=True, kw_only=True)
class CheckResult:
    """What a check found.

    Attributes:
        images: Told images that were looked at.
        damaged: Shots whose image is missing or not whole; mended, they are wanted again.
        recovered: Shots with a whole image that no event speaks of; mended, they are captured, as commanded.
        surplus: Such images of shots that are not wanted any more; mended, they are counted.
        left: Files that no event speaks of and that could not be given to a shot, or are beyond the budget.
        on_their_way: Files that are too young to say.
        half_written: Remains of writers that were killed; mended, those older than a day are gone.
        records: ``agree`` with the events, ``differ``, or ``unchecked``; mended, they are folded anew.
        mended: Whether it was to be mended.
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


class Kept(Protocol):
    """What is checked of a campaign."""

    @property
    def store(self) -> Store:
        """Where its events are."""

    @property
    def images(self) -> ImageFolder:
        """Where its images are."""


def check_campaign(campaign: Kept, *, mend: bool = True) -> dict[str, Any]:
    """Compare events, records and images of a campaign, others may use it meanwhile; reads every image.

    Args:
        campaign: The campaign.
        mend: Whether to write what was found into the campaign; nothing is changed otherwise.

    Returns:
        Attributes of `CheckResult`, fit for JSON.

    Raises:
        StoreError: If the database itself is damaged, or the folder of images is not there.
    """
    campaign.store.database.check_pages()
    campaign.store.check_events()
    found = CheckResult(mended=mend)
    _check_records(campaign.store, found)
    _check_images(campaign, found, newest=0)
    if mend:
        _note(campaign.store)
    return asdict(found)


def check_after_restart(campaign: Kept) -> None:
    """Once after this machine was started, check what may have been on its way to the disk; of a copy, all records.

    The store notes for each machine which of its starts it was checked in, and which file it then was. Of a campaign on
    a server, machines that do not see the folder of images check nothing.

    Raises:
        StoreError: If the database is damaged, or the images are not there.
    """
    store = campaign.store
    before, now = store.noted(_machine()), _start_and_file(store)
    if before == now or not (store.database.is_sqlite or campaign.images.root.is_dir()):
        return
    store.database.check_pages()
    store.check_events()
    found = CheckResult()
    if before.partition(" ")[2] != now.partition(" ")[2]:
        _check_records(store, found)
    _refuse_an_empty_folder(campaign)
    _check_images(campaign, found, newest=NEWEST)
    _note(store)


def _note(store: Store) -> None:
    store.note(_machine(), _start_and_file(store))


def _machine() -> str:
    return f"checked on {socket.gethostname()}"


def _start_and_file(store: Store) -> str:
    start = STARTED.read_text(encoding="ascii").strip() if STARTED.exists() else "unknown"
    return f"{start} {Path(store.place).stat().st_ino if store.database.is_sqlite else 'server'}"


def _refuse_an_empty_folder(campaign: Kept) -> None:
    """Before hundreds of shots are wanted again: the disk of the images may not be mounted."""
    with campaign.store.reading() as ledger:
        captured = ledger.standing.captured
    if captured and not campaign.images.names():
        raise StoreError(
            f"{campaign.images.root}: none of {captured:,} images is there",
            "mount their disk; if they are lost, run: acqplan campaign check",
        )


def _check_records(store: Store, found: CheckResult) -> None:
    with store.reading() as ledger:
        fold = Fold.replay(store.settings, ledger.events())
        kept = {record.shot: record for record in ledger.every()}
        agree = fold.standing == ledger.standing and kept == {one.shot: one for one in fold.records.every()}
    found.records = "agree" if agree else "differ"
    if not agree and found.mended:
        store.rebuild()


def _check_images(campaign: Kept, found: CheckResult, *, newest: int) -> None:
    images = campaign.images
    with campaign.store.reading() as ledger:
        told = _told(ledger, newest)
        spoken = _images_of(ledger.events(kinds=SPEAKING, last=2 * newest))
        spoken -= _images_of(ledger.events(kinds=("damaged",)))  # they may have come back, with their disk
        if told and not images.root.is_dir():
            raise StoreError(
                f"{images.root}: the folder of images is not there", "mount its disk, put it back, or make it"
            )
        unspoken = [name for name in _names(images, newest) if name not in spoken]
        shots = _by_safe_name(ledger.every()) if unspoken else {}
    found.images = len(told)
    damaged = [record for record in told if not images.is_whole(record.image, record.digest)]
    found.damaged = [record.shot for record in damaged]
    whole = _sorted_out(images, unspoken, shots, found)
    if damaged and found.mended:
        _write_damaged(campaign, damaged)
    if whole:
        _write_recovered(campaign, whole, found)
    _clear_parts(images, found)


def _told(ledger: Transaction, newest: int) -> list[ShotRecord]:
    if not newest:
        return list(ledger.every(CAPTURED))
    shots = dict.fromkeys(event.shot for event in ledger.events(kinds=("told",), last=newest))
    records = [ledger.get(shot) for shot in shots]
    return [record for record in records if record is not None and record.state == CAPTURED]


def _images_of(events: Iterable[Event]) -> set[str]:
    return {event.body["image"] for event in events}


def _names(images: ImageFolder, newest: int) -> list[str]:
    names = images.names()
    return heapq.nlargest(newest, names, key=images.changed_at) if 0 < newest < len(names) else names


def _by_safe_name(records: Iterable[ShotRecord]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for record in records:
        found[safe(record.shot)].append(record.shot)
    return found


def _sorted_out(
    images: ImageFolder, unspoken: list[str], shots: dict[str, list[str]], found: CheckResult
) -> list[tuple[str, Written]]:
    """Whole images that no event speaks of, each with its shot."""
    whole = []
    limit = time.time() - min(GRACE_SECONDS, _seconds_since_start())
    for name in unspoken:
        head, _, digits = Path(name).stem.rpartition("__")
        if images.changed_at(name) > limit:
            found.on_their_way.append(name)
            continue
        if not images.has(name):  # refused from somebody, and taken away
            continue
        digest, owners = digest_content(images.read(name)), shots.get(head, [])
        if len(owners) == 1 and digest[:DIGITS] == digits:
            whole.append((owners[0], Written(digest=digest, name=name, fresh=False)))
        else:
            found.left.append(name)
    return whole


def _seconds_since_start() -> float:
    """Who wrote before the machine was started, does not write any more."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return GRACE_SECONDS if clock is None else time.clock_gettime(clock)


def _write_damaged(campaign: Kept, damaged: list[ShotRecord]) -> None:
    with campaign.store.writing() as ledger:
        for record in damaged:
            now = ledger.get(record.shot)
            unchanged = now is not None and now.state == CAPTURED and now.digest == record.digest
            if unchanged and not campaign.images.is_whole(record.image, record.digest):
                ledger.append("damaged", record.shot, digest=record.digest, image=record.image)


def _write_recovered(campaign: Kept, whole: list[tuple[str, Written]], found: CheckResult) -> None:
    """Give images to their shots."""
    kept = {CAPTURED_NOW: found.recovered, SURPLUS: found.surplus}
    with campaign.store.writing() if found.mended else campaign.store.reading() as ledger:
        if found.mended:
            take_back(ledger)
        for shot, written in whole:
            record = known_shot(ledger, shot)
            before = [one for one in ledger.events(shot=shot, kinds=SPEAKING) if one.body["digest"] == written.digest]
            outcome = _outcome(ledger, record, written.digest, told=bool(before))
            if outcome in kept:
                kept[outcome].append(shot)
            elif outcome != ALREADY:
                found.left.append(written.name)
            if outcome in kept and found.mended:
                reached = before[-1].body["reached"] if before else record.view
                take_image(ledger, record, written, reached, outcome, recovered=True)


def _outcome(ledger: Transaction, record: ShotRecord, digest: str, *, told: bool) -> str:
    """What an image will be; empty if nothing, as somebody is on the way to its shot or the budget is spent."""
    if told and record.lost != digest:
        return ALREADY
    if record.state == LEASED and not is_gone(record.caller):
        return ""
    try:
        outcome = outcome_of_image(ledger, record, digest, replace=False)
    except ConflictError:
        outcome = SURPLUS
    return "" if outcome == SURPLUS and not ledger.standing.room else outcome


def _clear_parts(images: ImageFolder, found: CheckResult) -> None:
    parts = [path.relative_to(images.root).as_posix() for path in images.root.glob("??/.*.part")]
    found.half_written = len(parts)
    for name in parts if found.mended else []:
        if time.time() - PART_SECONDS > images.changed_at(name) > 0.0:  # others are being written, and are gone soon
            images.forget(name)


def back_up(campaign: Campaign, folder: Path) -> Path:
    """Copy a campaign in SQLite, with the images beside it, into a folder; others may go on with it meanwhile.

    Copying the files by hand is safe only while nobody has the campaign open. An image is on the disk before any event
    speaks of it, so that images copied after the database hold all that it knows. Images that were put elsewhere stay
    there, and the copy speaks of them.

    Args:
        campaign: The campaign.
        folder: A folder that does not exist, or is empty.

    Returns:
        The file to open.

    Raises:
        UsageError: If it is kept on a server.
        OutputError: If the folder holds something, or cannot be written.
    """
    store, root = Path(campaign.store.place), campaign.images.root
    with whole_folder(folder) as part:
        campaign.store.database.copy_to(part / store.name)
        if root.absolute().parent == store.absolute().parent:
            shutil.copytree(root, part / root.name, ignore=shutil.ignore_patterns(".*.part"))
    return folder / store.name
