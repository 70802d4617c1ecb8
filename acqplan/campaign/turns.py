"""Turns of processes that write: they queue up instead of trying again and again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows: SQLite's own locks hold there, with longer waits
    fcntl = None  # type: ignore[assignment]

from acqplan.errors import OutputError


@contextmanager
def turn(path: Path, *, wanted: bool = True) -> Iterator[None]:
    """Wait until nobody else has the turn; a killed process gives it back.

    Args:
        path: The file that is locked; it stays, empty.
        wanted: Whether to wait at all.

    Raises:
        OutputError: If the file cannot be made.
    """
    if not wanted or fcntl is None:
        yield
        return
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise OutputError(f"{path.parent}: cannot be written ({error.strerror})", "allow writing") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
