"""Stores of other versions, and files that are no store."""

import json
import random
import sqlite3
from pathlib import Path

import pytest

from acqplan import Campaign
from acqplan.campaign.check import check_campaign
from acqplan.campaign.store_database import VERSION
from acqplan.errors import StoreError
from tests.crash.conftest import STORE
from tests.crash.pictures import picture


def altered(folder: Path, *commands: str) -> Path:
    """The store after some commands of SQL, of which each is one."""
    with sqlite3.connect(folder / STORE) as connection:
        for command in commands:
            connection.execute(command)
    connection.close()
    return folder / STORE


@pytest.fixture
def used(begun: Path) -> Path:
    """A campaign of which something has happened."""
    with Campaign.open(begun / STORE) as campaign:
        first, second, *_ = campaign.ask(4)
        campaign.tell(first, picture(0))
        campaign.fail(second, reason="no light")
    return begun


def test_a_store_of_the_first_version_opens_with_all_that_happened(used: Path) -> None:
    with Campaign.open(used / STORE) as campaign:
        before = campaign.events()
        with campaign.store.reading() as ledger:
            records, standing = {record.shot: record for record in ledger.every()}, ledger.state
    indexes = [f"DROP INDEX {name}" for name in ("queue", "tallies", "kinds")]
    altered(used, *indexes, "ALTER TABLE records DROP COLUMN barred")
    altered(used, "UPDATE facts SET text = '1' WHERE name = 'version'")
    with Campaign.open(used / STORE) as campaign:
        assert campaign.events() == before
        with campaign.store.reading() as ledger:
            assert {record.shot: record for record in ledger.every()} == records
            assert ledger.state == standing
        assert campaign.store.noted("version") == str(VERSION)
        assert len(campaign.ask(3)) == 3


def test_a_store_of_a_newer_version_is_refused_and_left_alone(used: Path) -> None:
    place = altered(used, f"UPDATE facts SET text = '{VERSION + 1}' WHERE name = 'version'")
    with pytest.raises(StoreError, match=f"layout {VERSION + 1}; this acqplan knows {VERSION}; update acqplan"):
        Campaign.open(place)
    with sqlite3.connect(place) as connection:
        kept = dict(connection.execute("SELECT name, text FROM facts"))
    connection.close()
    assert kept["version"] == str(VERSION + 1)


def test_what_is_no_store_is_told(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("azimuth, elevation\n" * 100, encoding="utf-8")
    with pytest.raises(StoreError, match="not a usable store"):
        Campaign.open(text)
    assert text.read_text(encoding="utf-8") == "azimuth, elevation\n" * 100
    (tmp_path / "empty.db").touch()
    with pytest.raises(StoreError, match="holds no campaign; create one"):
        Campaign.open(tmp_path / "empty.db")
    with pytest.raises(StoreError, match="there is no campaign"):
        Campaign.open(tmp_path)


@pytest.mark.parametrize("fact", ["version", "terms", "standing"])
def test_a_store_that_lacks_what_it_was_created_with_is_told(used: Path, fact: str) -> None:
    with pytest.raises(StoreError, match=f"a campaign without its {fact}"):
        Campaign.open(altered(used, f"DELETE FROM facts WHERE name = '{fact}'"))


def test_a_half_created_store_is_told(used: Path) -> None:
    with pytest.raises(StoreError, match="no such table: events"):
        Campaign.open(altered(used, "DROP TABLE events"))


def test_lost_events_are_told(used: Path) -> None:
    place = altered(used, "DELETE FROM events WHERE number = 4", "DELETE FROM facts WHERE name LIKE 'checked on %'")
    with pytest.raises(StoreError, match=r"events, where \d+ were written; put a backup in its place"):
        Campaign.open(place)


def opened_and_checked(place: Path) -> None:
    with Campaign.open(place) as campaign:
        check_campaign(campaign)


@pytest.mark.parametrize("seed", range(5))
def test_damaged_pages_are_told(used: Path, seed: int) -> None:
    draw, content = random.Random(seed), bytearray((used / STORE).read_bytes())
    page = draw.randrange(1, len(content) // 4096)
    content[4096 * page : 4096 * (page + 1)] = draw.randbytes(4096)
    (used / STORE).write_bytes(content)
    with pytest.raises(StoreError, match="put a backup in its place"):
        opened_and_checked(used / STORE)


def test_records_that_differ_from_the_events_are_folded_anew(used: Path) -> None:
    altered(used, "UPDATE records SET state = 'captured' WHERE state = 'proposed'")
    with Campaign.open(used / STORE) as campaign:
        assert check_campaign(campaign, mend=False)["records"] == "differ"
        assert check_campaign(campaign)["records"] == "differ"
        assert check_campaign(campaign)["records"] == "agree"
        with campaign.store.reading() as ledger:
            assert ledger.state.captured == 1


def test_settings_of_a_store_that_cannot_be_read_are_told(used: Path) -> None:
    broken = json.dumps({"rig": "live"})
    with pytest.raises(StoreError, match="cannot be read"):
        Campaign.open(altered(used, f"UPDATE facts SET text = '{broken}' WHERE name = 'terms'"))
