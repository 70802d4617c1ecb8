"""Callers: whose process has died, and of whom nobody can know."""

import os
import socket
import subprocess
import sys

from acqplan.campaign.machine import is_gone, this_process
from tests.campaign.rigs import named_process

SAY = "from acqplan.campaign.machine import this_process; print(this_process(), flush=True); input()"


def test_a_killed_process_is_gone_and_a_running_one_is_not() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        name = child.stdout.readline().strip()
        assert not is_gone(name)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(name), "dead, though its parent has not looked yet"
        child.wait()
        assert is_gone(name)


def test_this_process_runs_and_is_always_called_the_same() -> None:
    assert not is_gone(this_process())
    assert this_process() == this_process()


def test_another_process_of_the_same_number_is_another() -> None:
    _, number, started, _ = this_process().split("/")
    assert is_gone(named_process(number=int(number), started=str(int(started or 0) + 1)))
    assert not is_gone(named_process(number=int(number), started=started))


def test_of_other_machines_and_of_names_that_people_give_nobody_knows() -> None:
    host, number, started, machine = this_process().split("/")
    assert host == socket.gethostname()
    assert is_gone(f"{host}/999999999/1/{machine}")
    for name in (f"other-{host}/999999999/1/{machine}", f"{host}/999999999/1/{machine[::-1]}", f"{host}/999999999/1"):
        assert not is_gone(name)
    for name in ("rig 1", "", f"{host}/{number}", f"{host}/one/1/{machine}", f"{host}/²/1/{machine}", f"{host}/1/2/3"):
        assert not is_gone(name)
    assert is_gone(f"{host}/{10**30}/{started}/{machine}") in (False, True)
