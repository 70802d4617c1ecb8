"""Capture processes killed by SIGKILL again and again, until their campaigns are over; then nothing may be missing.

``python -m tests.crash.kills --template FOLDER --work FOLDER --kills 25`` prints what it found as JSON. Half of the
kills come at a moment drawn over the time of a life, half before or after an operation on files or the database.
The process that forks loads neither numpy nor torch, so that a life takes milliseconds to begin.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.capturing import capture
from tests.crash.moments import Board, Countdown
from tests.crash.verdict import Kill, verdict_of

STORE = "rig.db"
LONGEST_SECONDS = 0.12
MOST_MOMENTS = 420
"""About as many as a life of that length has."""

PAUSE_SECONDS = 0.001


@dataclass(slots=True, kw_only=True)
class Life:
    """A capture process.

    Attributes:
        slot: Which of the processes at once it is.
        pid: Its number.
        deadline: When it is killed, if by the clock.
        board: What it did last.
    """

    slot: int
    pid: int
    deadline: float
    board: Board


@dataclass(slots=True, kw_only=True)
class Series:
    """One campaign, captured by processes that are killed.

    Attributes:
        folder: Where everything that happens is kept.
        store: The campaign.
        processes: How many capture at once.
        draw: All its randomness.
        n_kills: After how many it is left in peace.
        kills: Those so far.
    """

    folder: Path
    store: Path | str
    processes: int
    draw: random.Random
    n_kills: int
    kills: list[Kill] = field(default_factory=list)

    def run(self) -> None:
        """Until the campaign is over."""
        lives = {slot: self._born(slot) for slot in range(self.processes)}
        while lives:
            for life in lives.values():
                if time.time() >= life.deadline:
                    os.kill(life.pid, signal.SIGKILL)
            for slot, life in list(lives.items()):
                pid, status = os.waitpid(life.pid, os.WNOHANG)
                if pid:
                    del lives[slot]
                    if self._was_killed(life, status) or not lives:
                        lives |= {} if self._is_over(lives) else {slot: self._born(slot)}
            time.sleep(PAUSE_SECONDS)

    def _born(self, slot: int) -> Life:
        seed, exact = self.draw.getrandbits(48), self.draw.random() < 0.5
        moments, seconds = self.draw.randint(1, MOST_MOMENTS), self.draw.uniform(0.0, LONGEST_SECONDS)
        spared, board = len(self.kills) >= self.n_kills, Board()
        pid = os.fork()
        if pid == 0:
            self._live(slot, seed, Countdown(moments if exact and not spared else 0, board))
        deadline = float("inf") if exact or spared else time.time() + seconds
        return Life(slot=slot, pid=pid, deadline=deadline, board=board)

    def _live(self, slot: int, seed: int, countdown: Countdown) -> None:
        try:
            countdown.install()
            # late images of several processes may come after the shot was handed to another
            tell_again = self.processes == 1 and seed % 2 == 0
            capture(self.store, self.folder / f"journal-{slot}", seed=seed, tell_again=tell_again)
        except BaseException:
            (self.folder / f"error-{os.getpid()}").write_text(traceback.format_exc(), encoding="utf-8")
            os._exit(1)
        os._exit(0)

    def _was_killed(self, life: Life, status: int) -> bool:
        if not os.WIFSIGNALED(status):
            return False
        exact = life.deadline == float("inf")
        self.kills.append(Kill(pid=life.pid, at=time.time(), exact=exact, last=life.board.read()))
        return True

    def _is_over(self, lives: dict[int, Life]) -> bool:
        """Whether the last process has ended by itself: nobody will give a lease back any more."""
        return not lives and bool(list(self.folder.glob("error-*")) or self._finished())

    def _finished(self) -> str:
        from acqplan.campaign.campaign import Campaign

        with Campaign.open(self.store) as campaign:
            return campaign.finished


def killed(template: Path, work: Path, *, n_kills: int, seed: int, processes: int = 1) -> dict[str, object]:
    """Campaigns, one after the other, until so many processes were killed.

    Args:
        template: Folder of a campaign that nobody has begun, ``rig.db``.
        work: Where copies of it go.
        n_kills: Kills in all.
        seed: Of all randomness.
        processes: Processes that capture at once.

    Returns:
        What was counted and what is wrong, fit for JSON.
    """
    draw, kills, verdicts = random.Random(seed), list[Kill](), list[dict[str, Any]]()
    began = time.perf_counter()
    while len(kills) < n_kills:
        folder = work / f"campaign-{len(verdicts)}"
        shutil.copytree(template, folder)
        series = Series(
            folder=folder, store=folder / STORE, processes=processes, draw=draw, n_kills=n_kills - len(kills)
        )
        series.run()
        kills += series.kills
        verdicts.append(verdict_of(folder, series.store, series.kills))
    return _summary(kills, verdicts, processes, began)


def killed_on_a_server(url: str, work: Path, *, n_kills: int, seed: int, processes: int) -> dict[str, object]:
    """The same of one campaign on a server, which ends after at most so many kills."""
    began = time.perf_counter()
    series = Series(folder=work, store=url, processes=processes, draw=random.Random(seed), n_kills=n_kills)
    series.run()
    return _summary(series.kills, [verdict_of(work, url, series.kills)], processes, began)


def _summary(kills: list[Kill], verdicts: list[dict[str, Any]], processes: int, began: float) -> dict[str, object]:
    totals: Counter[str] = Counter()
    for verdict in verdicts:
        totals.update({name: value for name, value in verdict.items() if isinstance(value, int)})
    return {
        "kills": len(kills),
        "by_the_clock": sum(not kill.exact for kill in kills),
        "last_moments": dict(sorted(Counter(kill.last or "before all" for kill in kills).items())),
        "campaigns": len(verdicts),
        "processes": processes,
        "totals": dict(totals),
        "wrong": [wrong for verdict in verdicts for wrong in verdict["wrong"]],
        "longest_seconds_orphaned": round(max(verdict["seconds_orphaned"] for verdict in verdicts), 3),
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--template", type=Path, help="folder of a campaign that nobody has begun")
    parser.add_argument("--url", help="of such a campaign on a server, in place of a folder")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    numbers = {"n_kills": asked.kills, "seed": asked.seed, "processes": asked.processes}
    if asked.url:
        json.dump(killed_on_a_server(asked.url, asked.work, **numbers), sys.stdout)
    else:
        json.dump(killed(asked.template, asked.work, **numbers), sys.stdout)


if __name__ == "__main__":
    main()
