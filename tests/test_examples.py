"""The examples that a person starts from run as they are."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from acqplan import Campaign
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
    code = "from acqplan.cli.app import main; main()"
    serving = [sys.executable, "-c", code, "serve", "--store", str(store), "--port", "0", "--no-plan"]
    server = subprocess.Popen(serving, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        address = re.search(r"http://[\d.:]+", server.stderr.readline())
        assert address, server.communicate()
        settings = {**os.environ, "URL": address[0], "CAPTURE": str(capture)}
        script = ["sh", str(EXAMPLES / "http_client.sh")]
        done = subprocess.run(
            script, env=settings, capture_output=True, text=True, check=True, timeout=PATIENCE_SECONDS
        )
    finally:
        server.terminate()
        server.communicate()
    assert "finished: the budget of 8 images is spent" in done.stdout
    with Campaign.open(store) as campaign:
        assert campaign.status()["captured"] == 8
        told = [event for event in campaign.events() if event.kind == "told"]
        failed = [event for event in campaign.events() if event.kind == "failed"]
    assert {event.body["reached"][0] for event in told} == {359.5}
    assert {event.body["reason"] for event in failed} == {"the arm's end"}
