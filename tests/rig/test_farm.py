"""Work spread over processes ends with the process that asked for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = """
import os, time
from acqplan.pool import in_order

def slow(number):
    time.sleep(0.05)
    return os.getpid()

if __name__ == "__main__":
    for process in in_order(slow, list(range(2000)), workers=2):
        print(process, flush=True)
"""
PATIENCE_SECONDS = 20.0


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_processes_do_not_outlive_the_one_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    program = subprocess.Popen([sys.executable, str(tmp_path / "program.py")], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    workers = {int(program.stdout.readline()) for _ in range(20)}
    assert workers
    assert program.pid not in workers
    program.kill()
    program.communicate()
    patience = time.monotonic() + PATIENCE_SECONDS
    while any(map(alive, workers)) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not any(map(alive, workers))
