"""Many processes at once: no shot leased twice at the same time, no lock that a caller gets to see."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from acqplan import Campaign
from acqplan.rig.spec import Rig, open_rig
from tests.campaign.postgres import Server
from tests.campaign.rigs import LIVE
from tests.crash.test_kills import ROOT

SHOTS, PROCESSES = 400, 8


@pytest.fixture(scope="session")
def wide_rig(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    path = tmp_path_factory.mktemp("wide") / "rig.toml"
    path.write_text(LIVE.replace('"0:300:60"', '"0:350:10"'), encoding="utf-8")
    return open_rig(path)


def rushed(store: Path | str, work: Path) -> dict[str, Any]:
    work.mkdir()
    places = ["--store", str(store), "--work", str(work)]
    command = [sys.executable, "-m", "tests.crash.rush", *places, "--processes", str(PROCESSES), "--pixels", "8"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_fair(found: dict[str, Any]) -> None:
    assert found["wrong"] == []
    assert found["shots"] == SHOTS
    assert found["fewest_and_most_shots_of_a_process"][0] > 0


def test_processes_share_a_file(wide_rig: Rig, tmp_path: Path) -> None:
    Campaign.create(wide_rig, budget=SHOTS, path=tmp_path / "rig.db", strategy="random-shots").close()
    assert_fair(rushed(tmp_path / "rig.db", tmp_path / "work"))


def test_processes_share_a_server(wide_rig: Rig, tmp_path: Path, server: Server) -> None:
    url, images = server.database("rush"), tmp_path / "images"
    Campaign.create(wide_rig, budget=SHOTS, path=url, images=images, strategy="random-shots").close()
    assert_fair(rushed(url, tmp_path / "work"))


def test_a_campaign_that_is_open_when_a_process_forks_serves_both(begun: Path) -> None:
    code = (
        "import os, sys\n"
        "from acqplan.campaign.campaign import Campaign\n"
        "from tests.crash.pictures import picture\n"
        "campaign = Campaign.open(sys.argv[1])\n"
        "campaign.ask(2)\n"
        "child = os.fork()\n"
        "number = 0\n"
        "while shots := campaign.ask(2):\n"
        "    for shot in shots:\n"
        "        number += 2\n"
        "        assert campaign.tell(shot, picture(number + (child == 0))) == 'captured'\n"
        "if not child:\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(begun / "rig.db")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with Campaign.open(begun / "rig.db") as campaign, campaign.store.reading() as ledger:
        callers = {event.body["caller"] for event in ledger.events(kinds=("asked",))}
        assert len(callers) == 2
        assert ledger.state.captured == ledger.state.budget - 2  # asked for before the fork, never told


def test_two_servers_cannot_be_created_in_one_place(begun: Path, wide_rig: Rig) -> None:
    shutil.copy(begun / "rig.db", begun / "other.db")
    from acqplan.errors import UsageError

    with pytest.raises(UsageError, match="a campaign is there already"):
        Campaign.create(wide_rig, budget=5, path=begun / "other.db")
    assert not (begun / "other.db.images").exists()
