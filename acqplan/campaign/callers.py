"""Who asks for shots: processes, of which some die; their leases need not be waited for."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_process() -> str:
    """A name for this process that no other process, earlier or later, has."""
    return f"{socket.gethostname()}/{os.getpid()}/{_started(os.getpid())}"


def this_shell() -> str:
    """A name for whoever calls programs on this machine one after the other, each of which ends at once."""
    return f"shell@{socket.gethostname()}"


def is_gone(caller: str) -> bool:
    """Whether a caller is a process of this machine that does not run any more; of others nobody knows."""
    parts = caller.split("/")
    if len(parts) != 3 or parts[0] != socket.gethostname() or not parts[1].isdigit():
        return False
    number = int(parts[1])
    if Path("/proc/self/stat").exists():
        return _started(number) != parts[2]
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _started(number: int) -> str:
    """When a process was started, in ticks since the machine was; empty if it does not run or nobody says."""
    try:
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = text.rpartition(")")[2].split()
    return "" if fields[0] in ("Z", "X") else fields[19]
