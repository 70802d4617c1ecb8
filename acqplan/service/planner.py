"""Planning and advice in the background: a process of its own, so that no request waits for it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acqplan.campaign.campaign import Campaign
from acqplan.campaign.events import LEASED
from acqplan.campaign.store_database import wherever
from acqplan.errors import AcqplanError, ConflictError, Finished
from acqplan.evaluate.campaign import advise_campaign, due, extract_captured, open_extractor, plan_next
from acqplan.pool import serve_parent

if TYPE_CHECKING:
    from acqplan.features.extractor import Extractor

LOOK_SECONDS = 2.0  # interval at which the process looks whether a plan is due
MORE_SHARE = 0.2  # advice is given anew once there are so many more images, as a share of those it was given from
FEWEST_PER_OBJECT = 2  # images per object before the first advice
REST = 5.0  # work is followed by a rest of so many times as long as it took
LEAST_REST = {"advice": 60.0, "features": 10.0}
AFTER_FAILURE = 60.0  # seconds after which what failed is tried again
RESTART_SECONDS = 30.0  # seconds after which a process that died (killed for its memory, say) is started again
NICENESS = 5  # rigs and requests go first


class Planner:
    """Plans when a plan is due, and advises now and then, in a process that is restarted if it dies.

    Args:
        place: The campaign's store.
    """

    def __init__(self, place: Path | str) -> None:
        self._place = wherever(place)
        self._state: dict[str, Any] = {"doing": "", "failed": None}
        self._wanted: set[str] = set()
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
        """Ask for ``plan`` or ``advice`` as soon as what is being done is done; asking twice asks once.

        Raises:
            ConflictError: If it is not running.
        """
        sleeping = ConflictError("the planner is not running", "ask again in half a minute")
        if self._pipe is None:
            raise sleeping
        try:
            with self._sending:
                if what not in self._wanted:  # or the pipe might be full, and the request wait for the process
                    self._pipe.send(what)
                    self._wanted.add(what)
        except OSError as error:
            raise sleeping from error

    def state(self) -> dict[str, Any]:
        """What it is doing, and what failed last: ``{"on", "doing", "failed": {"error", "hint"} or None}``."""
        return {"on": True, **self._state}

    def _keep_alive(self) -> None:
        spawning = multiprocessing.get_context("spawn")
        while not self._ending.is_set():
            with self._sending:
                self._pipe, theirs = spawning.Pipe()
                self._wanted.clear()
            self._process = spawning.Process(target=work, args=(self._place, theirs), name="planner", daemon=True)
            self._process.start()
            theirs.close()
            with contextlib.suppress(EOFError, OSError):  # the pipe breaks when the process ends
                while not self._ending.is_set():
                    self._state = self._pipe.recv()
                    self._wanted.discard(self._state["doing"])
            # Either the server ends, or the process has died; its exit code is known after the join.
            self._process.terminate()
            self._process.join()
            if not self._ending.is_set():
                said = f"the planner ended unexpectedly (exit code {self._process.exitcode})"
                self._state = {"doing": "", "failed": {"error": said, "hint": "it is started again; see the log"}}
            self._pipe.close()
            self._ending.wait(RESTART_SECONDS)


def work(place: str, pipe: Connection) -> None:
    """Plan and advise until the server ends.

    Args:
        place: The campaign's store.
        pipe: Brings ``plan`` or ``advice`` when either is wanted now; takes what is done, see `Planner.state`.
    """
    serve_parent()  # a plan that is not written yet is made again by the next process
    if hasattr(os, "nice"):  # not on Windows
        os.nice(NICENESS)
    with Campaign.open(place) as campaign, contextlib.suppress(EOFError, ConnectionError):
        worker = Worker(campaign, pipe.send)
        while True:
            worker.turn(pipe.recv() if pipe.poll(LOOK_SECONDS) else "")


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
        self._again_at: dict[str, float] = {}
        self._advised = self._extracted = 0

    def turn(self, wish: str) -> None:
        """Do what is wished or due, if anything is."""
        what = wish
        try:
            what = wish or self._due()
            if what:
                self._tell(what)
                began = time.monotonic()
                with self._campaign.store.reading() as ledger:
                    captured = ledger.state.captured
                # The backbone is loaded once, and not before there are images.
                if captured and self._extractor is None:
                    self._extractor = open_extractor(self._campaign)
                if what == "plan":
                    plan_next(self._campaign, extractor=self._extractor, force=bool(wish))
                else:
                    if what == "advice":
                        self._advised = captured
                        advise_campaign(self._campaign, extractor=self._extractor)
                    extract_captured(self._campaign, extractor=self._extractor)
                    self._extracted = captured
                    seconds = time.monotonic() - began
                    self._again_at[what] = time.monotonic() + max(REST * seconds, LEAST_REST[what])
                self._failed = None
                self._tell("")
        except (AcqplanError, Finished) as error:
            said, hint = (error.message, error.hint) if isinstance(error, AcqplanError) else (str(error), "")
            self._failed = {"error": said, "hint": hint}
            self._again_at[what] = time.monotonic() + AFTER_FAILURE
            self._tell("")

    def _tell(self, doing: str) -> None:
        self._say({"doing": doing, "failed": self._failed})

    def _due(self) -> str:
        rested = {what for what in ("plan", "advice", "features") if time.monotonic() >= self._again_at.get(what, 0.0)}
        if "plan" in rested and due(self._campaign):
            return "plan"
        with self._campaign.store.reading() as ledger:
            standing = ledger.state
        # Advice is due with many more images than at the last advice, and with the last image of all.
        known = max(int(standing.advice.get("images", 0)), self._advised)
        more = max(MORE_SHARE * known, FEWEST_PER_OBJECT * len(standing.objects))
        is_last = standing.room == 0 and not standing.counts[LEASED] and standing.captured > known
        if "advice" in rested and (is_last or standing.captured >= known + more):
            return "advice"
        # Features that are computed early do not delay the next plan.
        return "features" if "features" in rested and standing.captured > self._extracted else ""
