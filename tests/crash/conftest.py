"""Campaigns to break, disks that are too small, and a PostgreSQL server where there is one."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from acqplan import Campaign
from tests.campaign.postgres import NoServerError, Server, running_server
from tests.campaign.rigs import live_rig

STORE = "rig.db"
BUDGET = 24


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a campaign that nobody has begun."""
    folder = tmp_path_factory.mktemp("template")
    Campaign.create(live_rig(folder), budget=BUDGET, path=folder / STORE, strategy="lattice").close()
    return folder


@pytest.fixture
def begun(template: Path, tmp_path: Path) -> Path:
    """A copy of it to work in."""
    return Path(shutil.copytree(template, tmp_path / "begun"))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    try:
        with running_server() as running:
            yield running
    except NoServerError as error:
        pytest.skip(str(error))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place))
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.fixture
def sealed(begun: Path) -> Iterator[Path]:
    """The folder of the campaign, which nobody may write through this path."""
    place = begun.parent / "sealed"
    place.mkdir()
    mount("--bind", str(begun), str(place))
    try:
        mount("-o", "remount,bind,ro", str(place))
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def mount(*arguments: str) -> None:
    """Mount something, or skip the test."""
    if shutil.which("mount") is None or subprocess.run(["mount", *arguments], capture_output=True).returncode:
        pytest.skip("nothing can be mounted here; only root can")
