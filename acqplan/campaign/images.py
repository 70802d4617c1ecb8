"""Images of a campaign, on the disk before any event mentions them, and what an answer with or without one means."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acqplan.campaign.events import CAPTURED, LEASED, PROPOSED, REJECTED, WITHDRAWN, Event, ShotRecord
from acqplan.campaign.leases import watch_copies, watch_failures
from acqplan.campaign.store_database import is_url
from acqplan.errors import ConflictError, ImageError, OutputError, ShotError, nearest
from acqplan.files import digest_content, folder, open_file, replacing, sync_folder
from acqplan.numbers import ViewValue

if TYPE_CHECKING:
    import numpy as np

    from acqplan.campaign.store import Transaction
    from acqplan.images import ImageHeader

    Picture = bytes | Path | np.ndarray[Any, Any]

UNSAFE = re.compile(r"^\.|[^A-Za-z0-9._+-]")
LONGEST_NAME = 120
DIGITS = 16  # of the digest, in the name of a file

MARK = "campaign.txt"  # file in the folder of images that says whose they are

CAPTURED_NOW, ALREADY, SURPLUS, REPLACED = "captured", "already", "surplus", "replaced"

WITH_IMAGE = ("told", "surplus")  # kinds of events that mention an image


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An image on the disk.

    Attributes:
        digest: SHA-256 of its bytes.
        name: Path in the folder of images.
        fresh: Whether it was not there before.
    """

    digest: str
    name: str
    fresh: bool


class Outcome(str):
    """What became of an image, a word, with what people should know of it.

    Attributes:
        notes: Sentences; none for an ordinary image.
    """

    notes: tuple[str, ...]

    def __new__(cls, word: str, notes: Sequence[str] = ()) -> Outcome:
        """A word with notes."""
        made = super().__new__(cls, word)
        made.notes = tuple(notes)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """The folder of a campaign's images.

    Attributes:
        root: The folder.
        owner: Identifier of the campaign; empty if anybody may write there.
    """

    root: Path
    owner: str = ""

    def mark(self, place: str) -> None:
        """Say in the folder which campaign it belongs to, and where that is."""
        with replacing(self.root / MARK, "w") as handle:
            handle.write(f"{self.owner}\n{place}\nThese are images of a campaign: keep this file with them.\n")

    def marked(self) -> list[str]:
        """Identifier of the campaign that the folder belongs to, and where that was; empty if it is not marked."""
        with contextlib.suppress(OSError):
            return (self.root / MARK).read_text(encoding="utf-8").splitlines()[:2]
        return ["", ""]

    def is_anothers(self) -> bool:
        """Whether it holds images of another campaign, or is to hold them."""
        owner, place = self.marked()
        return owner != self.owner and bool(self.names() or (owner and (is_url(place) or Path(place).exists())))

    def keep(self, shot: str, content: bytes, header: ImageHeader | None = None, *, name: str = "") -> Written:
        """Put an image on the disk; once this has returned, it survives a loss of power.

        Args:
            shot: Identifier of its shot.
            content: Bytes of a whole image, from `encoded`.
            header: What they say of it, from `encoded`; needed without a name.
            name: Where it was kept before; by default as `named` says.

        Raises:
            OutputError: If it cannot be written.
        """
        owner, place = self.marked()
        if owner != self.owner != "":
            said = f"it is that of {place}" if owner else f"its file {MARK} is not there"
            raise OutputError(
                f"{self.root}: not the folder of this campaign's images: {said}",
                "mount its disk, or put it back; if its images are lost, run: acqplan campaign check",
                path=self.root,
            )
        digest = digest_content(content)
        name = name or named(shot, digest, header.suffix if header else "")
        path = self.root / name
        fresh, made = not self.is_whole(name, digest), not path.parent.is_dir()
        if fresh:
            with replacing(folder(path.parent) / path.name, "wb") as handle:
                handle.write(content)
        sync_folder(path.parent)  # even if it was there: its writer may have been killed before this
        if made:
            sync_folder(self.root)
        return Written(digest=digest, name=name, fresh=fresh)

    def read(self, name: str) -> bytes:
        """Bytes of an image.

        Raises:
            ImageError: If it is not there.
        """
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise ImageError(f"{self.root / name}: cannot be read ({error.strerror})", "run a check") from error

    def is_whole(self, name: str, digest: str) -> bool:
        """Whether an image is there as it was written."""
        try:
            return digest_content((self.root / name).read_bytes()) == digest
        except OSError:
            return False

    def has(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self.root / name).is_file()

    def is_repeated(self, written: Written) -> bool:
        """Whether there is another image whose bytes seem to be the same: what is rare is looked at in the events."""
        alike = self.root.glob(f"{written.digest[:2]}/*{written.digest[:DIGITS]}*")
        return any(path != self.root / written.name for path in alike)

    def changed_at(self, name: str) -> float:
        """When an image was written, seconds since 1970; 0 if it is gone."""
        try:
            return (self.root / name).stat().st_mtime
        except OSError:
            return 0.0

    def names(self) -> list[str]:
        """Names of all images, without those half-written."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.glob("??/*")
            if not path.name.startswith(".") and "__" in path.name
        )

    def forget(self, name: str) -> None:
        """Delete an image that no event mentions."""
        (self.root / name).unlink(missing_ok=True)


def encoded(picture: Picture, shot: str) -> tuple[bytes, ImageHeader]:
    """Bytes of an image, which is decoded to prove that it is whole and can be used, and what they say of it.

    Raises:
        ImageError: If it is not.
    """
    from acqplan.images import png_of, prove_whole

    content, name, path = b"", f"image of {shot}", None
    if isinstance(picture, Path | str):
        path, name = Path(picture), str(picture)
        try:
            with open_file(path) as handle:
                content = handle.read()
        except OSError as error:
            raise ImageError(f"{path}: cannot be read ({error.strerror})", "give the file of an image") from error
    elif isinstance(picture, bytes | bytearray | memoryview):
        content = bytes(picture)
    else:
        shape, kind = getattr(picture, "shape", None), str(getattr(picture, "dtype", type(picture).__name__))
        fits = shape is not None and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)) and 0 not in shape
        if kind != "uint8" or not fits:
            raise ImageError(
                f"{name}: {kind} of shape {shape}", "give uint8 of shape [height, width] or [height, width, 3]"
            )
        content = png_of(picture)

    def refuse(complaint: str, advice: str) -> ImageError:
        return ImageError(f"{name} {complaint}", advice, path=path)

    return content, prove_whole(content, refuse)


def named(shot: str, digest: str, suffix: str) -> str:
    """Path in the folder of images: by its digest, so that no folder holds too many and no image overwrites another."""
    return f"{digest[:2]}/{stems(shot)[0]}__{digest[:DIGITS]}{suffix}"


def stems(shot: str) -> tuple[str, str]:
    """An identifier as the beginning of a file's name: of no two shots alike; and as earlier versions wrote it."""
    plain = UNSAFE.sub("-", shot)[:LONGEST_NAME]
    # only a name that is no identifier's own has "__" in it
    is_own = plain == shot and "__" not in shot
    return plain if is_own else f"{plain}__{digest_content(shot.encode())[:DIGITS]}", plain


def known_shot(transaction: Transaction, shot: str) -> ShotRecord:
    """The record of a shot.

    Raises:
        ShotError: If no plan holds it; names the nearest one that is leased.
    """
    record = transaction.get(shot)
    if record is None:
        leased = [one.shot for one in transaction.every(LEASED)]
        hint = nearest(shot, leased) if 0 < len(leased) <= 20 else "ask for shots, and answer those"
        raise ShotError(f"no shot of this campaign is called '{shot}'", hint)
    return record


def events_of_image(transaction: Transaction, shot: str, digest: str, kinds: Sequence[str] = WITH_IMAGE) -> list[Event]:
    """Events of a shot that mention an image."""
    return [event for event in transaction.events(shot=shot, kinds=kinds) if event.body["digest"] == digest]


def outcome_of_image(transaction: Transaction, record: ShotRecord, digest: str, *, replace: bool) -> str:
    """What an image will be: captured, already (told before), surplus (kept and counted), or replaced.

    Raises:
        ConflictError: If the shot has another image, no lease of it is open, and ``replace`` is not set.
    """
    is_captured, is_leased = record.state == CAPTURED, record.state == LEASED
    if is_captured and record.digest == digest:
        return ALREADY
    # an image that was kept aside is told again, unless it now answers a lease or is to replace another
    is_new = (is_leased and record.open > 0) or (replace and is_captured)
    if not is_new and events_of_image(transaction, record.shot, digest, ("surplus",)):
        return ALREADY
    if is_captured and not replace and record.open == 0:
        raise ConflictError(
            f"'{record.shot}' has another image already ({record.digest[:12]}…)",
            "give replace=True (--replace) to take it",
        )
    if is_captured:
        return REPLACED if replace else SURPLUS
    has_room = transaction.state.room > 0 or digest == record.lost
    is_wanted = is_leased or (record.state in (PROPOSED, WITHDRAWN) and has_room)
    return CAPTURED_NOW if is_wanted else SURPLUS


def take_image(
    transaction: Transaction,
    record: ShotRecord,
    written: Written,
    reached: Sequence[ViewValue],
    outcome: str,
    *,
    recovered: bool = False,
    conversions: Sequence[str] = (),
    is_repeated: bool = False,
) -> list[str]:
    """Write the event of an outcome that changes something; a recovered image answers no lease.

    Args:
        transaction: A transaction that may append.
        record: The shot.
        written: Its image.
        reached: Settings that the rig reached.
        outcome: From `outcome_of_image`.
        recovered: Whether a check has found it.
        conversions: What has to be converted, keys of `acqplan.images.CONVERSIONS`.
        is_repeated: Whether an image of other shots may have the same bytes.

    Returns:
        What people should know: a kind of conversion when it first appears, and each image that repeats another.
    """
    if outcome == ALREADY:
        return []
    from acqplan.images import CONVERSIONS

    notes = [CONVERSIONS[name] for name in conversions if name not in transaction.state.converted]
    # an event says what a fold needs to count the image once, whatever happened to its shot before
    late = record.state != LEASED
    body: dict[str, Any] = {"digest": written.digest, "image": written.name, "reached": list(reached), "late": late}
    if outcome == REPLACED:
        body["replaces"] = record.digest
        if events_of_image(transaction, record.shot, written.digest):
            body["counted"] = True
    if recovered:
        body["recovered"] = True
    if conversions:
        body["converted"] = list(conversions)
    others = transaction.shots_of_image(written.digest) if is_repeated else []
    other = next((shot for shot in others if shot != record.shot), "")
    if other:
        body["copy_of"] = other
        notes.append(f"the same bytes were told for '{other}'; does the camera hang?")
    transaction.append("surplus" if outcome == SURPLUS else "told", record.shot, **body)
    if other:
        watch_copies(transaction, written.digest)
    return notes


def take_failure(
    transaction: Transaction, record: ShotRecord, caller: str, *, reason: str, retry: bool, exposed: bool
) -> str:
    """Write that a shot failed; ``retried``, ``rejected``, or ``unchanged`` where no caller was to take it.

    A caller that fails after its lease has expired does not end the lease of the caller that holds the shot now.

    Raises:
        ConflictError: If the shot is captured, and no lease of it is open.
    """
    if record.open == 0 and record.state == CAPTURED:
        raise ConflictError(f"'{record.shot}' is captured already", "tell another image with replace=True (--replace)")
    if record.open == 0 and (retry or record.state == REJECTED):
        return "unchanged"
    is_of_another = record.state == LEASED and record.caller != caller
    if is_of_another and record.open <= 1:  # no lease but that of the other is open
        leased = transaction.events(shot=record.shot, kinds=("leased",))
        if any(event.body["caller"] == caller for event in leased):
            return "unchanged"  # this caller has answered before, and says it again
    # any other caller may answer, with a late failure, the lease that it held before
    late = is_of_another and record.open > 1
    transaction.append("failed", record.shot, reason=reason, exposed=exposed, late=late)
    # given up for good, unless another caller has it, or has captured it
    is_hopeless = not retry or record.tries + 1 >= transaction.settings.most_tries
    if is_hopeless and not late and record.state not in (CAPTURED, REJECTED):
        why = reason if not retry else f"failed {record.tries + 1} times"
        transaction.append("rejected", record.shot, reason=why)
    watch_failures(transaction)
    state = known_shot(transaction, record.shot).state
    return {REJECTED: "rejected", CAPTURED: "unchanged", LEASED: "unchanged"}.get(state, "retried")
