"""What tells that a file is still the one that was read, without reading it again."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from acqplan.space import Shots

SETTLED_NS: Final = 2_000_000_000
"""A file that changed less than this before it is looked at may change again without its times telling: FAT counts
in steps of 2 s, others in finer ones."""


@runtime_checkable
class Stamped(Protocol):
    """A rig whose images are files, so that what was read of them once can be remembered."""

    def stamps(self, shots: Shots) -> list[bytes]:
        """For each shot what changes whenever its file does; empty where that cannot be told."""


def stamp(path: Path, now_ns: int) -> bytes:
    """Path, size, times of change, inode and device of a file.

    The time of change of the inode cannot be set by programs, unlike that of the content, which copies preserve.

    Args:
        path: The file.
        now_ns: When this is asked, nanoseconds of `time.time_ns`; or any time before.

    Returns:
        Bytes that differ if the file is another or has changed; none if it changed just now, or cannot be seen.

    Source:
        git, Documentation/technical/racy-git.txt: an entry as young as its record is not to be trusted.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - it stands in the innermost loop, where Path.stat takes longer
    except (OSError, ValueError):
        return b""
    if max(status.st_mtime_ns, status.st_ctime_ns) > now_ns - SETTLED_NS:
        return b""
    numbers = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_dev)
    return struct.pack("<qqQQQ", *numbers) + os.fsencode(path)
