"""Relative paths mean what they meant when they were given, wherever a program goes later."""

import os
from pathlib import Path

import pytest

from acqplan import Campaign, open_rig
from acqplan.campaign.export import export_campaign, import_campaign
from acqplan.campaign.store_database import wherever
from acqplan.evaluate.results import Ledger
from acqplan.features.cache import FeatureCache
from acqplan.files import folder_for_result, whole_folder
from tests.campaign.rigs import live_rig
from tests.campaign.test_campaign import picture
from tests.evaluate.benchmark.conftest import make_design


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to go to; the test begins in the folder beside it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    return tmp_path / "elsewhere"


def test_images_go_to_the_folder_of_their_campaign(elsewhere: Path) -> None:
    Campaign.create(live_rig(elsewhere.parent), budget=6, path="rig.db", caller="one").close()
    with Campaign.open("rig.db", caller="one") as campaign:
        os.chdir(elsewhere)
        told = [campaign.tell(shot, picture(number)) for number, shot in enumerate(campaign.ask(6))]
    assert told == ["captured"] * 6
    assert not list(elsewhere.iterdir())
    with Campaign.open("../rig.db") as campaign, campaign.store.reading() as ledger:
        assert all(campaign.images.is_whole(one.image, one.digest) for one in ledger.every("captured"))
        assert ledger.state.captured == 6


def test_a_created_and_an_imported_campaign_stay_where_they_are(elsewhere: Path) -> None:
    rig = live_rig(elsewhere.parent)
    with Campaign.create(rig, budget=6, path="rig.db", images=Path("pictures"), weights="w.pth") as campaign:
        os.chdir(elsewhere)
        campaign.tell(campaign.ask(1)[0], picture(0))
        assert campaign.settings.weights == str(elsewhere.parent / "w.pth")
        export_campaign(campaign, "../export")
    os.chdir(elsewhere.parent)
    with import_campaign("export", "again.db") as again:
        os.chdir(elsewhere)
        again.tell(again.ask(1)[0], picture(1))
        assert len(again.images.names()) == 2
    assert not list(elsewhere.iterdir())


def test_a_rig_knows_its_file(elsewhere: Path) -> None:
    live_rig(elsewhere.parent)
    rig = open_rig("rig.toml")
    os.chdir(elsewhere)
    assert rig.path == elsewhere.parent / "rig.toml"
    with Campaign.create(rig, budget=3, path="rig.db") as campaign:
        assert campaign.events()[0].body["rig"] == str(elsewhere.parent / "rig.toml")


def test_caches_and_results_know_their_place(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", "cache")
    cache = FeatureCache.open()
    with folder_for_result(Path("out")) as out, whole_folder(Path("whole")) as part:
        os.chdir(elsewhere)
        (part / "file").touch()
    assert [cache.root, out] == [elsewhere.parent / name for name in ("cache", "out")]
    assert (elsewhere.parent / "whole" / "file").exists()
    assert not list(elsewhere.iterdir())


def test_stores_are_found_again_by_processes_that_begin_elsewhere(elsewhere: Path) -> None:
    named = wherever("rig.db")
    os.chdir(elsewhere)
    assert wherever(named) == str(elsewhere.parent / "rig.db")
    assert wherever("postgresql://lab/campaigns") == "postgresql://lab/campaigns"


def test_cells_of_a_benchmark_go_to_its_folder(elsewhere: Path) -> None:
    ledger = Ledger(Path("results"), make_design())
    os.chdir(elsewhere)
    assert ledger.cells == elsewhere.parent / "results" / "cells"
    assert ledger.cells.is_dir()


def test_a_folder_of_results_that_failed_is_taken_away_from_elsewhere(elsewhere: Path) -> None:
    def fail() -> None:
        os.chdir(elsewhere)
        raise ValueError

    with pytest.raises(ValueError), folder_for_result(Path("out/deep")):  # noqa: PT011
        fail()
    assert not (elsewhere.parent / "out").exists()
