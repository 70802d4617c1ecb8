"""Ctrl-C on a real terminal, at several moments: no harm, and the work goes on where it was."""

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from acqplan.features.cache import HEADER
from tests.cli.conftest import QUICK, TOYS, Acqplan, contents, untouched, written

if not Path("/proc/self/stat").exists():
    pytest.skip("there is no /proc to find processes that were left behind", allow_module_level=True)

from tests.cli.terminal import interrupted

MANY = TOYS.replace("0:300:60", "0:350:10").replace("[30, 60]", '"30:70:10"').replace('["L0", "L3"]', '["L0"]')
"""So many poses that several processes render them."""
KEPT = ["notes.txt", "plan.csv", "plan.json", "report.html"]
"""What is there of a plan that is not compared yet; the notes are the user's."""


def interrupt(*arguments: object, at: str, after: float, out: Path, keeps_plan: bool = False) -> None:
    """Press Ctrl-C, and look for harm: an earlier result stays, or a plan that was there by then takes its place."""
    program = [sys.executable, "-c", "from acqplan.cli.app import main; main()", "recommend", "--out", str(out)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    with nullcontext() if keeps_plan else untouched(out):
        session = interrupted([*program, *map(str, arguments)], at=at, after=after, environment=environment)
    assert ("the plan is kept in" in " ".join(session.text.split())) == keeps_plan
    assert session.code == 130, session.text
    assert session.text.rstrip().endswith("interrupted; what was computed so far is kept in the cache")
    assert "Traceback" not in session.text
    assert session.left == []
    assert not any(path.is_dir() for path in out.iterdir())


def cached_images(cache: Path) -> int:
    assert not list(cache.rglob("*.part"))
    headers = [HEADER.unpack(path.read_bytes()[: HEADER.size]) for path in cache.rglob("*.features")]
    return sum(n_images for _, n_images, _ in headers)


def test_ctrl_c_while_loading_keeps_the_plan_without_pictures(toys: Path, out: Path) -> None:
    interrupt("--rig", toys, "--budget", 40, *QUICK, at="loading torch", after=0.3, out=out, keeps_plan=True)
    assert sorted(contents(out)) == KEPT


def test_ctrl_c_while_writing_leaves_the_earlier_report(live: Path, out: Path) -> None:
    live.write_text(live.read_text().replace("0:270:90", "0:359:1"))  # a report that takes a second to write
    interrupt("--rig", live, "--budget", 1440, at="writing the report", after=0.0, out=out)


def test_ctrl_c_while_rendering_loses_no_image_that_was_done(
    acqplan: Acqplan, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig, cache = written(tmp_path / "rig.toml", MANY), tmp_path / "cache"
    monkeypatch.setenv("ACQPLAN_CACHE", str(cache))
    arguments = ("--rig", rig, "--budget", 360, "--strategy", "benchmarks.ideas:Allocate", *QUICK)
    interrupt(*arguments, at="plan  ", after=0.4, out=out)
    assert 180 <= cached_images(cache) <= 360, "the earlier rounds, and what was done of the last"
    assert acqplan("recommend", *arguments, "--out", tmp_path / "rerun").code == 0
    assert cached_images(cache) == 360

    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "another cache"))
    assert acqplan("recommend", *arguments, "--out", tmp_path / "undisturbed").code == 0
    assert contents(tmp_path / "rerun")["plan.csv"] == contents(tmp_path / "undisturbed")["plan.csv"]


def test_ctrl_c_while_heads_are_trained_leaves_all_features(
    acqplan: Acqplan, toys: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("ACQPLAN_CACHE", str(cache))
    arguments = ("--rig", toys, "--budget", 40, "--backbone", "histogram")
    interrupt(*arguments, at="training heads", after=0.2, out=out, keeps_plan=True)
    kept, before = contents(out), contents(cache)
    assert sorted(kept) == KEPT
    assert acqplan("recommend", *arguments, "--out", tmp_path / "rerun").code == 0
    assert contents(cache) == before, "nothing was left to compute"

    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "another cache"))
    assert acqplan("recommend", *arguments, "--out", tmp_path / "undisturbed").code == 0
    rerun, undisturbed = contents(tmp_path / "rerun"), contents(tmp_path / "undisturbed")
    assert rerun["validation.json"] == undisturbed["validation.json"]
    assert rerun["plan.csv"] == undisturbed["plan.csv"] == kept["plan.csv"]


def test_ctrl_c_in_a_callback_of_the_garbage_collector_is_not_lost(tmp_path: Path) -> None:
    """Python prints and drops an interrupt that falls there; a report of many figures spends much time there."""
    program = written(
        tmp_path / "program.py",
        """
import gc, signal, time
from acqplan.cli.console import exit_codes

class Garbage:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

with exit_codes():
    garbage = Garbage()
    garbage.itself = garbage
    del garbage
    gc.collect()
    time.sleep(20)
    print("went on")
""",
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True)
    assert done.stdout == ""
    assert done.stderr.startswith("interrupted; what was computed so far is kept in the cache")
