"""Printed sheets of the shots to come."""

import base64
import csv
import re
from html import unescape
from pathlib import Path

import pytest

from acqplan import Campaign, open_rig
from acqplan.campaign import operators
from acqplan.campaign.campaign import SERVED
from acqplan.errors import OutputError, UsageError
from acqplan.report.sheet import save_sheet
from tests.campaign.rigs import live_rig
from tests.service.browser import CHROMIUM, chromium
from tests.service.serving import png

SHOT = re.compile(r'<small>([^<]+)</small></td><td class="remarks">')


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    """40 shots of four objects, of which three are captured, two leased, and one object is taken away."""
    made = Campaign.create(live_rig(tmp_path), budget=40, path=tmp_path / "rig.db")
    for number, shot in enumerate(made.ask(3)):
        made.tell(shot, png(number))
    busy = {shot.object for shot in made.ask(2)}
    operators.remove_object(made.store, next(name for name in made.settings.objects if name not in busy))
    return made


def to_come(campaign: Campaign) -> set[str]:
    with campaign.store.reading() as ledger:
        return {one.shot for one in ledger.every("leased")} | {
            one.shot for one in ledger.every("proposed") if one.is_queued
        }


def test_a_sheet_has_every_shot_to_come_once_by_object(campaign: Campaign, tmp_path: Path) -> None:
    expected = to_come(campaign)
    assert save_sheet(campaign, tmp_path / "sheet.html") == {"shots": len(expected), "objects": 3}
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert sorted(SHOT.findall(text)) == sorted(expected)
    assert text.count("<section") == text.count('<th class="object"') == 3
    assert text.count('<td class="tick">') == len(expected)
    assert text.count("somebody has it at present") == 2
    assert "handed in at" not in text
    campaign.store.note(SERVED, "http://lab.example:8765")
    save_sheet(campaign, tmp_path / "served.html")
    assert "<b>http://lab.example:8765/capture</b>" in (tmp_path / "served.html").read_text(encoding="utf-8")


def test_a_table_says_the_same_as_the_campaign(campaign: Campaign, tmp_path: Path) -> None:
    save_sheet(campaign, tmp_path / "sheet.csv")
    with (tmp_path / "sheet.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["shot"] for row in rows} == to_come(campaign)
    names = [row["object"] for row in rows]
    assert names == sorted(names, key=names.index)  # one object after the other
    with campaign.store.reading() as ledger:
        record = ledger.get(rows[-1]["shot"])
    assert record is not None
    assert [float(rows[-1]["azimuth"]), float(rows[-1]["elevation"]), rows[-1]["lighting"]] == list(record.view)
    azimuth, elevation, lamp = rows[-1]["azimuth"], rows[-1]["elevation"], rows[-1]["lighting"]
    words = f"Put {record.object} on the table, turn it to {azimuth}°, camera at {elevation}°, lamp {lamp}."
    assert rows[-1]["say"] == words


def test_a_sheet_that_somebody_may_have_filled_in_is_not_replaced(campaign: Campaign, tmp_path: Path) -> None:
    (tmp_path / "sheet.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="is there already"):
        save_sheet(campaign, tmp_path / "sheet.csv")
    with pytest.raises(UsageError, match=r"sheet\.pdf"):
        save_sheet(campaign, tmp_path / "sheet.pdf")
    assert (tmp_path / "sheet.csv").read_text(encoding="utf-8") == "mine"


def test_names_are_text_on_a_sheet(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    axis = '[[axis]]\nname = "height"\nkind = "interval"\nvalues = [0, 50]\n'
    (tmp_path / "rig.toml").write_text(f'source = "live"\n{axis}[objects.labels]\nodd = ["{evil}"]\n', encoding="utf-8")
    with Campaign.create(open_rig(tmp_path / "rig.toml"), budget=2, path=tmp_path / "odd.db") as campaign:
        save_sheet(campaign, tmp_path / "sheet.html")
    text = (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert evil not in text
    assert evil in unescape(text)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_objects_of_many_shots_begin_pages_and_few_share_one(campaign: Campaign, tmp_path: Path) -> None:
    def n_pages(sheet: Path) -> int:
        page.open(sheet.as_uri())
        printed = page.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"]  # A4 in inches
        return base64.b64decode(printed).count(b"/Type /Page\n")

    save_sheet(campaign, tmp_path / "many.html")
    with Campaign.create(live_rig(tmp_path), budget=8, path=tmp_path / "few.db") as few:
        save_sheet(few, tmp_path / "few.html")
    with chromium(tmp_path) as page:
        assert n_pages(tmp_path / "many.html") == 3
        assert n_pages(tmp_path / "few.html") == 1
        page.open((tmp_path / "many.html").as_uri(), width=390)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
