"""Files that are whole or absent: atomic replacement and digests."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import signal
import stat
import tempfile
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from acqplan.errors import OutputError

try:
    import fcntl
except ImportError:  # not on Windows: nothing is known of other processes there, and nothing of theirs removed
    fcntl = None  # type: ignore[assignment]

# End of the names of folders in which files are made, and the link through which files of a result come into place.
WORK = ".acqplan-part"
CURRENT = ".acqplan-current"
# What is being written changes within seconds: a temporary file so old was left by a process that was killed.
ABANDONED_SECONDS = 600
# Neither weights nor meshes get smaller by this when they are packed.
MOST_UNPACKED = 50
# File systems of the network: on these, several machines do not see each other's locks or memory
SHARES = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "vboxsf", "vmhgfs-fuse", "prl_fs", "afs", "ceph"}
SHARES |= {"glusterfs", "lustre", "beegfs", "gpfs", "sshfs", "rclone", "s3fs", "davfs", "davfs2", "ncpfs", "gcsfuse"}
# Replacing files takes milliseconds.
PATIENCE_SECONDS = 30


def open_file(path: Path, *, most: int | None = None) -> BinaryIO:
    """Open a file for reading, and nothing else: a device or a pipe could be read without an end.

    Args:
        path: The file.
        most: How many bytes it may have.

    Raises:
        OSError: If it is no file, cannot be read, or is larger; ``strerror`` says why.
    """
    # without waiting for the other end of a pipe
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is a device or a pipe, not a file", str(path))
        if most is not None and found.st_size > most:
            said = f"it has {found.st_size / 1e6:,.0f} MB, more than {most / 1e6:,.0f}"
            raise OSError(errno.EFBIG, said, str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def unpacks_to_far_more(path: Path) -> bool:
    """Whether a file is a zip archive that says it unpacks to over `MOST_UNPACKED` times its size."""
    import zipfile  # few need it, and telling a campaign shall be quick

    try:
        with zipfile.ZipFile(path) as packed:
            return sum(member.file_size for member in packed.infolist()) > MOST_UNPACKED * path.stat().st_size
    except Exception:  # no archive, or a damaged one, about which its reader complains
        return False


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
    temporary = None
    try:
        with uninterrupted():  # Ctrl-C leaves no file of which nobody has the name yet
            descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
            temporary = Path(name)
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
        if temporary:
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
    """Make a folder to write into, parents included; where it is stays known if the program goes elsewhere.

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
    return path.absolute()


def cache_folder() -> Path:
    """Where what can be computed again is kept: ``$ACQPLAN_CACHE``, else the user's cache folder; nothing is made."""
    if given := os.environ.get("ACQPLAN_CACHE"):
        return Path(given).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "acqplan"


@contextlib.contextmanager
def folder_for_result(path: Path) -> Iterator[Path]:
    """Make a folder before long work whose result it shall hold; should the work fail, leave none behind.

    Raises:
        OutputError: If it cannot be made or written.
    """
    missing = [place for place in (path.absolute(), *path.absolute().parents) if not place.exists()]
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

    Files go to a `work_folder` beside it, which is renamed if the block ends without an exception.

    Args:
        path: A folder that does not exist, or is empty.

    Raises:
        OutputError: If the folder holds something, or cannot be written.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise OutputError(f"{path}: is there already", "give a folder that does not exist, or is empty", path=path)
    path = path.absolute()
    with work_folder(path) as temporary:
        yield temporary
        if path.exists():
            path.rmdir()
        temporary.rename(path)


@contextlib.contextmanager
def work_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside a place, for what is moved there once it is whole; it is gone after the block.

    A lock that ends with its process tells whether anybody still works in such a folder: those that killed processes
    left beside ``path`` are removed first.

    Raises:
        OutputError: If it cannot be made or written.
    """
    beside = folder(path.parent)
    if (beside / CURRENT).is_symlink():  # names may lead to such a folder
        with _turn(beside):
            _settle(beside)
    for left in beside.glob(f".*{WORK}"):
        with _locked(left) as is_abandoned:
            if is_abandoned:
                shutil.rmtree(left, ignore_errors=True)
    while True:
        try:
            temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=WORK, dir=beside))
        except OSError as error:
            raise _unwritable(path, error) from error
        with _locked(temporary) as is_mine:
            if is_mine is False or not temporary.exists():
                continue  # another process took it for abandoned before it was locked
            try:
                temporary.chmod(0o777 & ~_umask())
                yield temporary
            except OSError as error:
                raise _unwritable(path, error) from error
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            return


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool | None]:
    """Lock a folder: false if somebody else has, or it is gone; ``None`` where folders cannot be locked."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        yield False
        return
    except (OSError, AttributeError):
        yield None
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        is_mine: bool | None = True
    except BlockingIOError:
        is_mine = False
    except (OSError, AttributeError):
        is_mine = None
    try:
        yield is_mine
    finally:
        os.close(descriptor)


def replace_files(new: Path, out: Path, names: Iterable[str]) -> None:
    """Replace all files of a result in a folder at one moment; those that the new result lacks go.

    Every name becomes a link through `CURRENT`, which then leads to the new files instead of the old ones, and every
    link becomes its file. So a kill at any moment leaves one result, and the next call finishes. Two processes take
    turns.

    Args:
        new: A `work_folder` in ``out`` with the new files, whole.
        out: The folder; what else is in it is left alone.
        names: Names of files that a result may have.

    Raises:
        OSError: If the folder cannot be written.
    """
    with _turn(out), work_folder(out / "old") as old:
        names = [name for name in names if os.path.lexists(out / name) or os.path.lexists(new / name)]
        try:
            for name in names:
                if (out / name).exists():
                    os.link(out / name, old / name)
            _link(old.name, out / CURRENT, within=old)
            for name in names:
                _link(f"{CURRENT}/{name}", out / name, within=old)
            _link(new.name, out / CURRENT, within=old)
        except OSError:  # a file system without links
            for name in names:
                (new / name).replace(out / name) if (new / name).exists() else (out / name).unlink(missing_ok=True)
        _settle(out)


def check_free(out: Path, names: Iterable[str], mark: str, keys: Collection[str]) -> None:
    """Refuse a folder in which a result would replace what is not its own.

    Args:
        out: The folder; it need not exist.
        names: Names of files that the result may have.
        mark: The JSON file by which a folder of such results is known.
        keys: Keys that it has.

    Raises:
        OutputError: Names the first such file.
    """
    taken = [out / name for name in names if (out / name).exists()]
    if any(path.is_dir() for path in taken):
        place = next(path for path in taken if path.is_dir())
        raise OutputError(f"{place}: a folder is where a file shall be written", "choose another folder", path=place)
    try:
        with open_file(out / mark) as handle:
            found = json.load(handle)
    except (OSError, ValueError, RecursionError):
        found = None
    if taken and not (isinstance(found, dict) and all(key in found for key in keys)):
        said = f"{taken[0]}: would be replaced, but this folder holds no such result: {mark} is not one"
        raise OutputError(said, "choose another folder, or move the file away", path=taken[0])


def clear_abandoned(folder: Path, *patterns: str) -> None:
    """Remove temporary files, by patterns of their names, that are so old that nobody can be writing them."""
    latest = time.time() - ABANDONED_SECONDS
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        with contextlib.suppress(OSError):  # another process may have cleared it away
            if path.stat().st_mtime <= latest:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def _link(target: str, path: Path, *, within: Path) -> None:
    """Make a name a link at one moment."""
    (within / ".link").symlink_to(target)
    (within / ".link").replace(path)


def _settle(out: Path) -> None:
    """Make every link through `CURRENT` the file that it leads to; if to none, remove it."""
    if not (out / CURRENT).is_symlink():
        return
    for path in out.iterdir():
        if path.is_symlink() and path.readlink().parts[0] == CURRENT:
            (out / path.readlink()).replace(path) if path.exists() else path.unlink()
    (out / CURRENT).unlink()


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Wait until no other process replaces files in a folder; a killed one gives its turn back.

    Raises:
        OutputError: If another does not end.
    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        for attempt in range(PATIENCE_SECONDS * 100 + 1):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if attempt == PATIENCE_SECONDS * 100:
                    said = f"{folder}: another process has been replacing its files for {PATIENCE_SECONDS} s"
                    raise OutputError(said, "look whether it hangs, or choose another place", path=folder) from error
                time.sleep(0.01)
            except OSError:  # a file system without locks
                break
        yield
    finally:
        os.close(descriptor)


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


def share_of(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """File system of the network that a path is on; empty if it is on a disk of this machine, or that is unknown.

    Args:
        path: A file or folder; it need not exist.
        mounts: What is mounted, as in proc(5).
    """
    place, found = path.resolve(), ("", "")
    for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines() if mounts.exists() else ():
        mount, _, system = line.partition(" - ")
        # spaces in names are written as \040; of mounts one above the other, the last counts
        where = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), mount.split()[4])
        if place.is_relative_to(where) and len(where) >= len(found[0]):
            found = where, system.split()[0]
    return found[1] if found[1].removeprefix("fuse.") in SHARES else ""


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
