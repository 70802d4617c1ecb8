"""An export is whole or absent, others can read it, and it makes the same campaign again."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from acqplan import Campaign, Objects, open_rig
from acqplan.campaign import operators
from acqplan.campaign.export import class_folders, export_campaign, import_campaign, snapshot_of
from acqplan.campaign.images import MARK, encoded, known_shot, take_image
from acqplan.errors import AcqplanError, ImageError, OutputError, StoreError, UsageError
from tests.campaign.postgres import NoServerError, running_server
from tests.campaign.rigs import LIVE, live_rig
from tests.campaign.test_campaign import Clock, made, picture
from tests.cli.conftest import contents


@pytest.fixture
def clock() -> Clock:
    return Clock()


def lived(folder: Path, clock: Clock) -> Campaign:
    """A campaign to which everything has happened: captures, failures, surplus, replaced images, operators' deeds."""
    campaign = made(folder, clock, budget=30, failure_limit=1.0)
    for number, shot in enumerate(campaign.ask(12)):
        clock.now += 5
        if number % 4 == 3:
            campaign.fail(shot, reason='no\u2028light, "really"', retry=number != 3)
        else:
            campaign.tell(shot, picture(number), reached={"azimuth": float(shot.view["azimuth"]) + 0.25})
    (late,) = campaign.ask(1)
    clock.now += campaign.settings.lease_seconds + 1
    quick = Campaign.open(folder / "rig.db", caller="quick", clock=clock)
    (again,) = quick.ask(1)
    quick.tell(again, picture(90))
    campaign.tell(late, picture(91))
    campaign.tell(late, picture(92), replace=True)
    operators.forbid(campaign.store, "elevation>65")
    operators.add_object(campaign.store, "bus/00", "bus")
    quick.ask(3)
    return campaign


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def images_of(campaign: Campaign) -> dict[str, bytes]:
    """All but the mark, which says where the campaign is."""
    return {name: content for name, content in contents(campaign.images.root).items() if name != MARK}


def test_an_import_has_the_same_state_events_and_images(tmp_path: Path, clock: Clock) -> None:
    campaign = lived(tmp_path, clock)
    export_campaign(campaign, tmp_path / "export")
    shutil.rmtree(tmp_path / "rig.db.images.gone", ignore_errors=True)
    again = import_campaign(tmp_path / "export", tmp_path / "again.db")
    before, after = snapshot_of(campaign), snapshot_of(again)
    assert (after.settings, after.state, after.records) == (before.settings, before.state, before.records)
    assert after.events[1:] == before.events[1:]
    assert images_of(again) == images_of(campaign)
    assert again.images.root == tmp_path / "again.db.images"
    leased = [record for record in after.records if record.state == "leased"]
    assert again.tell(leased[0].shot, picture(50)) == "captured"


def test_images_of_an_import_can_lie_elsewhere(tmp_path: Path, clock: Clock) -> None:
    export_campaign(lived(tmp_path, clock), tmp_path / "export")
    import_campaign(tmp_path / "export", tmp_path / "again.db", tmp_path / "pictures").close()
    again = Campaign.open(tmp_path / "again.db")
    assert again.images.root == tmp_path / "pictures"
    assert again.images.names()


def test_the_plan_has_every_shot_and_its_state(tmp_path: Path, clock: Clock) -> None:
    campaign = lived(tmp_path, clock)
    export_campaign(campaign, tmp_path / "export")
    rows = rows_of(tmp_path / "export" / "plan.csv")
    axes = ["azimuth", "elevation", "lighting"]
    assert list(rows[0]) == ["shot", "order", "object", "label", *axes, "round", "gain", "reason", "state"]
    assert [row["order"] for row in rows] == [str(number) for number in range(len(rows))]
    status, states = campaign.status(), [row["state"] for row in rows]
    assert states[: status["captured"]] == ["captured"] * status["captured"]
    assert states[status["captured"] :].count("captured") == 0
    assert states.count("leased") == 3
    with campaign.store.reading() as ledger:
        waiting = [record.shot for record in ledger.queue(100)]
    proposed = [row["shot"] for row in rows if row["state"] == "proposed"]
    assert [shot for shot in proposed if shot in waiting] == waiting


def test_a_folder_rig_reads_the_manifest_back(tmp_path: Path, clock: Clock) -> None:
    campaign = lived(tmp_path, clock)
    export_campaign(campaign, tmp_path / "export")
    setup = open_rig(tmp_path / "export" / "rig.toml")
    shots = setup.source.shots()
    captured = snapshot_of(campaign).captured
    assert {(name, *view.values()) for name, view in zip(shots.names, shots.views(), strict=True)} == {
        (record.object, *record.reached) for record in captured
    }
    assert [axis.kind for axis in setup.source.space.axes] == ["circle", "interval", "category"]
    assert setup.seconds_per_shot == 0.4
    images = dict(setup.source.capture(shots))
    for row, record in enumerate(captured):
        with Image.open(campaign.images.root / record.image) as told:
            assert np.array_equal(images[row], np.asarray(told))


def test_a_hair_below_zero_is_zero_and_reads_back(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock)
    shots = [shot for shot in campaign.ask(20) if shot.object == "car-00"][:2]
    for number, (shot, azimuth) in enumerate(zip(shots, (-1e-14, -1e-8), strict=True)):
        elevation = 30 + 20 * number
        campaign.tell(shot, picture(number), reached={"azimuth": azimuth, "elevation": elevation})
    export_campaign(campaign, tmp_path / "export")
    again = open_rig(tmp_path / "export" / "rig.toml").source
    assert {view["azimuth"] for view in again.shots().views()} == {0.0}


def test_angles_beyond_a_turn_are_read_back_as_numbers(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "rig.toml").write_text(LIVE.replace("[30, 50, 70]", "[0, 400, 720]"), encoding="utf-8")
    rig = open_rig(tmp_path / "rig.toml")
    with Campaign.create(rig, budget=20, path=tmp_path / "rig.db", clock=clock) as campaign:
        for number, shot in enumerate(campaign.ask(20)):
            campaign.tell(shot, picture(number), reached={"elevation": shot.view["elevation"]})
        export_campaign(campaign, tmp_path / "export")
    elevation = open_rig(tmp_path / "export" / "rig.toml").source.space.axes[1]
    assert (elevation.unit, elevation.values) == ("", (0.0, 400.0, 720.0))
    import_campaign(tmp_path / "export", tmp_path / "again.db").close()


def test_settings_of_an_earlier_version_that_cannot_be_leave_the_rest_readable(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock)
    shots = campaign.ask(2)
    campaign.tell(shots[0], picture(0))
    written = campaign.images.keep(shots[1].id, *encoded(picture(1), ""))
    with campaign.store.writing() as ledger:
        record = known_shot(ledger, shots[1].id)
        take_image(ledger, record, written, (0.0, 1e308, "L0"), "captured")
    export_campaign(campaign, tmp_path / "export")
    assert len(open_rig(tmp_path / "export" / "rig.toml").source.shots()) == 1
    assert [row["elevation"] for row in rows_of(tmp_path / "export" / "repeats.csv")] == ["1e+308"]
    with pytest.raises(StoreError, match=r"elevation.*more than a full turn"):
        import_campaign(tmp_path / "export", tmp_path / "again.db")
    assert not (tmp_path / "again.db").exists()


def test_levels_are_kept_where_the_rig_reaches_them(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock)
    for number, shot in enumerate(campaign.ask(20)):
        campaign.tell(shot, picture(number))
    export_campaign(campaign, tmp_path / "export")
    axes = open_rig(tmp_path / "export" / "rig.toml").source.space.axes
    assert [axis.values for axis in axes] == [axis.values for axis in live_rig(tmp_path).source.space.axes]


def test_torchvision_reads_the_classes(tmp_path: Path, clock: Clock) -> None:
    campaign = lived(tmp_path, clock)
    export_campaign(campaign, tmp_path / "export")
    found = ImageFolder(str(tmp_path / "export" / "images"))
    assert found.classes == ["car", "truck"]
    assert len(found) == campaign.status()["captured"]
    by_class = campaign.status()["by_class"]
    assert {name: found.targets.count(row) for name, row in found.class_to_idx.items()} == {
        name: by_class[name]["captured"] for name in found.classes
    }


def test_an_object_reached_twice_at_one_pose_stands_in_the_manifest_once(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock)
    for number, shot in enumerate(campaign.ask(20)):
        campaign.tell(shot, picture(number), reached={"azimuth": 0, "elevation": 30, "lighting": "L0"})
    files = export_campaign(campaign, tmp_path / "export")
    assert len(open_rig(tmp_path / "export" / "rig.toml").source.shots()) == 4
    assert "repeats.csv" in [path.name for path in files]
    assert len(rows_of(tmp_path / "export" / "repeats.csv")) == 16


def test_nothing_captured_means_no_manifest_but_an_import(tmp_path: Path, clock: Clock) -> None:
    campaign = made(tmp_path, clock)
    files = export_campaign(campaign, tmp_path / "export")
    assert [path.name for path in files] == ["plan.csv", "terms.json", "events.jsonl"]
    assert {path.name for path in (tmp_path / "export").iterdir()} == {path.name for path in files}
    again = import_campaign(tmp_path / "export", tmp_path / "again.db")
    assert snapshot_of(again).records == snapshot_of(campaign).records


NAMES = ("a/b", "../../up", "Car", "car", "é", "con", "a.", "x" * 200)


def test_any_name_of_class_and_object_has_its_own_folder(tmp_path: Path, clock: Clock) -> None:
    setup = live_rig(tmp_path)
    objects = Objects(names=tuple(f"{name}\u20280" for name in NAMES), labels=NAMES)
    rig = replace(setup.source, objects=objects)  # type: ignore[type-var]
    campaign = Campaign.create(replace(setup, source=rig), budget=2 * len(NAMES), path=tmp_path / "any.db", clock=clock)
    while shots := campaign.ask(4):
        for shot in shots:
            campaign.tell(shot, picture(len(shot.id)))
    export_campaign(campaign, tmp_path / "export")
    assert len(ImageFolder(str(tmp_path / "export" / "images")).classes) == len(NAMES)
    read = open_rig(tmp_path / "export" / "rig.toml").source
    assert set(read.objects.labels) == set(NAMES)
    assert len(read.shots()) == 2 * len(NAMES)
    again = import_campaign(tmp_path / "export", tmp_path / "again.db")
    assert snapshot_of(again).records == snapshot_of(campaign).records


def test_folders_differ_on_file_systems_that_ignore_case() -> None:
    folders = class_folders([*NAMES, "A-B", "a-b", "CON.txt", " a"])
    assert len({folder.casefold() for folder in folders.values()}) == len(folders)
    assert folders["é"] == "é"
    assert class_folders(["cup", "jug"]) == {"cup": "cup", "jug": "jug"}


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path, clock: Clock) -> None:
    campaign = lived(tmp_path, clock)
    (tmp_path / "export").mkdir()
    export_campaign(campaign, tmp_path / "export")
    before = contents(tmp_path)
    with pytest.raises(OutputError, match="is there already"):
        export_campaign(campaign, tmp_path / "export")
    with pytest.raises(UsageError, match="is there already"):
        import_campaign(tmp_path / "export", tmp_path / "rig.db")
    assert contents(tmp_path) == before


def test_a_damaged_image_leaves_no_export(tmp_path: Path, clock: Clock) -> None:
    campaign = lived(tmp_path, clock)
    record = snapshot_of(campaign).captured[3]
    path = campaign.images.root / record.image
    path.write_bytes(path.read_bytes()[:-3])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ImageError, match="acqplan campaign check"):
        export_campaign(campaign, tmp_path / "export")
    assert sorted(tmp_path.iterdir()) == before


def cut_short(folder: Path) -> None:
    path = folder / "events.jsonl"
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")


def without_an_event(folder: Path) -> None:
    path = folder / "events.jsonl"
    lines = path.read_text(encoding="utf-8").split("\n")
    path.write_text("\n".join(lines[:5] + lines[6:]), encoding="utf-8")


def of_a_newer_program(folder: Path) -> None:
    path = folder / "terms.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "format": 99}), encoding="utf-8")


def with_another_image(folder: Path) -> None:
    next((folder / "images").glob("*/*")).write_bytes(b"another")


def with_an_image_outside(folder: Path, name: str = "../../escaped.png") -> None:
    path = folder / "events.jsonl"
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").removesuffix("\n").split("\n")]
    next(event for event in events if event["kind"] == "told")["body"]["image"] = name
    path.write_text("\n".join(map(json.dumps, events)), encoding="utf-8")


def with_an_image_that_is_not_there(folder: Path) -> None:
    with_an_image_outside(folder, "/etc/hostname")


def with_a_time_that_is_none(folder: Path) -> None:
    path = folder / "events.jsonl"
    first, _, rest = path.read_text(encoding="utf-8").partition("\n")
    path.write_text(json.dumps({**json.loads(first), "at": "noon"}) + "\n" + rest, encoding="utf-8")


def without_terms(folder: Path) -> None:
    (folder / "terms.json").unlink()


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (cut_short, StoreError, "line .*: no event"),
        (without_an_event, StoreError, "line 6: an event that cannot be"),
        (of_a_newer_program, StoreError, "format 99"),
        (with_another_image, ImageError, "missing, or not the one that was told"),
        (with_an_image_outside, StoreError, "cannot be called '../../escaped.png'"),
        (with_an_image_that_is_not_there, StoreError, "cannot be called '/etc/hostname'"),
        (with_a_time_that_is_none, StoreError, "line 1: no event"),
        (without_terms, StoreError, "cannot be read"),
    ],
)
def test_a_spoilt_export_leaves_no_campaign(
    tmp_path: Path, clock: Clock, spoil: Callable[[Path], None], error: type[AcqplanError], message: str
) -> None:
    export_campaign(lived(tmp_path, clock), tmp_path / "export")
    spoil(tmp_path / "export")
    before = contents(tmp_path)
    with pytest.raises(error, match=message):
        import_campaign(tmp_path / "export", tmp_path / "new" / "again.db")
    assert contents(tmp_path) == before


def test_a_campaign_moves_to_postgresql_and_is_the_same(tmp_path: Path, clock: Clock) -> None:
    campaign = lived(tmp_path, clock)
    export_campaign(campaign, tmp_path / "export")
    try:
        with running_server() as server:
            moved = import_campaign(tmp_path / "export", server.database("moved"), tmp_path / "pictures")
            moved.store.close()
            moved = Campaign.open(moved.store.place, clock=clock)
            assert moved.status() == campaign.status()
            export_campaign(moved, tmp_path / "again")
            moved.store.close()
    except NoServerError as error:
        pytest.skip(str(error))
    before, after = contents(tmp_path / "export"), contents(tmp_path / "again")
    assert {name: before[name] for name in before if name != "events.jsonl"} == {
        name: after[name] for name in after if name != "events.jsonl"
    }
