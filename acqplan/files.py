"""Files that are whole or absent: atomic replacement and digests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from acqplan.errors import OutputError


@contextlib.contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Write a file so that readers see the old or the new one, never a part.

    The text or bytes go to a temporary file beside ``path``, are flushed to the disk, and are
    renamed over ``path`` only if the block ends without an exception.

    Args:
        path: The file to replace; its folder must exist.
        mode: ``"w"`` for text in UTF-8, ``"wb"`` for bytes.

    Raises:
        OutputError: If the folder cannot be written, or the disk is full.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    temporary = Path(name)
    try:
        encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
        with os.fdopen(descriptor, mode, encoding=encoding, newline=newline) as handle:
            yield handle
            handle.flush()
            os.fsync(handle.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make new names in a folder survive a loss of power; a system that cannot synchronise folders needs no help.

    Raises:
        OutputError: If it cannot be synchronised.
    """
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise _unwritable(path, error) from error


def folder(path: Path) -> Path:
    """Make a folder to write into, parents included.

    Raises:
        OutputError: If it cannot be made or written.
    """
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        raise OutputError(f"{path}: cannot be a folder, as {there} is a file", "choose another place", path=path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    if not os.access(path, os.W_OK):
        raise OutputError(f"{path}: this folder cannot be written", "choose another place", path=path)
    return path


def cache_folder() -> Path:
    """Where what can be computed again is kept: ``$ACQPLAN_CACHE``, else the user's cache folder; nothing is made."""
    if given := os.environ.get("ACQPLAN_CACHE"):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "acqplan"


@contextlib.contextmanager
def folder_for_result(path: Path) -> Iterator[Path]:
    """Make a folder before long work whose result it shall hold; should the work fail, leave none behind.

    Raises:
        OutputError: If it cannot be made or written.
    """
    missing = [place for place in (path, *path.parents) if not place.exists()]
    try:
        yield folder(path)
    except BaseException:
        for place in missing:
            with contextlib.suppress(OSError):  # not made, or not empty any more
                place.rmdir()
        raise


@contextlib.contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Write a folder so that it is there with everything in it, or not at all.

    Files go to a temporary folder beside it, which is renamed if the block ends without an exception.

    Args:
        path: A folder that does not exist, or is empty.

    Raises:
        OutputError: If the folder holds something, or cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path}: is there already", "give a folder that does not exist, or is empty", path=path)
    beside = folder(path.absolute().parent)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=beside))
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            path.rmdir()
        temporary.rename(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back for a moment in which half the work would be worse than none."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or threading.current_thread() is not threading.main_thread():
        yield  # somebody else answers
        return
    pressed: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt


def digest_bytes(*parts: bytes) -> str:
    """SHA-256 of the parts, each preceded by its length, as 64 hexadecimal digits."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(8, "big"))
        sha.update(part)
    return sha.hexdigest()


def digest_content(content: bytes) -> str:
    """SHA-256 of the bytes of a file, as `digest_file` and sha256sum give it."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def _unwritable(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    return OutputError(f"{path}: cannot be written ({reason})", "choose another place, or make room", path=path)
