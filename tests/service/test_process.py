"""``acqplan serve`` as a process: how it starts, what it refuses, and how it ends."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.campaign.campaign import SERVED
from acqplan.service.server import CONNECTIONS
from tests.service.serving import Served, made, png, until

START = "import sys; from acqplan.cli.app import main; sys.argv = ['acqplan', 'serve', *sys.argv[1:]]; main()"


def command(*options: str) -> list[str]:
    return [sys.executable, "-c", START, *options]


def refused(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    chosen = {**os.environ, **environment}
    return subprocess.run(command(*options), capture_output=True, text=True, timeout=60, env=chosen, check=False)


@contextlib.contextmanager
def process(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], Served]]:
    asked = command("--store", str(folder / "rig.db"), "--port", "0", *options)
    with subprocess.Popen(asked, stderr=subprocess.PIPE, text=True) as one:
        try:
            assert one.stderr is not None
            line = one.stderr.readline()
            assert "live page: http://127.0.0.1:" in line
            with Campaign.open(folder / "rig.db") as campaign:
                yield one, Served(campaign, int(line.split("127.0.0.1:")[1].split("/")[0]))
        finally:
            one.kill()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("options", [(), ("--no-plan",)])
def test_it_serves_until_it_is_told_to_end(tmp_path: Path, ending: signal.Signals, options: tuple[str, ...]) -> None:
    made(tmp_path).close()
    with process(tmp_path, *options) as (one, served):
        (shot,) = served.ask()
        assert served.tell(shot, png(1)).document == {"outcome": "captured"}
        assert served.campaign.store.noted(SERVED) == f"http://127.0.0.1:{served.port}"
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as listener:
            listener.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200 OK" in listener.recv(4096)
            told = time.monotonic()
            one.send_signal(ending)
            assert one.wait(20) == 0
            assert time.monotonic() - told < 5.0
        assert one.stderr is not None
        assert one.stderr.read() == ""
        assert served.campaign.store.noted(SERVED) == ""
        assert [event.kind for event in served.campaign.events()] == ["created", "replanned", "asked", "leased", "told"]


def test_too_many_connections_are_told_so_in_json(tmp_path: Path) -> None:
    made(tmp_path).close()
    with process(tmp_path, "--no-plan") as (_, served), contextlib.ExitStack() as stack:
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=20))
        answer = served.request("GET", "/status")
        assert answer.status == 503
        assert set(answer.document) == {"error", "hint"}
        stack.close()
        until(lambda: served.request("GET", "/status").status == 200)


def test_killed_it_leaves_no_planner_behind(tmp_path: Path) -> None:
    made(tmp_path).close()
    with process(tmp_path) as (one, served):
        until(lambda: children(one.pid) and served.request("GET", "/status").status == 200)
        orphans = children(one.pid)
        one.kill()
        one.wait(20)
        until(lambda: not any(is_running(number) for number in orphans))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "lab.example"])
def test_another_address_needs_a_token(tmp_path: Path, host: str) -> None:
    made(tmp_path).close()
    done = refused("--store", str(tmp_path / "rig.db"), "--host", host, "--port", "0", ACQPLAN_TOKEN="")
    assert done.returncode == 2
    assert "ACQPLAN_TOKEN" in done.stderr


def test_what_cannot_be_served_is_told(tmp_path: Path) -> None:
    assert refused("--store", str(tmp_path / "no.db")).returncode == 3
    made(tmp_path).close()
    store = str(tmp_path / "rig.db")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = refused("--store", store, "--port", str(taken.getsockname()[1]))
    assert (done.returncode, "cannot be used" in done.stderr) == (2, True)
    assert refused("--store", store, "--port", "65536").returncode == 2
    assert refused("--store", store, "--max-upload", "0").returncode == 2
    assert refused("--store", store, "--token", "short").returncode == 2


@pytest.mark.parametrize("missing", ["fastapi", "uvicorn"])
def test_a_missing_extra_is_named(tmp_path: Path, missing: str) -> None:
    made(tmp_path).close()
    hidden = f"import sys; sys.modules[{missing!r}] = None; {START}"
    asked = [sys.executable, "-c", hidden, "--store", str(tmp_path / "rig.db")]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert "pip install 'acqplan[serve]'" in done.stderr


def children(parent: int) -> list[int]:
    found = []
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = place.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(place.parent.name))
    return found


def is_running(number: int) -> bool:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{number}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0] not in ("Z", "X")
    return False
