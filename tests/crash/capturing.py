"""A capture script as people write it, which keeps a journal of its own: what it took, and what it was told."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from acqplan.campaign.campaign import Campaign
from acqplan.campaign.leases import Shot
from tests.crash.pictures import picture

AT_ONCE = 4
MOST_NUMBERS = 2**48


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a journal.

    Attributes:
        what: ``taken`` before an image is told; afterwards what `Campaign.tell` returned.
        shot: Identifier of the shot.
        number: Of the picture.
    """

    what: str
    shot: str
    number: int


class Journal:
    """Lines that are on the disk before anything else happens; or only written, which survives a kill."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        self.durable = durable
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def write(self, what: str, shot: str, number: int) -> None:
        """Add a line, in one piece."""
        os.write(self._descriptor, f"{what} {number} {shot}\n".encode())
        if self.durable:
            os.fsync(self._descriptor)


def lines_of(path: Path) -> Iterator[Line]:
    """What a journal says; a line that was cut by a kill was not written."""
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else []:
        if line.endswith("\n"):
            what, number, shot = line.rstrip("\n").split(" ", 2)
            yield Line(what=what, shot=shot, number=int(number))


def capture(store: Path | str, path: Path, *, seed: int, tell_again: bool) -> None:
    """Take images until no shot is handed out.

    Args:
        store: The campaign.
        path: The journal.
        seed: Of the pictures.
        tell_again: Whether an image that was taken and perhaps not told before the last kill is told now.
    """
    draw, before = random.Random(seed), list(lines_of(path))
    journal = Journal(path)
    with Campaign.open(store) as campaign:
        if tell_again and before and before[-1].what == "taken":
            _tell(campaign, journal, before[-1].shot, before[-1].number)
        while shots := campaign.ask(AT_ONCE):
            for shot in shots:
                number = draw.randrange(MOST_NUMBERS)
                journal.write("taken", shot.id, number)
                _tell(campaign, journal, shot, number)


def _tell(campaign: Campaign, journal: Journal, shot: Shot | str, number: int) -> None:
    name = shot if isinstance(shot, str) else shot.id
    journal.write(campaign.tell(shot, picture(number), reached={"azimuth": number % 360}), name, number)
