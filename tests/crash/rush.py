"""Many processes that ask and tell at once, and how long each answer took.

``python -m tests.crash.rush --store FILE_OR_URL --work FOLDER --processes 16`` prints what it found as JSON. Processes
start together, take every shot that they get, and end when no more are handed out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from acqplan.campaign.campaign import Campaign
from tests.crash.capturing import MOST_NUMBERS, Journal
from tests.crash.pictures import picture
from tests.crash.verdict import verdict_of

AT_ONCE = 12
PIXELS = 96


def rush(store: Path | str, work: Path, *, processes: int, pixels: int = PIXELS) -> dict[str, object]:
    """Let processes capture a whole campaign at once.

    Args:
        store: A campaign that nobody has begun.
        work: An empty folder for what they note.
        processes: How many.
        pixels: Side of their images.

    Returns:
        What was counted and measured, and what is wrong, fit for JSON.
    """
    begins = time.time() + 0.5 + 0.02 * processes
    born = [_born(store, work, number, begins, pixels) for number in range(processes)]
    for pid in born:
        os.waitpid(pid, 0)
    verdict = verdict_of(work, store, pixels=pixels)
    notes = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(work.glob("times-*"))]
    asks, tells = ([second for note in notes for second in note[name]] for name in ("ask", "tell"))
    seconds = max((note["ended"] for note in notes), default=begins) - begins
    return {
        "processes": processes,
        "shots": verdict["captured"],
        "seconds": round(seconds, 1),
        "shots_per_second": round(len(tells) / seconds, 1),
        "asks_per_second": round(len(asks) / seconds, 2),
        "ask_ms": milliseconds(asks),
        "tell_ms": milliseconds(tells),
        "fewest_and_most_shots_of_a_process": [min(len(n["tell"]) for n in notes), max(len(n["tell"]) for n in notes)],
        "wrong": verdict["wrong"],
    }


def milliseconds(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and longest."""
    ordered = sorted(seconds)
    at = {"p50": len(ordered) // 2, "p99": int(0.99 * len(ordered)), "longest": len(ordered) - 1}
    return {name: round(1000 * ordered[place], 2) for name, place in at.items()}


def _born(store: Path | str, work: Path, number: int, begins: float, pixels: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        _capture(store, work, number, begins, pixels)
    except BaseException:
        (work / f"error-{number}").write_text(traceback.format_exc(), encoding="utf-8")
        os._exit(1)
    os._exit(0)


def _capture(store: Path | str, work: Path, number: int, begins: float, pixels: int) -> None:
    draw, asks, tells = random.Random(number), list[float](), list[float]()
    journal = Journal(work / f"journal-{number}", durable=False)
    with Campaign.open(store) as campaign:
        time.sleep(max(begins - time.time(), 0.0))
        while True:
            started = time.perf_counter()
            shots = campaign.ask(AT_ONCE)
            asks.append(time.perf_counter() - started)
            if not shots:
                break
            for shot in shots:
                own = draw.randrange(MOST_NUMBERS)
                content = picture(own, pixels)
                journal.write("taken", shot.id, own)
                started = time.perf_counter()
                what = campaign.tell(shot, content)
                tells.append(time.perf_counter() - started)
                journal.write(what, shot.id, own)
    times = {"ask": asks, "tell": tells, "ended": time.time()}
    (work / f"times-{number}").write_text(json.dumps(times), encoding="utf-8")


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=16)
    parser.add_argument("--pixels", type=int, default=PIXELS)
    asked = parser.parse_args()
    json.dump(rush(asked.store, asked.work, processes=asked.processes, pixels=asked.pixels), sys.stdout)


if __name__ == "__main__":
    main()
