"""The source of a campaign: images that were told of its shots, as any other source gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from acqplan.campaign.campaign import Campaign
from acqplan.campaign.events import ShotRecord
from acqplan.errors import ImageError, UsageError
from acqplan.files import digest_file
from acqplan.pool import in_threads
from acqplan.progress import SILENT, Progress
from acqplan.rig.folder import ImageFile, decode
from acqplan.rig.source import Image
from acqplan.runtime import available_cores
from acqplan.space import Objects, Shots, Space
from acqplan.space.shots import distinct


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CampaignSource:
    """The images that a campaign holds, one for each reached pose.

    Attributes:
        name: Kind of the campaign's rig.
        taken: What was captured, at the settings that the rig reached; of two images from one pose, one.
        files: File of each, with the SHA-256 that was told, by what tells shots apart (`Shots.pairs`).
    """

    name: str
    taken: Shots
    files: Mapping[tuple[str, tuple[float, ...]], tuple[ImageFile, str]]

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

    def identities(self, shots: Shots) -> list[bytes]:
        """SHA-256 of each shot's file; no file is read.

        Raises:
            UsageError: If there is no such shot.
        """
        return [bytes.fromhex(digest) for _, digest in self._files(shots)]

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
                found = digest_file(file.path)
            except OSError as error:
                raise ImageError(f"{file.path}: cannot be read ({error.strerror})", remedy, path=file.path) from error
            if found != digests[file]:
                raise ImageError(f"{file.path}: is not the image that was told of {file.origin}", remedy)
            return decode(file)

        files = [file for file, _ in told]
        return enumerate(in_threads(read, files, workers=available_cores(), name="reading images", progress=progress))

    def _files(self, shots: Shots) -> list[tuple[ImageFile, str]]:
        try:
            return [self.files[pair] for pair in shots.pairs()]
        except KeyError as error:
            name, view = error.args[0]
            raise UsageError(f"no image of '{name}' from {view} was told", "ask for rows of shots()") from error
