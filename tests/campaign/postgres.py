"""A PostgreSQL server for tests and the benchmark: started in a temporary folder, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

USER = "acqplan"
NOBODY = "postgres"
"""Who runs the server where the tests are run by root, whom it refuses."""

SETTINGS = "-c listen_addresses='' -c max_connections=200"


class NoServerError(Exception):
    """PostgreSQL is not installed, or does not start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that runs.

    Attributes:
        programs: Folder of its programs.
        folder: Where it keeps everything, its socket included.
    """

    programs: Path
    folder: Path

    def database(self, name: str) -> str:
        """Make a new database and say its URL."""
        _run(self.programs / "createdb", "--host", self.folder, "--username", USER, name)
        return f"postgresql://{USER}@/{name}?host={self.folder}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        _run(*self._control, "--options", f"{SETTINGS} -k {self.folder}", "start")

    def crash(self) -> None:
        """End all of its processes at once, as they are."""
        _run(*self._control, "--mode", "immediate", "stop")

    @property
    def _control(self) -> tuple[str | Path, ...]:
        return (self.programs / "pg_ctl", "--pgdata", self.folder / "kept", "--log", self.folder / "log", "--wait")


@contextmanager
def running_server() -> Iterator[Server]:
    """A server of this machine's PostgreSQL, which answers on a socket in a temporary folder only.

    Raises:
        NoServerError: If there is none, or it does not start; says why.
    """
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="acqplan-postgresql-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, NOBODY, NOBODY)
        server = Server(programs=programs, folder=folder)
        _run(programs / "initdb", "--pgdata", folder / "kept", "--username", USER, "--auth", "trust", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.crash()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    for folder in [Path(found).resolve().parent] if found else folders[::-1]:
        if (folder / "createdb").exists():
            return folder
    raise NoServerError("PostgreSQL is not installed here; on Debian: apt-get install postgresql")


def _run(*command: str | Path) -> None:
    done = subprocess.run(_as_somebody(command), capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        raise NoServerError(f"{Path(command[0]).name} says: {done.stderr.strip() or done.stdout.strip()}")


def _as_somebody(command: Sequence[str | Path]) -> list[str]:
    words = list(map(str, command))
    if os.geteuid() != 0:
        return words
    if shutil.which("runuser") is None:
        raise NoServerError("PostgreSQL cannot be started by root without runuser")
    return ["runuser", "-u", NOBODY, "--", *words]
