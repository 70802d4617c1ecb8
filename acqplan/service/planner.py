"""Planning and advice in the background: a process of its own, so that no request waits for it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acqplan.campaign.campaign import Campaign
from acqplan.campaign.events import LEASED
from acqplan.errors import AcqplanError, ConflictError, Finished
from acqplan.evaluate.campaign import advise_campaign, due, extract_told, open_extractor, plan_next

if TYPE_CHECKING:
    from acqplan.campaign.events import CampaignState
    from acqplan.features.extractor import Extractor

LOOK_SECONDS = 2.0
"""How often it looks whether a plan is due."""

MORE_SHARE = 0.2
"""Advice is given anew when the images are so much more."""

REST = 5.0
"""Work is followed by a rest of so many times as long as it took."""

LEAST_REST = {"advice": 60.0, "features": 10.0}
AFTER_FAILURE = 60.0
"""Seconds after which what failed is tried again."""

FEWEST_AN_OBJECT = 2
"""Images an object before the first advice."""

NICENESS = 5
"""Rigs and requests go first."""


def work(place: str, pipe: Connection) -> None:
    """Plan and advise until the other end of the pipe is closed.

    Args:
        place: The campaign's store.
        pipe: Brings ``plan`` or ``advice`` when either is wanted now; takes what is done, as of `Planner.state`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server answers Ctrl-C, and ends this process
    if hasattr(os, "nice"):  # not on Windows
        os.nice(NICENESS)
    wishes: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_listen, args=(pipe, wishes), daemon=True).start()
    with Campaign.open(place) as campaign:
        worker = Worker(campaign, pipe.send)
        while True:
            try:
                worker.turn(wishes.get(timeout=LOOK_SECONDS))
            except queue.Empty:
                worker.turn("")


class Worker:
    """Does what is due, one thing at a time.

    Args:
        campaign: The campaign.
        say: Hears what is being done, and what failed.
    """

    def __init__(self, campaign: Campaign, say: Callable[[dict[str, Any]], None]) -> None:
        self._campaign, self._say = campaign, say
        self._failed: dict[str, Any] | None = None
        self._extractor: Extractor | None = None
        self._rests: dict[str, float] = {}
        self._advised = self._extracted = 0

    def turn(self, wish: str) -> None:
        """Do what is wished or due, if anything is."""
        what = wish
        try:
            what = wish or self._due()
            if what:
                self._tell(what)
                self._do(what, forced=bool(wish))
                self._failed = None
                self._tell("")
        except (AcqplanError, Finished) as error:
            said, hint = (error.message, error.hint) if isinstance(error, AcqplanError) else (str(error), "")
            self._failed = {"error": said, "hint": hint}
            self._rests[what] = time.monotonic() + AFTER_FAILURE
            self._tell("")

    def _due(self) -> str:
        if self._may("plan") and due(self._campaign):
            return "plan"
        with self._campaign.store.reading() as ledger:
            standing = ledger.state
        if self._may("advice") and self._wants_advice(standing):
            return "advice"
        return "features" if self._may("features") and standing.captured > self._extracted else ""

    def _do(self, what: str, *, forced: bool) -> None:
        began = time.monotonic()
        with self._campaign.store.reading() as ledger:
            captured = ledger.state.captured
        if captured and self._extractor is None:
            self._extractor = open_extractor(self._campaign)
        if what == "plan":
            plan_next(self._campaign, extractor=self._extractor, force=forced)
            return
        if what == "advice":
            self._advised = captured
            advise_campaign(self._campaign, extractor=self._extractor)
        extract_told(self._campaign, extractor=self._extractor)
        self._extracted = captured
        took = time.monotonic() - began
        self._rests[what] = time.monotonic() + max(REST * took, LEAST_REST[what])

    def _may(self, what: str) -> bool:
        return time.monotonic() >= self._rests.get(what, 0.0)

    def _wants_advice(self, standing: CampaignState) -> bool:
        """Whether there are many more images than at the last advice, or the last of all."""
        known = max(int(standing.advice.get("images", 0)), self._advised)
        is_last = standing.room == 0 and not standing.counts[LEASED] and standing.captured > known
        return is_last or standing.captured >= known + max(MORE_SHARE * known, FEWEST_AN_OBJECT * len(standing.objects))

    def _tell(self, doing: str) -> None:
        self._say({"doing": doing, "failed": self._failed})


def _listen(pipe: Connection, wishes: queue.Queue[str]) -> None:
    try:
        while True:
            wishes.put(pipe.recv())
    except (EOFError, OSError):
        os._exit(0)  # the server is gone; what is not written yet is planned again by the next


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
