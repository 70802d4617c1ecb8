"""The real command line, run in this process: what it says, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acqplan.cli.commands import app

TOYS = """source = "toys"
[[axis]]
name = "azimuth"
kind = "circle"
values = "0:300:60"
[[axis]]
name = "elevation"
kind = "interval"
values = [30, 60]
[[axis]]
name = "lighting"
kind = "category"
values = ["L0", "L3"]
[render]
instances = 2
size = 32
"""
LIVE = """source = "live"
[[axis]]
name = "azimuth"
kind = "circle"
values = "0:270:90"
[objects.labels]
car = ["car-0", "car-1"]
cow = ["cow-0", "cow-1"]
"""
QUICK = ("--backbone", "histogram", "--no-validate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    code: object
    out: str
    err: str


Acqplan = Callable[..., Done]


@pytest.fixture
def acqplan(capsys: pytest.CaptureFixture[str]) -> Acqplan:
    """Call ``acqplan`` with these arguments."""

    def call(*arguments: object) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            app([str(argument) for argument in arguments])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Done(code=stop.value.code, out=said.out, err=said.err)

    return call


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(shared_cache))


@pytest.fixture
def toys(tmp_path: Path) -> Path:
    """rig.toml of ten small toys, 24 views each; five are kept for the test."""
    return written(tmp_path / "toys.toml", TOYS)


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """rig.toml of a robot with four objects, 4 views each."""
    return written(tmp_path / "live.toml", LIVE)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """rig.toml of a folder of four objects, 4 views each."""
    manifest(tmp_path, "manifest.csv", ["car-0", "car-1", "cow-0", "cow-1"], range(0, 360, 90))
    return written(tmp_path / "folder.toml", 'source = "folder"\npath = "manifest.csv"\n')


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A folder with an earlier report, and somebody's notes."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name in ("plan.csv", "report.html", "notes.txt"):
        (folder / name).write_text(f"an earlier {name}")
    (folder / "plan.json").write_text('{"acqplan": "0", "strategy": "even", "budget": 9, "shots": []}')
    return folder


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def manifest(folder: Path, name: str, objects: list[str], azimuths: range) -> Path:
    """Noise images and the manifest that lists them; the label is the name before the hyphen."""
    noise = np.random.default_rng(0)
    lines = ["image,label,object,azimuth"]
    for thing in objects:
        for azimuth in azimuths:
            Image.fromarray(noise.integers(0, 256, (24, 24), dtype=np.uint8)).save(folder / f"{thing}_{azimuth}.png")
            lines.append(f"{thing}_{azimuth}.png,{thing.partition('-')[0]},{thing},{azimuth}")
    return written(folder / name, "\n".join(lines) + "\n")


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones included."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Hold a block to leave a folder as it is."""
    before = contents(folder)
    yield
    assert contents(folder) == before


def complaint(done: Done, code: int) -> str:
    """The one message of a command that failed, on stderr alone."""
    assert (done.code, done.out) == (code, "")
    start, _, message = done.err.partition("error: ")
    assert not start
    assert message
    assert "error: " not in message
    assert len(message.splitlines()) <= 2, "what is wrong, then what to do"
    return message
