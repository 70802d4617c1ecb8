"""Capture processes killed by SIGKILL at any moment: nothing lost, nothing counted twice, exactly the budget.

The same 300 times: ``python benchmarks/campaign.py``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from acqplan import Campaign
from acqplan.campaign.check import check_campaign
from acqplan.errors import StoreError
from tests.campaign.postgres import Server
from tests.campaign.rigs import live_rig
from tests.crash.conftest import BUDGET
from tests.crash.moments import Board, Countdown
from tests.crash.pictures import picture

ROOT = Path(__file__).parent.parent.parent


def killed(*place: str, work: Path, kills: int, seed: int, processes: int) -> dict[str, Any]:
    places = [*place, "--work", str(work)]
    numbers = ["--kills", str(kills), "--seed", str(seed), "--processes", str(processes)]
    command = [sys.executable, "-m", "tests.crash.kills", *places, *numbers]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("processes", "kills"), [(1, 25), (3, 15)])
def test_no_kill_loses_an_image_or_counts_one_twice(template: Path, tmp_path: Path, processes: int, kills: int) -> None:
    found = killed("--template", str(template), work=tmp_path, kills=kills, seed=6 + processes, processes=processes)
    assert found["wrong"] == []
    assert found["kills"] >= kills
    assert found["totals"]["captured"] == found["campaigns"] * BUDGET
    assert found["totals"]["leases_taken_back"] > 0
    assert found["longest_seconds_orphaned"] < 60.0  # a lease is 600 seconds


def test_no_kill_loses_an_image_on_a_server(server: Server, tmp_path: Path) -> None:
    url, work = server.database("kills"), tmp_path / "work"
    work.mkdir()
    Campaign.create(live_rig(tmp_path), budget=BUDGET, path=url, images=tmp_path / "images", strategy="lattice").close()
    found = killed("--url", url, work=work, kills=10, seed=3, processes=2)
    assert found["wrong"] == []
    assert found["kills"] > 0
    assert found["totals"]["captured"] == BUDGET


def test_a_server_that_crashes_loses_no_image(server: Server, tmp_path: Path) -> None:
    url = server.database("crash")
    rig = live_rig(tmp_path)
    with Campaign.create(rig, budget=6, path=url, images=tmp_path / "images", strategy="lattice") as campaign:
        shots = campaign.ask(6)
        for number in range(3):
            assert campaign.tell(shots[number], picture(number)) == "captured"
        server.crash()
        try:
            with pytest.raises(StoreError, match="the database says"):
                campaign.tell(shots[3], picture(3))
        finally:
            server.start()
        assert campaign.tell(shots[2], picture(2)) == "already"
        assert [campaign.tell(shots[number], picture(number)) for number in (3, 4, 5)] == ["captured"] * 3
        assert check_campaign(campaign)["images"] == 6
        assert "the budget of 6 images is spent" in campaign.finished


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_creation_that_was_killed_is_done_again_or_was_done(tmp_path: Path) -> None:
    rig, moments, ends = live_rig(tmp_path), 1, set[int]()
    while True:
        place = tmp_path / f"{moments}.db"
        if not (child := os.fork()):
            Countdown(moments, Board()).install()
            Campaign.create(rig, budget=6, path=place, strategy="lattice")
            os._exit(0)
        was_killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        try:
            campaign = Campaign.open(place)
        except StoreError:
            campaign = Campaign.create(rig, budget=6, path=place, strategy="lattice")
            ends.add(moments)
        with campaign:
            assert campaign.tell(campaign.ask(1)[0], picture(moments)) == "captured"
        if not was_killed:
            break
        moments += 5
    assert 1 < len(ends) < moments // 5, "some were killed before, and some after"
