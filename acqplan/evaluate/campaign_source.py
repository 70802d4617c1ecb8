"""The source of a campaign: images that were told of its shots, as any other source gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from acqplan.campaign.campaign import Campaign
from acqplan.campaign.events import ShotRecord
from acqplan.errors import ImageError, UsageError
from acqplan.files import digest_content
from acqplan.images import ImageHeader, decode_pixels, read_header
from acqplan.pool import in_threads
from acqplan.progress import SILENT, Progress
from acqplan.rig.folder import ImageFile
from acqplan.rig.source import Image
from acqplan.runtime import available_cores
from acqplan.space import Objects, Shots, Space
from acqplan.space.shots import distinct

MOST_HEADERS: Final = 100_000  # kept in memory, so that planning reads the head of each file once


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CampaignSource:
    """The images that a campaign holds, one for each reached pose.

    Attributes:
        name: Kind of the campaign's rig.
        taken: What was captured, at the settings that the rig reached; of two images from one pose, one.
        files: File of each, with the SHA-256 that was told, by what tells shots apart (`Shots.pairs`).
        side: Side of the square that a network takes, for which large images are decoded small; 0 for all pixels.
    """

    name: str
    taken: Shots
    files: Mapping[tuple[str, tuple[float, ...]], tuple[ImageFile, str]]
    side: int = 0

    @classmethod
    def of(cls, campaign: Campaign, captured: Shots, records: Sequence[ShotRecord]) -> CampaignSource:
        """The images of captured shots, at the settings that the rig reached, with their records."""
        first, _ = distinct(captured)
        taken = captured.take(first)
        files = [
            (ImageFile(path=campaign.images.root / record.image, origin=f"shot {record.shot}"), record.digest)
            for record in (records[row] for row in first)
        ]
        return cls(name=campaign.settings.rig, taken=taken, files=dict(zip(taken.pairs(), files, strict=True)))

    @property
    def space(self) -> Space:
        """The design space."""
        return self.taken.space

    @property
    def objects(self) -> Objects:
        """The objects, with labels."""
        return self.taken.objects

    def shots(self) -> Shots:
        """What was captured."""
        return self.taken

    def shrunk(self, side: int) -> CampaignSource:
        """The same images for a network that takes a square: much larger ones are decoded small."""
        return replace(self, side=side)

    def identities(self, shots: Shots) -> list[bytes]:
        """SHA-256 of each shot's file, and what it is shrunk for; of each file the head is read, once.

        Raises:
            UsageError: If there is no such shot.
        """
        identities = []
        for file, digest in self._files(shots):
            identity = bytes.fromhex(digest)
            with suppress(ImageError, OSError):  # a file that is lost is missed when it is decoded
                identity = _header(file).identity(identity, self.side)
            identities.append(identity)
        return identities

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Decode the images of the shots, in order.

        Raises:
            UsageError: If there is no such shot.
            ImageError: If a file is not what it was when it was told.
        """
        told = self._files(shots)
        digests = dict(told)

        def read(file: ImageFile) -> Image:
            remedy = "run: acqplan campaign check"
            try:
                content = file.path.read_bytes()
            except OSError as error:
                raise ImageError(f"{file.path}: cannot be read ({error.strerror})", remedy, path=file.path) from error
            if digest_content(content) != digests[file]:
                raise ImageError(f"{file.path}: is not the image that was told of {file.origin}", remedy)
            return decode_pixels(content, file.error, side=self.side)

        files = [file for file, _ in told]
        return enumerate(in_threads(read, files, workers=available_cores(), name="reading images", progress=progress))

    def _files(self, shots: Shots) -> list[tuple[ImageFile, str]]:
        try:
            return [self.files[pair] for pair in shots.pairs()]
        except KeyError as error:
            name, view = error.args[0]
            raise UsageError(f"no image of '{name}' from {view} was told", "ask for rows of shots()") from error


@lru_cache(maxsize=MOST_HEADERS)
def _header(file: ImageFile) -> ImageHeader:
    with file.path.open("rb") as handle:
        return read_header(handle, file.error)
