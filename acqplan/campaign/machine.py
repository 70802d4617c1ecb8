"""Who asks: the process, the machine it runs on, and what time it is there."""

from __future__ import annotations

import os
import socket
import time
import uuid
from functools import cache
from pathlib import Path

from acqplan.files import digest_bytes

BOOT = Path("/proc/sys/kernel/random/boot_id")
DIGITS = 12


@cache
def boot() -> str:
    """Which start of which machine this is; empty if that is unknown. Containers share it with their host."""
    return BOOT.read_text(encoding="ascii").strip() if BOOT.exists() else ""


def this_process() -> str:
    """A name for this process that no other process, earlier or later, has, on this machine or another."""
    return f"{socket.gethostname()}/{os.getpid()}/{_started('self') or ''}/{_digest('pid')}"


def this_shell() -> str:
    """A name for a shell of this machine, whose programs each end at once while their leases go on."""
    return f"shell@{socket.gethostname()}/{_digest()}"


def this_clock() -> str:
    """A name for the clock of this machine since it was started; empty if that is unknown."""
    return _digest("time") if boot() else ""


def ticks() -> float:
    """Seconds since this machine was started, which nobody can set."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def is_gone(caller: str) -> bool:
    """Whether a caller is a process that has ended; nothing is known of those of other machines and containers."""
    host, *parts = caller.split("/")
    if len(parts) != 3 or not parts[0].isdecimal() or os.name != "posix":
        return False
    if (host, parts[2]) != (socket.gethostname(), _digest("pid")):
        return False
    try:
        os.kill(int(parts[0]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # that of another user, which /proc may hide
        pass
    # a container may see the processes of its host in /proc, where its own have other numbers
    is_ours = Path("/proc/self").exists() and str(Path("/proc/self").readlink()) == str(os.getpid())
    return is_ours and _started(parts[0]) not in (None, parts[1])


def _digest(space: str = "") -> str:
    """A short name for this start of this machine, and for the namespace of this process, if asked for."""
    where = Path(f"/proc/self/ns/{space}")
    names = boot() or f"{uuid.getnode():x}", str(where.readlink()) if where.is_symlink() else ""
    return digest_bytes(*map(str.encode, names))[:DIGITS]


def _started(process: str) -> str | None:
    """When a process was started, in ticks since the machine was; empty if it has ended, ``None`` if unknown."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # from field 3 of proc(5) on: state, …; field 22 is the start
    return "" if fields[0] in ("Z", "X") else fields[19]
