"""Campaigns that are killed, crowded and large: ``python benchmarks/campaign.py``.

Kills: capture processes are killed by SIGKILL 300 times, half by the clock and half before or after an operation on
files or the database; 200 of a process alone, 100 of three at once. Crowds: 16 processes ask for 12 shots and tell
images of 96 x 96 pixels, until 20,000 shots are taken, on SQLite and on a PostgreSQL of their own (left out where none
is installed). Large: 1,010,880 candidates and 50,000 images at hand; a process without numpy asks and tells, and
``acqplan campaign tell`` is timed as a process. All of it waits for the disk: ``write_and_sync_ms`` is its floor.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # the killed and the crowding processes are those of the tests

from common import PROGRAM, machine, options, say, seconds, write  # noqa: E402

from acqplan.campaign.campaign import Campaign  # noqa: E402
from acqplan.rig.spec import Rig, open_rig  # noqa: E402
from tests.campaign.postgres import NoServerError, running_server  # noqa: E402
from tests.crash.pictures import picture  # noqa: E402

AXES = """source = "live"
[[axis]]
name = "azimuth"
kind = "circle"
unit = "deg"
values = "0:{last}:1"
seconds_per_unit = 0.05
[[axis]]
name = "elevation"
kind = "interval"
unit = "deg"
values = "30:70:5"
seconds_per_unit = 0.1
[[axis]]
name = "lighting"
kind = "category"
values = ["L0", "L1", "L2", "L3", "L4", "L5"]
seconds_per_change = 0.2
[shot]
seconds = 0.4
[objects.labels]
"""
OBJECTS_PER_CLASS = 4


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(__doc__, ("--seed", {"type": int, "default": 0}))
    about = machine("cpu")
    say(about)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        results = {
            "kills": _kills(folder, asked.seed, (4, 2) if asked.quick else (200, 100)),
            "crowd": _crowds(folder, 60 if asked.quick else 20_000, 2 if asked.quick else 16),
            "large": _large(folder, *((1, 100, 2) if asked.quick else (13, 50_000, 100))),
        }
        write("campaign", asked, about, results)  # before 90,000 images are taken away, which takes minutes
    if any(part["wrong"] for part in (*results["kills"], *results["crowd"].values()) if "wrong" in part):
        sys.exit(1)


def _kills(folder: Path, seed: int, kills: tuple[int, int]) -> list[dict[str, Any]]:
    """Of a process alone, and of three at once."""
    template = folder / "template"
    template.mkdir()
    budget = 40
    Campaign.create(_rig(folder, n_classes=1, last=9), budget=budget, path=template / "rig.db").close()
    found = []
    for processes, n_kills in zip((1, 3), kills, strict=True):
        work = folder / f"kills-{processes}"
        work.mkdir()
        places = ["--template", str(template), "--work", str(work)]
        numbers = ["--kills", str(n_kills), "--processes", str(processes), "--seed", str(seed)]
        found.append(_said("tests.crash.kills", *places, *numbers))
    return found


def _crowds(folder: Path, shots: int, processes: int) -> dict[str, dict[str, Any]]:
    rig = _rig(folder, n_classes=2, last=359)
    found = {"sqlite": _crowd(folder / "crowd.db", None, rig, shots, processes)}
    try:
        with running_server() as server:
            url, images = server.database("crowd"), folder / "crowd-images"
            found["postgresql"] = _crowd(url, images, rig, shots, processes)
    except NoServerError as error:
        found["postgresql"] = {"left_out": re.sub(r"/\S+", "…", str(error))}
    return found


def _crowd(place: Path | str, images: Path | None, rig: Rig, shots: int, processes: int) -> dict[str, Any]:
    Campaign.create(rig, budget=shots, path=place, images=images, strategy="random-shots").close()
    with tempfile.TemporaryDirectory() as work:
        return _said("tests.crash.rush", "--store", str(place), "--work", work, "--processes", str(processes))


def _large(folder: Path, n_classes: int, n_captured: int, n_asks: int) -> dict[str, Any]:
    """A space of a million shots, of which many are taken."""
    path, rig = folder / "large.db", _rig(folder, n_classes=n_classes, last=359)
    budget = n_captured + 12 * n_asks + 10_000 * (n_captured > 1000) + 100
    created = seconds(lambda: Campaign.create(rig, budget=budget, path=path, strategy="lattice").close())
    fresh = path.stat().st_size
    sizes = ["--captured", str(n_captured), "--asks", str(n_asks)]
    return {
        "candidates": len(rig.source.objects.names) * rig.source.space.n_views,
        "budget": budget,
        "create_seconds": round(created, 1),
        "created_database_mb": round(fresh / 1e6, 1),
        **_said("tests.crash.speed", "--store", str(path), *sizes),
        "process_seconds": _processes(path, folder, times=12 if n_captured > 1000 else 1),
    }


def _processes(store: Path, folder: Path, *, times: int) -> dict[str, float]:
    """Median seconds of one call of the program, from its start to its end."""
    asked = json.loads(_program("ask", "--store", str(store), "--n", str(times))[1])
    image = folder / "image.png"
    tells = []
    for number, shot in enumerate(asked["shots"]):
        image.write_bytes(picture(number, 96))
        tells.append(_program("tell", "--store", str(store), "--shot", shot["id"], "--image", str(image))[0])
    status = [_program("status", "--store", str(store))[0] for _ in range(times)]
    bare = [_timed([sys.executable, "-c", "pass"])[0] for _ in range(times)]
    return {
        name: round(sorted(found)[len(found) // 2], 3)
        for name, found in {"tell": tells, "status": status, "python_alone": bare}.items()
    }


def _program(*arguments: str) -> tuple[float, str]:
    return _timed([sys.executable, "-c", PROGRAM, "campaign", *arguments])


def _timed(command: list[str]) -> tuple[float, str]:
    said: list[str] = []

    def run() -> None:
        said.append(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)

    return seconds(run), said[0]


def _said(module: str, *arguments: str) -> dict[str, Any]:
    """What a module of the tests prints, run as a program."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, env=os.environ)
    found = json.loads(done.stdout)
    print(module.rpartition(".")[2], json.dumps(found, indent=1), flush=True)
    return found


def _rig(folder: Path, *, n_classes: int, last: int) -> Rig:
    """A live rig of 1° steps."""
    labels = []
    for number in range(n_classes):
        names = ", ".join(f'"object-{number:02d}-{one}"' for one in range(OBJECTS_PER_CLASS))
        labels.append(f"class-{number:02d} = [{names}]")
    path = folder / "rig.toml"
    path.write_text(AXES.format(last=last) + "\n".join(labels) + "\n", encoding="utf-8")
    return open_rig(path)


if __name__ == "__main__":
    main()
