"""A program on a terminal of 80 columns, where Ctrl-C goes to all processes of the foreground."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CTRL_C = b"\x03"
PATIENCE_SECONDS = 120.0
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """How a program on a terminal ended.

    Attributes:
        code: Its exit code.
        text: What the terminal showed, without colours.
        left: Processes that were still there afterwards.
    """

    code: int
    text: str
    left: list[str]


def interrupted(arguments: Sequence[str], *, at: str, after: float, environment: Mapping[str, str]) -> Session:
    """Run a program and press Ctrl-C once it has shown a text.

    Args:
        arguments: The program and its arguments.
        at: The text.
        after: Seconds from then on.
        environment: Its environment.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    process = subprocess.Popen(
        arguments,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=dict(environment),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(slave)
    try:
        text = _read(master, at.encode(), after)
        code = process.wait(PATIENCE_SECONDS)
    finally:
        process.kill()
        os.close(master)
    return Session(code=code, text=CONTROL.sub("", text.decode(errors="replace")), left=_left(process.pid))


def _read(master: int, at: bytes, after: float) -> bytes:
    text, press, pressed = b"", float("inf"), False
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.02)[0]:
            part = _part(master)
            if not part:
                break
            text += part
        if at in text:
            press = min(press, time.monotonic() + after)
        if not pressed and time.monotonic() >= press:
            os.write(master, CTRL_C)
            pressed = True
    assert pressed, f"{at!r} was never shown: {text!r}"
    return text


def _part(master: int) -> bytes:
    """What is new; nothing once the last process has closed the terminal, which Linux calls an error."""
    try:
        return os.read(master, 65536)
    except OSError:
        return b""


def _left(session: int) -> list[str]:
    """Processes of a session, after a moment to end."""
    deadline = time.monotonic() + 10.0
    while found := [path.parent.name for path in Path("/proc").glob("[0-9]*/stat") if _session(path) == session]:
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return found


def _session(path: Path) -> int | None:
    try:
        return int(path.read_text().rpartition(")")[2].split()[3])
    except OSError:
        return None
