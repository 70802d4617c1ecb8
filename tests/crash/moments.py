"""Death at a moment that can be named: before or after the so-manieth operation on files or the database."""

from __future__ import annotations

import fcntl
import mmap
import os
import signal
from collections.abc import Callable
from typing import Any

import sqlalchemy as sql

OPERATIONS = ("open", "fsync", "replace", "rename", "chmod", "mkdir", "rmdir", "unlink", "close")


class Board:
    """What a process that may be killed did last: memory that it shares with its parent."""

    LENGTH = 64

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, self.LENGTH)

    def write(self, text: str) -> None:
        """Put a few words on it."""
        self._memory[:] = text.encode()[: self.LENGTH].ljust(self.LENGTH)

    def read(self) -> str:
        """The last words."""
        return self._memory[:].decode().rstrip("\0 ")


class Countdown:
    """Kills this process by SIGKILL at the so-manieth moment.

    Attributes:
        left: Moments that are left to live; 0 for no end.
        passed: Moments that it has lived.
    """

    def __init__(self, moments: int, board: Board) -> None:
        self.left, self.passed = moments, 0
        self._board = board

    def tick(self, name: str) -> None:
        """One moment less."""
        self._board.write(name)
        self.left -= 1
        self.passed += 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def install(self) -> None:
        """From now on, before and after each operation is a moment."""
        for name in OPERATIONS:
            setattr(os, name, self._counted(f"os.{name}", getattr(os, name)))
        fcntl.flock = self._counted("flock", fcntl.flock)
        sql.event.listen(sql.Engine, "before_cursor_execute", self._listener("before"))
        sql.event.listen(sql.Engine, "after_cursor_execute", self._listener("after"))

    def _counted(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            self.tick(f"before {name}")
            found = work(*arguments, **named)
            self.tick(f"after {name}")
            return found

        return counted

    def _listener(self, when: str) -> Callable[..., None]:
        def listener(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            self.tick(f"{when} {statement.split()[0]}")

        return listener
