"""Turns of writers on one file, and what a process that forks keeps of them: nothing."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from acqplan.errors import OutputError, StoreError
from acqplan.numbers import duration

try:
    import fcntl
except ImportError:  # not on Windows: SQLite's own locks hold there, with longer waits
    fcntl = None  # type: ignore[assignment]

BUSY_SECONDS = 120.0  # how long a writer waits for its turn
FORK_SECONDS = 10.0  # how long a fork waits for the transactions of other threads
POLL_SECONDS = (0.0005, 0.004)  # between two looks whether it is a writer's turn, first and at most

ENGINES: weakref.WeakSet[Any] = weakref.WeakSet()
_TURNS: set[int] = set()  # descriptors of turns that this process has, or waits for
_THREADS: Counter[int] = Counter()  # transactions of each thread; under _FORK, how many threads are about to fork
_FORK = 0
_CHANGE = threading.Condition()  # of what is above


@contextmanager
def turn(place: Path | str) -> Iterator[None]:
    """Wait until no other writer of a file has the turn; a killed process gives it back.

    The locked file, ``-turn`` beside it, stays, empty.
    """
    path = Path(f"{place}-turn")
    if fcntl is None:
        yield
        return
    try:
        with _CHANGE:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            _TURNS.add(descriptor)
    except OSError as error:
        raise OutputError(f"{path.parent}: cannot be written ({error.strerror})", "allow writing") from error
    try:
        _lock(descriptor, path)
        yield
    finally:
        with _CHANGE:
            if descriptor in _TURNS:  # otherwise this is a child of a fork, and the turn its parent's
                _TURNS.remove(descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_UN)  # a process that was forked meanwhile would keep it
                os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    pause, end = POLL_SECONDS[0], time.monotonic() + BUSY_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise busy(str(path).removesuffix("-turn"), holder(path)) from error
        except OSError as error:
            said = f"{path.parent}: files cannot be locked here ({error.strerror})"
            raise StoreError(said, "keep the store on a disk of this machine, or on PostgreSQL", path=path) from error
        time.sleep(pause)
        pause = min(2.0 * pause, POLL_SECONDS[1])


def busy(place: str, who: str) -> StoreError:
    """A lock that was waited for in vain."""
    said = f"{place}: {who} has kept it locked for {duration(BUSY_SECONDS)}"
    return StoreError(said, "end that process if it hangs, or ask again", path=place)


def holder(path: Path) -> str:
    """Which process has locked a file, as far as this system says."""
    with suppress(OSError):
        inode = str(path.stat().st_ino)
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            fields = line.split()
            if "->" not in fields and fields[3] == "WRITE" and fields[5].rpartition(":")[2] == inode:
                return f"process {fields[4]} ({Path(f'/proc/{fields[4]}/comm').read_text(encoding='utf-8').strip()})"
    return "another process"


@contextmanager
def transaction_of_thread() -> Iterator[None]:
    """Hold back the forks of other threads."""
    own = threading.get_ident()
    with _CHANGE:
        _CHANGE.wait_for(lambda: _THREADS[own] or not _THREADS[_FORK], FORK_SECONDS)
        _THREADS[own] += 1
    try:
        yield
    finally:
        with _CHANGE:
            _THREADS[own] -= 1
            _CHANGE.notify_all()


def _before_fork() -> None:
    """Let no other thread be within a transaction, and close connections.

    One that two processes share loses data: SQLite would take its parent's locks for its own.
    """
    _CHANGE.acquire()  # until the fork is over
    _THREADS[_FORK] += 1
    others = _THREADS.keys() - {_FORK, threading.get_ident()}
    _CHANGE.wait_for(lambda: not any(_THREADS[thread] for thread in others), FORK_SECONDS)
    for engine in list(ENGINES):
        engine.dispose()


def _after_fork() -> None:
    _THREADS[_FORK] -= 1
    _CHANGE.notify_all()
    _CHANGE.release()


def _after_fork_in_child() -> None:
    for descriptor in _TURNS:  # or its parent's turn would not end with its parent
        os.close(descriptor)
    _TURNS.clear()
    for thread in _THREADS.keys() - {threading.get_ident()}:  # they do not run here
        del _THREADS[thread]
    _CHANGE.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
