"""Images of a campaign: on the disk, whole and named by their content, before any event speaks of them."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acqplan.campaign.events import CAPTURED, LEASED, PROPOSED, REJECTED, WITHDRAWN, ShotRecord
from acqplan.campaign.leases import watch_failures
from acqplan.campaign.store import Transaction
from acqplan.errors import ConflictError, ImageError, ShotError, nearest
from acqplan.files import digest_content, folder, replacing, sync_folder
from acqplan.numbers import ViewValue

if TYPE_CHECKING:
    import numpy as np

    Picture = bytes | Path | np.ndarray[Any, Any]

SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "BMP": ".bmp", "TIFF": ".tif", "WEBP": ".webp", "PPM": ".ppm"}
PNG_END = b"IEND\xaeB`\x82"
"""Pillow takes a file that lacks it, and the checksum before it, if no pixel is missing."""

UNSAFE = re.compile(r"^\.|[^A-Za-z0-9._+-]")
LONGEST_NAME = 120
DIGITS = 16
"""Of the digest, in the name of a file."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFolder:
    """The folder of a campaign's images.

    Attributes:
        root: The folder.
    """

    root: Path

    def write(self, shot: str, picture: Picture) -> Written:
        """Put an image on the disk; when this returns it will survive a loss of power.

        Args:
            shot: Identifier of its shot.
            picture: Bytes of an image file, a file, or an array, uint8, ``[height, width]`` or
                ``[height, width, 3]``.

        Raises:
            ImageError: If it is no whole image.
            OutputError: If it cannot be written.
        """
        return self.keep(shot, *encoded(picture, shot))

    def keep(self, shot: str, content: bytes, suffix: str) -> Written:
        """The same for what `encoded` has proven to be whole.

        Raises:
            OutputError: If it cannot be written.
        """
        digest = digest_content(content)
        name = named(shot, digest, suffix)
        path = self.root / name
        fresh, made = not self.is_whole(name, digest), not path.parent.is_dir()
        if fresh:
            with replacing(folder(path.parent) / path.name, "wb") as handle:
                handle.write(content)
        sync_folder(path.parent)  # even of one that was there: who wrote it may have been killed before
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

    def changed_at(self, name: str) -> float:
        """When an image was written, seconds since 1970; 0 if it is gone."""
        try:
            return (self.root / name).stat().st_mtime
        except OSError:
            return 0.0

    def names(self) -> list[str]:
        """Names of all images, and of nothing half-written."""
        return sorted(
            path.relative_to(self.root).as_posix()
            for path in self.root.glob("??/*")
            if not path.name.startswith(".") and "__" in path.name
        )

    def forget(self, name: str) -> None:
        """Take an image away that no event speaks of."""
        (self.root / name).unlink(missing_ok=True)


def encoded(picture: Picture, shot: str) -> tuple[bytes, str]:
    """Bytes and suffix of an image that was proven to be whole.

    Raises:
        ImageError: If it is not.
    """
    if isinstance(picture, Path | str):
        path = Path(picture)
        try:
            return _checked(path.read_bytes(), str(path))
        except OSError as error:
            raise ImageError(f"{path}: cannot be read ({error.strerror})", "give the file of an image") from error
    if isinstance(picture, bytes | bytearray | memoryview):
        return _checked(bytes(picture), f"image of {shot}")
    return _drawn(picture, shot), ".png"


def _checked(content: bytes, source: str) -> tuple[bytes, str]:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as image:
            kind = image.format or ""
            if kind in SUFFIXES:  # others are not decoded: some would start a program
                image.load()
    except Exception as error:  # decoders raise whatever they stumble over in bytes from elsewhere
        said = str(error).split("<")[0].strip() or "unknown"
        raise ImageError(
            f"{source}: {len(content):,} bytes that are no whole image ({said})", "send it again"
        ) from error
    if kind == "PNG" and PNG_END not in content:
        raise ImageError(f"{source}: {len(content):,} bytes of a PNG without its end", "send it again")
    if kind not in SUFFIXES:
        raise ImageError(f"{source}: an image of kind {kind or 'unknown'}", f"give {', '.join(SUFFIXES)}")
    return content, SUFFIXES[kind]


def _drawn(picture: Any, shot: str) -> bytes:
    from PIL import Image

    shape, kind = getattr(picture, "shape", None), str(getattr(picture, "dtype", type(picture).__name__))
    fits = shape is not None and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)) and 0 not in shape
    if kind != "uint8" or not fits:
        raise ImageError(
            f"image of {shot}: {kind} of shape {shape}", "give uint8 of shape [height, width] or [height, width, 3]"
        )
    file = io.BytesIO()
    Image.fromarray(picture).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def named(shot: str, digest: str, suffix: str) -> str:
    """Path in the folder of images: by its digest, so that no folder holds too many and no image overwrites another."""
    return f"{digest[:2]}/{safe(shot)}__{digest[:DIGITS]}{suffix}"


def safe(shot: str) -> str:
    """An identifier as a part of a file's name; two may come out alike."""
    return UNSAFE.sub("-", shot)[:LONGEST_NAME]


CAPTURED_NOW, ALREADY, SURPLUS, REPLACED = "captured", "already", "surplus", "replaced"


def known_shot(ledger: Transaction, shot: str) -> ShotRecord:
    """The record of a shot.

    Raises:
        ShotError: If no plan holds it; names the nearest one that is leased.
    """
    record = ledger.get(shot)
    if record is None:
        leased = [one.shot for one in ledger.every(LEASED)][:200]
        hint = nearest(shot, leased) if 0 < len(leased) <= 20 else "ask for shots, and answer those"
        raise ShotError(f"no shot of this campaign is called '{shot}'", hint)
    return record


def outcome_of_image(ledger: Transaction, record: ShotRecord, digest: str, *, replace: bool) -> str:
    """What an image will be: captured, already (told before), surplus (kept and counted), or replaced.

    Raises:
        ConflictError: If the shot has another image, nobody else was to take it, and ``replace`` is not set.
    """
    if record.state == CAPTURED and record.digest == digest:
        return ALREADY
    if record.open == 0 or record.state != LEASED:
        aside = ledger.events(shot=record.shot, kinds=("surplus",))
        wanted = replace and record.state == CAPTURED
        if not wanted and any(event.body["digest"] == digest for event in aside):
            return ALREADY
    if record.state == CAPTURED:
        return _outcome_of_second(record, replace)
    has_room = ledger.standing.room > 0 or digest == record.lost
    if record.state == LEASED or (record.state in (PROPOSED, WITHDRAWN) and has_room):
        return CAPTURED_NOW
    return SURPLUS


def _outcome_of_second(record: ShotRecord, replace: bool) -> str:
    if replace:
        return REPLACED
    if record.open > 0:
        return SURPLUS
    raise ConflictError(
        f"'{record.shot}' has another image already ({record.digest[:12]}…)", "give replace=True (--replace) to take it"
    )


def take_image(
    ledger: Transaction,
    record: ShotRecord,
    written: Written,
    reached: Sequence[ViewValue],
    outcome: str,
    *,
    recovered: bool = False,
) -> None:
    """Write the event of an outcome that changes something; a recovered image answers nobody's lease."""
    if outcome == ALREADY:
        return
    kind = "surplus" if outcome == SURPLUS else "told"
    late = record.state != LEASED
    body = {"digest": written.digest, "image": written.name, "reached": list(reached), "late": late}
    if outcome == REPLACED:
        body["replaces"] = record.digest
        spoken = ledger.events(shot=record.shot, kinds=("told", "surplus"))
        if any(event.body["digest"] == written.digest for event in spoken):
            body["counted"] = True
    if recovered:
        body["recovered"] = True
    ledger.append(kind, record.shot, **body)


def _answered_before(ledger: Transaction, record: ShotRecord, caller: str) -> bool:
    """Whether somebody repeats an answer of before, while somebody else has the shot."""
    if record.state != LEASED or record.open > 1 or record.caller == caller:
        return False
    return any(event.body["caller"] == caller for event in ledger.events(shot=record.shot, kinds=("leased",)))


def take_failure(
    ledger: Transaction, record: ShotRecord, caller: str, *, reason: str, retry: bool, exposed: bool
) -> str:
    """Write that a shot failed; ``retried``, ``rejected``, or ``unchanged`` where nobody was to take it.

    Whoever failed after the lease was over does not end that of who has the shot now, nor speak for them.

    Raises:
        ConflictError: If it is captured, and nobody else was to take it.
    """
    if record.open == 0 and record.state == CAPTURED:
        raise ConflictError(f"'{record.shot}' is captured already", "tell another image with replace=True (--replace)")
    if record.open == 0 and (retry or record.state == REJECTED):
        return "unchanged"
    if _answered_before(ledger, record, caller):
        return "unchanged"
    late = record.state == LEASED and record.open > 1 and record.caller != caller
    ledger.append("failed", record.shot, reason=reason, exposed=exposed, late=late)
    is_hopeless = not retry or record.tries + 1 >= ledger.settings.most_tries
    if is_hopeless and not late and record.state not in (CAPTURED, REJECTED):
        ledger.append("rejected", record.shot, reason=reason if not retry else f"failed {record.tries + 1} times")
    watch_failures(ledger)
    state = known_shot(ledger, record.shot).state
    return {REJECTED: "rejected", CAPTURED: "unchanged", LEASED: "unchanged"}.get(state, "retried")
