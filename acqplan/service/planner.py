"""Planning and advice in the background: a process of its own, so that no request waits for it."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from acqplan.errors import ConflictError
from acqplan.service.planning import work

AGAIN_SECONDS = 30.0
"""A planner that died (killed for its memory, say) is started again after so long."""


class NoPlanner:
    """Where somebody else plans."""

    def start(self) -> None:
        """Nothing is started."""

    def stop(self) -> None:
        """Nothing is stopped."""

    def want(self, what: str) -> None:
        """Refuse to plan.

        Raises:
            ConflictError: Always.
        """
        raise ConflictError(f"no {what} in the background here", "start acqplan serve without --no-plan")

    def state(self) -> dict[str, Any]:
        """That it is off."""
        return {"on": False, "doing": "", "failed": None}


class Planner:
    """Plans when a plan is due, and advises now and then.

    Args:
        place: The campaign's store.
    """

    def __init__(self, place: Path | str) -> None:
        self._place = str(place)
        self._state: dict[str, Any] = {"doing": "", "failed": None}
        self._ending, self._sending = threading.Event(), threading.Lock()
        self._pipe: Connection | None = None
        self._process: BaseProcess | None = None
        self._thread = threading.Thread(target=self._keep_alive, name="planner", daemon=True)

    def start(self) -> None:
        """Begin to look whether a plan is due."""
        self._thread.start()

    def stop(self) -> None:
        """End at once: a plan is written as a whole or not at all."""
        self._ending.set()
        if self._process is not None:
            self._process.terminate()
        self._thread.join()

    def want(self, what: str) -> None:
        """Ask for ``plan`` or ``advice`` as soon as it is done with what it does.

        Raises:
            ConflictError: If it is not running.
        """
        sleeping = ConflictError("the planner is not running", "ask again in half a minute")
        if self._pipe is None:
            raise sleeping
        try:
            with self._sending:
                self._pipe.send(what)
        except OSError as error:
            raise sleeping from error

    def state(self) -> dict[str, Any]:
        """What it is doing, and what failed last: ``{"on", "doing", "failed": {"error", "hint"} or None}``."""
        return {"on": True, **self._state}

    def _keep_alive(self) -> None:
        while not self._ending.is_set():
            self._run()
            self._ending.wait(AGAIN_SECONDS)

    def _run(self) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawning.Pipe()
        self._process = spawning.Process(target=work, args=(self._place, theirs), name="planner", daemon=True)
        self._process.start()
        theirs.close()
        with contextlib.suppress(EOFError, OSError):  # how the end of a process is heard
            while not self._ending.is_set():
                self._state = self._pipe.recv()
        self._process.terminate()
        self._process.join()
        if not self._ending.is_set():
            said = f"the planner ended unexpectedly (exit code {self._process.exitcode})"
            self._state = {"doing": "", "failed": {"error": said, "hint": "it is started again; see the log"}}
        self._pipe.close()
