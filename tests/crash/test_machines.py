"""Callers that cannot see each other: containers with processes of their own, and boards of one name."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.campaign.machine import this_process
from tests.campaign.postgres import Server
from tests.campaign.rigs import live_rig, named_process
from tests.crash.conftest import STORE
from tests.crash.pictures import picture
from tests.crash.test_kills import ROOT

RIG = """
import sys
from acqplan.campaign.campaign import Campaign
from tests.crash.pictures import picture
with Campaign.open(sys.argv[1]) as campaign:
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "ask":
            print(campaign.caller, *(shot.id for shot in campaign.ask(1)), flush=True)
        elif word == "tell":
            print(campaign.tell(rest[0], picture(int(rest[1]))), flush=True)
        else:
            print(campaign.fail(rest[0], reason="unreachable"), flush=True)
"""
CONTAINERS = {
    "container": ["unshare", "--pid", "--fork", "--mount-proc"],
    "container that sees the processes of its host": ["unshare", "--pid", "--fork"],
}


class Rig:
    """A capture script that does what it is told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def does(self, *words: object) -> list[str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(*words, file=self.process.stdin, flush=True)
        return self.process.stdout.readline().split()


@contextmanager
def rig(store: Path | str, *around: str) -> Iterator[Rig]:
    """A capture script, within a command that puts it elsewhere."""
    command = [*around, sys.executable, "-c", RIG, str(store)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Rig(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


def permitted(*around: str) -> tuple[str, ...]:
    if shutil.which(around[0]) is None or subprocess.run([*around, "true"], capture_output=True).returncode:
        pytest.skip(f"'{' '.join(around)}' is not permitted here; only root may")
    return around


@pytest.fixture
def board(tmp_path: Path) -> tuple[str, ...]:
    """A command that runs another on a board of the same name: one that was started at another time."""
    identifier = tmp_path / "boot_id"
    identifier.write_text("01234567-89ab-cdef-0123-456789abcdef\n", encoding="ascii")
    there = f'mount --bind {identifier} /proc/sys/kernel/random/boot_id && exec "$@"'
    return permitted("unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c", there, "sh")


def assert_both_capture(store: Path | str, *around: str) -> None:
    with rig(store, *around) as other, Campaign.open(store) as campaign:
        caller, theirs = other.does("ask")
        assert caller.split("/")[0] == this_process().split("/")[0]
        (own,) = campaign.ask(1)
        assert own.id != theirs, "what another container has leased is left to it"
        assert own.id not in other.does("ask")[1:]
        assert other.does("tell", theirs, 1) == ["captured"]
        assert campaign.tell(own, picture(2)) == "captured"


@pytest.mark.parametrize("kind", sorted(CONTAINERS))
def test_a_container_keeps_its_leases_beside_processes_that_do_not_see_it(begun: Path, kind: str) -> None:
    assert_both_capture(begun / STORE, *permitted(*CONTAINERS[kind]))


def test_a_board_of_the_same_name_keeps_its_leases(server: Server, tmp_path: Path, board: tuple[str, ...]) -> None:
    url = server.database("boards")
    Campaign.create(live_rig(tmp_path), budget=12, path=url, images=tmp_path / "images", strategy="lattice").close()
    assert_both_capture(url, *board)


def test_processes_of_one_container_take_back_what_a_killed_one_had(begun: Path) -> None:
    inside = (
        f"{sys.executable} -c 'import os, sys; from acqplan.campaign.campaign import Campaign;"
        ' print(Campaign.open(sys.argv[1]).ask(1)[0].id, flush=True); os.kill(os.getpid(), 9)\' "$1"; '
        f"{sys.executable} -c 'import sys; from acqplan.campaign.campaign import Campaign;"
        ' print(Campaign.open(sys.argv[1]).ask(1)[0].id)\' "$1"'
    )
    around = permitted(*CONTAINERS["container"])
    command = [*around, "sh", "-c", inside, "sh", str(begun / STORE)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    first, second = done.stdout.split()
    assert first == second, done.stderr


def test_answers_of_a_lease_that_was_taken_back_end_no_script(begun: Path) -> None:
    with Campaign.open(begun / STORE, caller=named_process(number=999_999_999)) as slow:
        first, second = slow.ask(2)
        with Campaign.open(begun / STORE) as quick:
            assert {shot.id for shot in quick.ask(2)} == {first.id, second.id}  # it was thought to be gone
            assert quick.tell(first, picture(0)) == "captured"
            assert quick.tell(second, picture(1)) == "captured"
        assert slow.tell(first, picture(2)) == "surplus"
        assert slow.tell(first, picture(2)) == "already"
        assert slow.fail(second, reason="unreachable") == "unchanged"
        with slow.store.reading() as ledger:
            assert (ledger.state.captured, ledger.state.exposures) == (2, 3)


def test_leases_of_the_format_before_end_by_time(begun: Path) -> None:
    old = "/".join(named_process(number=999_999_999).split("/")[:3])
    with Campaign.open(begun / STORE, caller=old) as before:
        (held,) = before.ask(1)
    with Campaign.open(begun / STORE) as campaign:
        assert held.id not in {shot.id for shot in campaign.ask(2)}
        late = held.expires + 1.0
    with Campaign.open(begun / STORE, clock=lambda: late) as campaign:
        assert held.id in {shot.id for shot in campaign.ask(1)}
