"""A real benchmark, killed or interrupted at any moment: run again, it ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

if not Path("/proc/self/stat").exists():
    pytest.skip("there is no /proc to find processes that were left behind", allow_module_level=True)

from acqplan.cli.commands import app
from acqplan.files import ABANDONED_SECONDS
from tests.cli.conftest import TOYS
from tests.cli.terminal import interrupted

PROGRAM = (sys.executable, "-c", "from acqplan.cli.app import main; main()", "benchmark")
OPTIONS = ("--backbone", "histogram", "--strategies", "lattice,random-shots", "--budgets", "10,20", "--seeds", "6")
FILES = ("results.csv", "validation.json")
KILLS = {1: 1, 2: 2}
"""How often a run with so many workers is killed."""

PATIENCE_SECONDS = 20.0
"""What a killed run started must be gone by then."""

Command = Callable[[str, int], list[str]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    (folder / "toys.toml").write_text(TOYS)
    return folder


@pytest.fixture(scope="module")
def environment(place: Path) -> Mapping[str, str]:
    return {**os.environ, "ACQPLAN_CACHE": str(place / "cache"), "TERM": "xterm", "COLUMNS": "80"}


@pytest.fixture(scope="module")
def command(place: Path) -> Command:
    """Command line of the benchmark for a folder below the place, and a number of workers."""

    def arguments(out: str, workers: int) -> list[str]:
        own = ("--rig", str(place / "toys.toml"), "--out", str(place / out), "--workers", str(workers))
        return [*PROGRAM, *OPTIONS, *own]

    return arguments


@pytest.fixture(scope="module")
def undisturbed(place: Path, environment: Mapping[str, str], command: Command) -> tuple[float, dict[str, bytes]]:
    """Seconds of a run that nobody disturbs, and what it finds."""
    began = time.monotonic()
    subprocess.run(command("whole", 1), env=dict(environment), capture_output=True, check=True)
    return time.monotonic() - began, found(place / "whole")


def finish(arguments: list[str], environment: Mapping[str, str]) -> None:
    """Run what is left in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACQPLAN_CACHE", environment["ACQPLAN_CACHE"])
        with pytest.raises(SystemExit) as stop:
            app(arguments[len(PROGRAM) - 1 :])
    assert stop.value.code == 0


def found(out: Path) -> dict[str, bytes]:
    return {name: (out / name).read_bytes() for name in FILES}


def kill_after(seconds: float, arguments: list[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start the program as leader of a session of its own, and kill it alone."""
    process = subprocess.Popen(
        arguments,
        env=dict(environment),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    time.sleep(seconds)
    process.kill()
    process.wait()
    return process


def left_behind(session: int) -> list[str]:
    """Processes of a session that have not ended after a while."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while (left := living(session)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def living(session: int) -> list[str]:
    left = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, own = path.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue  # has ended meanwhile
        if int(own) == session and state != "Z":  # a dead process that nobody collects does no harm
            left.append(path.parent.name)
    return left


def visible(out: Path) -> set[str]:
    return {path.name for path in (*out.iterdir(), *(out / "cells").iterdir()) if not path.name.startswith(".")}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_that_is_killed_again_and_again_finds_the_same(
    workers: int,
    place: Path,
    environment: Mapping[str, str],
    command: Command,
    undisturbed: tuple[float, dict[str, bytes]],
) -> None:
    seconds, expected = undisturbed
    moments, out = random.Random(workers), f"killed-{workers}"
    arguments = command(out, workers)
    for _ in range(KILLS[workers]):
        # from a third on: before, it is only being loaded
        killed = kill_after(seconds * moments.uniform(0.33, 1.0), arguments, environment)
        assert left_behind(killed.pid) == []
    finish(arguments, environment)
    assert found(place / out) == expected
    assert visible(place / out) == visible(place / "whole")


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_is_answered_quietly_and_the_run_goes_on(
    workers: int,
    place: Path,
    environment: Mapping[str, str],
    command: Command,
    undisturbed: tuple[float, dict[str, bytes]],
) -> None:
    out = place / f"interrupted-{workers}"
    arguments = command(out.name, workers)
    session = interrupted(arguments, at="cells", after=0.3, environment=environment)
    assert session.code == 130, session.text
    assert session.text.rstrip().endswith("interrupted; what was computed so far is kept in the cache")
    assert "Traceback" not in session.text
    assert "warn" not in session.text.lower()
    assert session.left == []
    assert not list(out.rglob(".*"))
    finish(arguments, environment)
    assert found(out) == undisturbed[1]


def test_what_killed_runs_left_half_written_is_cleared_away_once_nobody_can_be_writing_it(
    place: Path, environment: Mapping[str, str], command: Command, undisturbed: tuple[float, dict[str, bytes]]
) -> None:
    out = place / "whole"
    cell = "cells/.seed-000-split-000.npz"
    ours = [out / ".acqplan-obsolete", out / f"{cell}.x.part", out / ".design.json.x.part"]
    others = [out / ".acqplan-recently", out / f"{cell}.y.part", out / ".film.part"]
    for path in (*ours, *others):
        if "acqplan" in path.name:
            path.mkdir()
            (path / "report.html").write_text("half")
        else:
            path.write_text("half")
    long_ago = time.time() - 2 * ABANDONED_SECONDS
    for path in (*ours, others[-1]):
        os.utime(path, (long_ago, long_ago))
    finish([*command(out.name, 1), "--plan-only"], environment)
    assert not any(path.exists() for path in ours)
    assert all(path.exists() for path in others)
    assert json.loads((out / "design.json").read_text())["digest"]
