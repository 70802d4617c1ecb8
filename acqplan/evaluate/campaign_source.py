"""The source of a campaign: images that were told of its shots, as any other source gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from acqplan.campaign.events import ShotRecord
from acqplan.errors import ImageError, UsageError
from acqplan.files import digest_file
from acqplan.progress import SILENT, Progress
from acqplan.rig.folder import ImageFile, decode, in_threads
from acqplan.rig.source import Image
from acqplan.runtime import available_cores
from acqplan.space import Objects, Shots, Space
from acqplan.space.shots import distinct


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CampaignSource:
    """The images that a campaign holds, one for each reached pose.

    Attributes:
        name: Kind of the campaign's rig.
        taken: What was captured, where the rig went; of two images from one pose, one.
        files: File of each.
        digests: SHA-256 of each file, as it was told.
        rows: Row by what tells shots apart (`Shots.pairs`).
    """

    name: str
    taken: Shots
    files: tuple[ImageFile, ...]
    digests: tuple[bytes, ...]
    rows: Mapping[tuple[str, tuple[float, ...]], int]

    @classmethod
    def of(cls, captured: Shots, records: Sequence[ShotRecord], *, folder: Path, name: str) -> CampaignSource:
        """The images of captured shots.

        Args:
            captured: The shots, where the rig went.
            records: Their records.
            folder: Where the campaign's images lie.
            name: Kind of the campaign's rig.
        """
        first, _ = distinct(captured)
        kept, taken = [records[row] for row in first], captured.take(first)
        return cls(
            name=name,
            taken=taken,
            files=tuple(ImageFile(path=folder / one.image, origin=f"shot {one.shot}") for one in kept),
            digests=tuple(bytes.fromhex(one.digest) for one in kept),
            rows={pair: row for row, pair in enumerate(taken.pairs())},
        )

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
        return [self.digests[row] for row in self._rows(shots)]

    def capture(self, shots: Shots, *, progress: Progress = SILENT) -> Iterator[tuple[int, Image]]:
        """Decode the images of the shots, in order.

        Raises:
            UsageError: If there is no such shot.
            ImageError: If a file is not what it was when it was told.
        """
        rows = self._rows(shots)
        told = {self.files[row]: self.digests[row] for row in rows}

        def read(file: ImageFile) -> Image:
            _check_whole(file, told[file])
            return decode(file)

        files, cores = [self.files[row] for row in rows], available_cores()
        return enumerate(in_threads(read, files, workers=cores, name="reading images", progress=progress))

    def _rows(self, shots: Shots) -> list[int]:
        try:
            return [self.rows[pair] for pair in shots.pairs()]
        except KeyError as error:
            name, view = error.args[0]
            raise UsageError(f"no image of '{name}' from {view} was told", "ask for rows of shots()") from error


def _check_whole(file: ImageFile, digest: bytes) -> None:
    try:
        found = bytes.fromhex(digest_file(file.path))
    except OSError as error:
        raise ImageError(f"{file.path}: cannot be read ({error.strerror})", "run: acqplan campaign check") from error
    if found != digest:
        raise ImageError(f"{file.path}: is not the image that was told of {file.origin}", "run: acqplan campaign check")
