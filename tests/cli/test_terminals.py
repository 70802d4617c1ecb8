"""Terminals that lack letters, a closed standard output, and names that are no text: no traceback, and nothing lost."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.errors import UsageError
from acqplan.rig.source import LiveSource
from acqplan.rig.spec import Rig
from acqplan.space import Category, Circle, Interval, Objects, Space
from tests.cli.conftest import LIVE, written

PROGRAM = [sys.executable, "-c", "from acqplan.cli.app import main; main()"]
ENCODINGS = ["cp1252", "ascii", "cp437"]
NAMES = LIVE.replace("car =", '"véhicule" =').replace("cow =", '"牛" =').replace("car-", "véhicule-")


def program(*arguments: object, encoding: str = "utf-8", closed: str = "") -> subprocess.CompletedProcess[bytes]:
    """A command on a terminal of an encoding, with streams closed as ``>&-`` closes them."""
    words = [os.fsencode(argument) if isinstance(argument, Path) else str(argument).encode() for argument in arguments]
    line = " ".join(map(shlex.quote, PROGRAM)).encode() + b' "$@" ' + closed.encode()
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "100"}
    done = subprocess.run([b"sh", b"-c", line, b"sh", *words], capture_output=True, env=environment, check=False)
    assert b"Traceback" not in done.stderr, done.stderr
    return done


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_terminal_that_lacks_letters_gets_others(encoding: str, tmp_path: Path) -> None:
    rig, store, out = written(tmp_path / "rig.toml", NAMES), tmp_path / "s.db", tmp_path / "out"
    done = program("recommend", "--rig", rig, "--budget", 8, "--out", out, encoding=encoding)
    assert done.returncode == 0, done.stderr
    assert "véhicule" in (out / "plan.csv").read_text(encoding="utf-8")
    assert done.stdout.decode(encoding)
    assert program("campaign", "create", "--rig", rig, "--store", store, "--budget", 8).returncode == 0
    status = program("campaign", "status", "--store", store, encoding=encoding)
    assert status.returncode == 0, status.stderr
    bar = "░" * 20 if encoding == "cp437" else "." * 20
    assert bar in status.stdout.decode(encoding)
    document = program("campaign", "status", "--store", store, "--json", encoding=encoding)
    assert json.loads(document.stdout)["by_class"]["牛"]["queued"] == 4
    missing = program("recommend", "--rig", tmp_path / "牛.toml", "--budget", 8, "--out", out, encoding=encoding)
    assert missing.returncode == 3
    assert b"cannot be read" in missing.stderr


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams_lose_nothing(closed: str, tmp_path: Path) -> None:
    rig, store = written(tmp_path / "rig.toml", LIVE), tmp_path / "s.db"
    out = tmp_path / "out"
    assert program("recommend", "--rig", rig, "--budget", 8, "--out", out, closed=closed).returncode == 0
    assert len((out / "plan.csv").read_text().splitlines()) == 9
    assert program("campaign", "create", "--rig", rig, "--store", store, "--budget", 8, closed=closed).returncode == 0
    assert program("campaign", "status", "--store", store, closed=closed).returncode == 0
    assert program("campaign", "check", "--store", store).returncode == 0


def test_paths_that_are_not_utf_8_are_paths(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/odd\xff"))
    odd.mkdir()
    rig = written(odd / "rig.toml", LIVE)
    done = program("recommend", "--rig", rig, "--budget", 8, "--out", odd / "out")
    assert done.returncode == 0, done.stderr
    assert (odd / "out" / "report.html").exists()


def test_an_argument_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    rig, store = written(tmp_path / "rig.toml", LIVE), tmp_path / "s.db"
    assert program("campaign", "create", "--rig", rig, "--store", store, "--budget", 8).returncode == 0
    bad = Path(os.fsdecode(b"J\xfcrgen"))
    for arguments in (
        ["ask", "--caller", bad],
        ["fail", "--shot", bad, "--reason", "blurred"],
        ["pause", "--reason", bad],
        ["events", "--shot", bad],
        ["add-object", "--object", bad, "--label", "car"],
    ):
        done = program("campaign", arguments[0], "--store", store, *arguments[1:])
        assert (done.returncode, done.stdout) == (2, b""), done.stderr
        assert b"error: " in done.stderr


BAD = {"surrogate": "a\udcff", "bytes": b"a", "number": 3, "nothing": None}


@pytest.mark.parametrize("kind", BAD)
def test_names_that_are_no_text_are_refused_by_the_library(kind: str, tmp_path: Path) -> None:
    bad = BAD[kind]
    with pytest.raises(UsageError, match="called so"):
        Objects(names=("a", bad), labels=("x", "x"))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="called so"):
        Objects(names=("a", "b"), labels=("x", bad))  # type: ignore[arg-type]
    for axis in (Circle, Interval):
        with pytest.raises(UsageError, match="called so"):
            axis(name=bad, values=(0.0, 1.0))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="called so"):
        Category(name="light", values=("L0", bad))  # type: ignore[arg-type]
    if bad is None:
        return
    source = LiveSource(
        space=Space(axes=(Interval(name="x", values=(0.0, 1.0)),)), objects=Objects(names=("a", "b"), labels=("x", "y"))
    )
    with pytest.raises(UsageError, match="called so"):
        Campaign.create(Rig(source=source), path=tmp_path / "s.db", budget=2, caller=bad)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
