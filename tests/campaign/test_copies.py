"""A camera that hangs: an image that was told of another shot is named, counted, and too many stop the campaign."""

import json
from pathlib import Path

import numpy as np
import pytest

from acqplan import Campaign
from acqplan.errors import ImageWarning
from acqplan.rig.folder import FolderSource
from tests.campaign.rigs import N_CANDIDATES, live_rig
from tests.campaign.test_campaign import Clock, assert_fold_is_state, made, picture
from tests.service.serving import png, serving


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return made(tmp_path, Clock(), budget=48)


def test_the_same_bytes_of_another_shot_are_answered_counted_and_shown(campaign: Campaign) -> None:
    first, second, third, fourth = campaign.ask(4)
    assert campaign.tell(first, picture(0)).notes == ()
    assert campaign.tell(first, picture(0)).notes == (), "told again of the same shot"
    told = campaign.tell(second, picture(0))
    assert told == "captured"
    assert told.notes == (f"the same bytes were told for '{first.id}'; does the camera hang?",)
    assert campaign.tell(third, picture(1)).notes == ()
    assert campaign.events()[-2].body["copy_of"] == first.id
    assert campaign.status()["copies"] == 1
    assert "1 image with the bytes of another shot's image: does the camera hang?" in campaign.report()
    # a better image in its place, and it counts no more
    assert campaign.tell(second, picture(2), replace=True).notes == ()
    assert campaign.status()["copies"] == 0
    assert "camera" not in campaign.report()
    # an image that was replaced or kept aside is known, too
    assert first.id in campaign.tell(fourth, picture(0)).notes[0]
    assert_fold_is_state(campaign)


def test_a_camera_that_hangs_stops_the_campaign_as_failures_do(campaign: Campaign) -> None:
    taken = 0
    while shots := campaign.ask(1):
        campaign.tell(shots[0], picture(min(taken, 8)))
        taken += 1
    assert taken == 20
    said = "12 of the last 20 answers were one image, byte for byte, above the limit of 50 %: does the camera hang?"
    assert campaign.finished == said
    assert_fold_is_state(campaign)
    # after a look at the camera it goes on, and stops again if that did not help
    from acqplan.campaign import operators

    operators.resume(campaign.store)
    for number, shot in enumerate(campaign.ask(12)):
        campaign.tell(shot, picture(100 + number))
    assert campaign.finished == ""
    while shots := campaign.ask(1):
        campaign.tell(shots[0], picture(8))
    assert "of the last" in campaign.finished


def test_who_wants_no_limit_of_failures_has_none_of_copies(tmp_path: Path) -> None:
    campaign = made(tmp_path, Clock(), budget=N_CANDIDATES, failure_limit=1.0)
    for shot in campaign.ask(N_CANDIDATES):
        campaign.tell(shot, picture(0))
    assert "budget" in campaign.finished
    assert campaign.status()["copies"] == N_CANDIDATES - 1


def test_a_few_equal_images_between_others_stop_nothing(campaign: Campaign) -> None:
    for number, shot in enumerate(campaign.ask(48)):
        campaign.tell(shot, picture(number % 3))  # as of a rig whose lamps change nothing: a third each
    assert campaign.status()["stopped"] == ""
    assert campaign.status()["copies"] == 45


def test_copies_are_shown_over_http_as_well(tmp_path: Path) -> None:
    campaign = Campaign.create(live_rig(tmp_path), budget=8, path=tmp_path / "rig.db")
    with serving(campaign) as served:
        first, second = served.ask(2)
        assert served.tell(first, png(1)).document == {"outcome": "captured"}
        note = f"the same bytes were told for '{first}'; does the camera hang?"
        assert served.tell(second, png(1)).document == {"outcome": "captured", "notes": [note]}
        status = served.request("GET", "/status").document
        assert (status["copies"], status["notes"]) == (
            1,
            ["1 image with the bytes of another shot's image: does the camera hang?"],
        )
        assert b"status.notes" in served.request("GET", "/").body
    campaign.close()


def folder_of(root: Path, numbers: list[int]) -> FolderSource:
    lines = ["image,label,object,azimuth"]
    for place, number in enumerate(numbers):
        (root / f"{place}.png").write_bytes(png(number))
        lines.append(f"{place}.png,car,car-0{place % 2},{20 * (place // 2)}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")
    return FolderSource.open(root / "manifest.csv")


def test_a_rig_of_files_names_copies_once(tmp_path: Path) -> None:
    source = folder_of(tmp_path, [0, 1, 2, 1, 1, 3])
    with pytest.warns(ImageWarning) as said:
        source.identities(source.shots())
    (one,) = said
    expected = "2 images of 6 read repeat others byte for byte, e.g. line 5 line 3; did the camera hang?"
    assert str(one.message) == f"{tmp_path / 'manifest.csv'}: {expected}"
    assert len(set(source.identities(source.shots()))) == 4, "and says nothing more"
    assert len(set(source.shrunk(96).identities(source.shots()))) == 4


def test_one_file_that_is_named_twice_is_no_copy(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(0))
    (tmp_path / "manifest.csv").write_text("image,label,object,azimuth\na.png,car,car-00,0\na.png,car,car-00,20\n")
    source = FolderSource.open(tmp_path / "manifest.csv")
    assert len(source.identities(source.shots())) == 2


def test_what_was_told_before_this_version_reads_as_before(tmp_path: Path) -> None:
    campaign = made(tmp_path, Clock())
    for number, shot in enumerate(campaign.ask(3)):
        campaign.tell(shot, picture(number))
    # a store as the version before wrote it
    with campaign.store.database.transaction(write=True) as connection:
        text = connection.exec_driver_sql("SELECT text FROM facts WHERE name = 'standing'").scalar_one()
        state = {key: value for key, value in json.loads(text).items() if key not in ("copies", "converted")}
        connection.exec_driver_sql("UPDATE facts SET text = ? WHERE name = 'standing'", (json.dumps(state),))
        for shot, text in connection.exec_driver_sql("SELECT shot, rest FROM records").all():
            rest = {key: value for key, value in json.loads(text).items() if key != "copy_of"}
            connection.exec_driver_sql("UPDATE records SET rest = ? WHERE shot = ?", (json.dumps(rest), shot))
    campaign.close()
    again = Campaign.open(tmp_path / "rig.db")
    assert again.status()["captured"] == 3
    assert_fold_is_state(again)
    assert np.array_equal(again.status()["copies"], 0)
