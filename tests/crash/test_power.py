"""A loss of power on a disk that lies: the end of the database's log and of images is gone."""

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.campaign.check import check_campaign
from acqplan.campaign.events import CAPTURED, Event, Fold
from acqplan.campaign.store import Store
from acqplan.errors import StoreError
from tests.campaign.rigs import GONE
from tests.crash.conftest import BUDGET, STORE
from tests.crash.pictures import picture

TAKEN = 16


def some_taken(folder: Path) -> Campaign:
    campaign = Campaign.open(folder / STORE, caller=GONE)
    number = 0
    while number < TAKEN:
        for shot in campaign.ask(4):
            assert campaign.tell(shot, picture(number), reached={"azimuth": number}) == "captured"
            number += 1
    return campaign


def copied(folder: Path, to: Path, *suffixes: str) -> Path:
    """Files of a campaign as they are, an hour old."""
    to.mkdir()
    for suffix in suffixes:
        if (folder / f"{STORE}{suffix}").exists():
            shutil.copy(folder / f"{STORE}{suffix}", to)
    shutil.copytree(folder / f"{STORE}.images", to / f"{STORE}.images")
    for path in to.glob("*.images/??/*"):
        os.utime(path, (time.time() - 3600, time.time() - 3600))
    return to / STORE


def finish(campaign: Campaign) -> None:
    number = 1000
    while shots := campaign.ask(5):
        for shot in shots:
            number += 1
            assert campaign.tell(shot, picture(number)) == "captured"


def assert_sound(campaign: Campaign) -> None:
    fold = Fold.replay(campaign.settings, campaign.events())
    with campaign.store.reading() as ledger:
        assert fold.state == ledger.state
        records = {record.shot: record for record in ledger.every()}
        assert records == {one.shot: one for one in fold.records.every()}
        assert ledger.state.exposures == ledger.state.budget == BUDGET
    for record in records.values():
        assert record.state != CAPTURED or campaign.images.is_whole(record.image, record.digest)


def told(events: list[Event]) -> dict[str, str]:
    return {event.shot: event.body["digest"] for event in events if event.kind == "told"}


@pytest.mark.parametrize("seed", range(8))
def test_what_is_whole_on_the_disk_is_found_again(begun: Path, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    with some_taken(begun) as campaign:
        truth = campaign.events()
        place = copied(begun, tmp_path / "cut", "", "-wal")
    log = place.with_name(f"{STORE}-wal")
    os.truncate(log, draw.randrange(log.stat().st_size))
    cut = draw.sample(sorted(place.parent.glob("*.images/??/*")), 3)
    for path in cut:
        os.truncate(path, draw.randrange(path.stat().st_size))
    lost = {path.name.rpartition("__")[0] for path in cut}

    store = Store.open(place)
    with store.reading() as ledger:
        left = ledger.events()
    store.close()
    assert left == truth[: len(left)]
    with Campaign.open(place) as mended:  # checks by itself: it has not seen this file before
        with mended.store.reading() as ledger:
            captured = {record.shot: record.digest for record in ledger.every(CAPTURED)}
        assert captured == {shot: digest for shot, digest in told(truth).items() if shot not in lost}
        assert {event.shot for event in mended.events() if event.kind == "damaged"} == lost & set(told(left))
        finish(mended)
        assert_sound(mended)
        assert check_campaign(mended, mend=False)["damaged"] == []


def test_an_image_whose_end_is_gone_is_wanted_again_and_counts_once_if_told_again(begun: Path) -> None:
    with some_taken(begun) as campaign:
        events = [event for event in campaign.events() if event.kind == "told"]
        file = campaign.images.root / events[3].body["image"]
        whole = file.read_bytes()
        os.truncate(file, len(whole) - 7)
        assert check_campaign(campaign, mend=False)["damaged"] == [events[3].shot]
        assert campaign.events()[-1].kind != "damaged"
        assert check_campaign(campaign)["damaged"] == [events[3].shot]
        assert check_campaign(campaign)["damaged"] == []
        with campaign.store.reading() as ledger:
            assert (ledger.state.captured, ledger.state.exposures) == (TAKEN - 1, TAKEN)
        assert campaign.tell(events[3].shot, whole) == "captured"
        with campaign.store.reading() as ledger:
            assert (ledger.state.captured, ledger.state.exposures) == (TAKEN, TAKEN)
        finish(campaign)
        assert_sound(campaign)


def test_telling_an_image_again_mends_its_file(begun: Path) -> None:
    with some_taken(begun) as campaign:
        event = next(event for event in campaign.events() if event.kind == "told")
        os.truncate(campaign.images.root / event.body["image"], 5)
        assert campaign.tell(event.shot, picture(0)) == "already"
        assert campaign.images.is_whole(event.body["image"], event.body["digest"])


def test_images_that_come_back_with_their_disk_are_captured_again(begun: Path, tmp_path: Path) -> None:
    with some_taken(begun) as campaign:
        before = campaign.events()
        root = campaign.images.root
        with campaign.store.reading() as ledger:
            records = {record.shot: record for record in ledger.every(CAPTURED)}
        root.rename(tmp_path / "unplugged")
        with pytest.raises(StoreError, match="folder of images is not there"):
            check_campaign(campaign)
        assert campaign.events() == before
        root.mkdir()
        assert len(check_campaign(campaign)["damaged"]) == TAKEN
        shutil.rmtree(root)
        (tmp_path / "unplugged").rename(root)
        for path in root.glob("??/*"):
            os.utime(path, (time.time() - 3600, time.time() - 3600))
        assert sorted(check_campaign(campaign)["recovered"]) == sorted(records)
        with campaign.store.reading() as ledger:
            again = {record.shot: (record.digest, record.reached) for record in ledger.every(CAPTURED)}
            assert ledger.state.exposures == TAKEN
        assert again == {shot: (record.digest, record.reached) for shot, record in records.items()}


def test_after_a_restart_an_empty_folder_of_images_is_told_and_nothing_is_thrown_away(begun: Path) -> None:
    with some_taken(begun) as campaign:
        before = campaign.events()
        campaign.images.root.rename(begun / "unplugged")
        campaign.images.root.mkdir()
    place = copied(begun, begun / "elsewhere", "", "-wal")
    with pytest.raises(StoreError, match=f"none of {TAKEN} images is there; mount their disk"):
        Campaign.open(place)
    with Campaign.open(place, check=False) as unchecked:
        assert unchecked.events() == before
