"""Turns of writers: forks take none along, and every wait for one ends with a message."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.campaign import store_database, turns
from acqplan.campaign.check import check_campaign
from acqplan.errors import StoreError
from tests.campaign.postgres import Server
from tests.campaign.rigs import live_rig
from tests.crash.conftest import STORE
from tests.crash.test_kills import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

FORKS = """
import os, sys, threading, time
from acqplan.campaign.campaign import Campaign
from tests.crash.pictures import picture
campaign, children = Campaign.open(sys.argv[1]), []
def capture():
    number = 0
    while shots := campaign.ask(1):
        number += 1
        campaign.tell(shots[0], picture(number))
threads = [threading.Thread(target=capture) for _ in range(2)]
for thread in threads:
    thread.start()
while any(thread.is_alive() for thread in threads):
    child = os.fork()
    if not child:
        if len(children) % 2:
            time.sleep(60)  # it has nothing to do with the campaign
        assert len(campaign.events(after=0)) > 1
        campaign.ask(1)
        os._exit(0)
    children.append(child)
    time.sleep(0.02)
for thread in threads:
    thread.join()
idle = children[1::2]
assert all(os.waitpid(child, os.WNOHANG) == (0, 0) for child in idle)
for child in idle:
    os.kill(child, 9)
    os.waitpid(child, 0)
assert all(os.waitpid(child, 0)[1] == 0 for child in children[::2])
print(len(children))
"""


def test_a_process_that_forks_while_its_threads_tell_leaves_the_turn_to_all(begun: Path) -> None:
    command = [sys.executable, "-c", FORKS, str(begun / STORE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1
    with Campaign.open(begun / STORE) as campaign:
        campaign.ask(1)  # takes back what children had asked for
        assert campaign.status()["captured"] > 0
        assert check_campaign(campaign)["records"] == "agree"


INSIDE = """
import os, sys, time
from acqplan.campaign.campaign import Campaign
with Campaign.open(sys.argv[1]) as campaign:
    with campaign.store.writing() as ledger:
        ledger.append("paused", reason="")
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        print("forked", flush=True)
        sys.stdin.readline()
"""


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_child_of_a_fork_within_a_transaction_has_no_turn(begun: Path, is_killed: bool) -> None:
    command = [sys.executable, "-c", INSIDE, str(begun / STORE)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, start_new_session=True, **pipes) as parent:  # type: ignore[call-overload]
        assert parent.stdout.readline() == "forked\n"
        if is_killed:
            parent.kill()
        else:
            parent.stdin.write("\n")
            parent.stdin.flush()
        parent.wait(timeout=30)
        with Campaign.open(begun / STORE) as campaign:
            assert len(campaign.ask(1)) == (1 if is_killed else 0)
        os.killpg(parent.pid, signal.SIGKILL)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits end after a second."""
    monkeypatch.setattr(turns, "BUSY_SECONDS", 1.0)


HOLDERS = {
    "a writer that hangs": "with campaign.store.writing() as ledger:\n    said()",
    "a program of somebody else": (
        "import sqlite3\nc = sqlite3.connect(sys.argv[1], isolation_level=None)\nc.execute('BEGIN IMMEDIATE')\nsaid()"
    ),
}
HOLD = """
import sys
from acqplan.campaign.campaign import Campaign
campaign = Campaign.open(sys.argv[1], check=False)
def said():
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("kind", sorted(HOLDERS))
@pytest.mark.usefixtures("impatient")
def test_a_wait_for_a_lock_ends_and_names_who_has_it(begun: Path, kind: str) -> None:
    command = [sys.executable, "-c", HOLD + HOLDERS[kind], str(begun / STORE)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as holder:  # type: ignore[call-overload]
        assert holder.stdout.readline() == "held\n"
        with Campaign.open(begun / STORE, check=False) as campaign:
            said = f"process {holder.pid} " if Path("/proc/locks").exists() else "another process"
            with pytest.raises(StoreError, match=rf"{said}.*has kept it locked for 1 s; end that process if it hangs"):
                campaign.ask(1)
            holder.communicate("\n")
            assert len(campaign.ask(1)) == 1


@pytest.mark.usefixtures("impatient")
def test_a_wait_on_a_server_ends_and_names_who_has_the_turn(server: Server, tmp_path: Path) -> None:
    psycopg, url = pytest.importorskip("psycopg"), server.database("turns")
    rig = live_rig(tmp_path)
    with Campaign.create(rig, budget=6, path=url, images=tmp_path / "images", strategy="lattice") as campaign:
        with psycopg.connect(url) as other:
            other.execute("SELECT pg_advisory_lock(%s)", (store_database.LOCK,))
            with pytest.raises(StoreError, match=r"process \d+ of the server's machine has kept it locked for 1 s"):
                campaign.ask(1)
        other.close()
        assert len(campaign.ask(1)) == 1


@pytest.mark.usefixtures("impatient")
def test_a_server_ends_the_turn_of_a_machine_of_which_it_hears_nothing(server: Server, tmp_path: Path) -> None:
    url = server.database("silence")
    rig = live_rig(tmp_path)
    with Campaign.create(rig, budget=6, path=url, images=tmp_path / "images", strategy="lattice") as campaign:

        def hang() -> None:
            with Campaign.open(url) as other, other.store.writing() as ledger:
                ledger.append("paused", reason="")
                time.sleep(2.0)

        with pytest.raises(StoreError):
            hang()
        assert len(campaign.ask(2)) == 2
