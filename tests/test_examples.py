"""The examples that a person starts from run as they are."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acqplan import Campaign, open_rig
from acqplan.campaign.events import Fold
from acqplan.errors import StoreError
from tests.campaign.rigs import live_rig

EXAMPLES = Path(__file__).parent.parent / "examples"
BUDGET = 60
PATIENCE_SECONDS = 300.0


def captures(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(EXAMPLES / "robot_capture.py"), str(folder), str(BUDGET)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(store: Path) -> int:
    try:
        with Campaign.open(store) as campaign:
            return int(campaign.status()["exposures"])
    except StoreError:  # not made yet
        return 0


def test_the_robot_script_is_short() -> None:
    assert len((EXAMPLES / "robot_capture.py").read_text(encoding="utf-8").splitlines()) <= 60


def test_the_robot_script_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    store, script = tmp_path / "toys.db", captures(tmp_path)
    until = time.monotonic() + PATIENCE_SECONDS
    while told(store) < 5:
        assert script.poll() is None, script.communicate()
        assert time.monotonic() < until, "the script took nothing"
        time.sleep(0.2)
    os.kill(script.pid, signal.SIGKILL)
    script.communicate()
    before = told(store)
    assert 5 <= before < BUDGET
    again = captures(tmp_path)
    out, err = again.communicate(timeout=PATIENCE_SECONDS)
    assert again.returncode == 0, err
    assert f"finished: the budget of {BUDGET} images is spent" in out
    with Campaign.open(store) as campaign:
        status = campaign.status()
        assert status["exposures"] == BUDGET
        assert status["leased"] == 0
        with campaign.store.reading() as ledger:
            standing, records = ledger.state, {record.shot: record for record in ledger.every("captured")}
        assert all(campaign.images.is_whole(one.image, one.digest) for one in records.values())
        assert len(records) == status["captured"]
        assert Fold.replay(campaign.settings, campaign.events()).state == standing


@contextmanager
def served(store: Path) -> Iterator[str]:
    """The address of a campaign, served by a process of its own."""
    code = "from acqplan.cli.app import main; main()"
    serving = [sys.executable, "-c", code, "serve", "--store", str(store), "--port", "0", "--no-plan"]
    server = subprocess.Popen(serving, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        address = re.search(r"http://[\d.:]+", server.stderr.readline())
        assert address, server.communicate()
        yield address[0]
    finally:
        server.terminate()
        server.communicate()


CAPTURE = """#!/bin/sh
case "$2" in *'"elevation":70'*) echo "the arm's end"; exit 1 ;; esac
"{python}" -c "import sys, zlib; from PIL import Image
Image.new('L', (8, 8), zlib.crc32(sys.argv[1].encode()) % 256).save(sys.argv[2], 'PNG')" "$1 $2" "$3"
echo "azimuth=359.5"
"""


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")
def test_the_shell_script_takes_the_budget_over_http(tmp_path: Path) -> None:
    store, capture = tmp_path / "robot.db", tmp_path / "capture"
    Campaign.create(live_rig(tmp_path), budget=8, path=store, failure_limit=1.0).close()
    capture.write_text(CAPTURE.replace("{python}", sys.executable), encoding="utf-8")
    capture.chmod(0o755)
    with served(store) as address:
        settings = {**os.environ, "URL": address, "CAPTURE": str(capture)}
        script = ["sh", str(EXAMPLES / "http_client.sh")]
        done = subprocess.run(
            script, env=settings, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
        )
    assert "finished: the budget of 8 images is spent" in done.stdout
    with Campaign.open(store) as campaign:
        assert campaign.status()["captured"] == 8
        told = [event for event in campaign.events() if event.kind == "told"]
        failed = [event for event in campaign.events() if event.kind == "failed"]
    assert {event.body["reached"][0] for event in told} == {359.5}
    assert {event.body["reason"] for event in failed} == {"the arm's end"}


RENDERS = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 8, 8)"


@pytest.fixture(scope="module")
def renderer() -> dict[str, str]:
    """An environment in which MuJoCo draws without a screen."""
    pytest.importorskip("mujoco")
    for name in ("egl", "osmesa"):
        environment = {**os.environ, "MUJOCO_GL": name}
        tried = subprocess.run([sys.executable, "-c", RENDERS], env=environment, capture_output=True, check=False)
        if tried.returncode == 0:
            return environment
    pytest.skip("MuJoCo finds neither EGL nor OSMesa to draw with")


def arm(environment: dict[str, str], *arguments: str) -> str:
    script = [sys.executable, str(EXAMPLES / "mujoco_capture.py"), *arguments]
    done = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("over", ["library", "http"])
def test_the_simulated_arm_takes_the_budget_and_says_what_it_cannot_reach(
    tmp_path: Path, renderer: dict[str, str], over: str
) -> None:
    store = tmp_path / "arm.db"
    if over == "library":
        said = arm(renderer, str(tmp_path), str(BUDGET))
    else:
        Campaign.create(open_rig(EXAMPLES / "mujoco.toml"), budget=BUDGET, path=store).close()
        with served(store) as address:
            said = arm(renderer, address)
    assert "the budget of 60 images is spent" in said
    with Campaign.open(store) as campaign:
        status, events = campaign.status(), campaign.events()
    assert status["captured"] == BUDGET
    assert status["failures"]["by_reason"].keys() == {"the arm does not reach so high"}
    # it stops where it was sent, and no two images are the same
    assert status["copies"] == 0
    assert len({event.body["digest"] for event in events if event.kind == "told"}) == BUDGET
    for event in events:
        if event.kind == "told":
            azimuth, elevation, lighting = event.body["reached"]
            asked = event.shot.split("_")
            assert abs((azimuth - float(asked[-3]) + 180) % 360 - 180) < 1.0
            assert abs(elevation - float(asked[-2])) < 1.0
            assert lighting == asked[-1]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_examples_are_short_and_compile(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    compile(text, str(path), "exec")
    most = {"mujoco_capture.py": 150, "lerobot_loop.py": 45, "ros2_loop.py": 45}.get(path.name, 60)
    assert len(text.splitlines()) <= most
