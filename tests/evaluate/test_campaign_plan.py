"""Campaigns that learn from what they were told: when they plan anew, what plans know, and what advice does."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from acqplan import Campaign
from acqplan.campaign import operators
from acqplan.campaign.events import LEASED, Fold
from acqplan.campaign.images import encoded
from acqplan.campaign.leases import Shot
from acqplan.errors import ImageError, UsageError
from acqplan.evaluate.campaign import advise_campaign, due, extract_captured, open_extractor, plan_next
from acqplan.rng import generator
from tests.evaluate.campaigns import (
    HALF,
    N_OBJECTS,
    PILOT,
    WATCHED,
    Watched,
    captured,
    created,
    photograph,
    queue,
    take,
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    Watched.told.clear()
    Watched.meanwhile.clear()


def assert_fold_is_state(campaign: Campaign) -> None:
    fold = Fold.replay(campaign.settings, campaign.events())
    with campaign.store.reading() as ledger:
        assert fold.state == ledger.state
        assert {record.shot: record for record in ledger.every()} == {one.shot: one for one in fold.records.every()}


def noise(shot: Shot) -> np.ndarray:
    return generator(0, "noise", shot.id).integers(0, 256, (96, 96), dtype=np.uint8)


@pytest.mark.parametrize(
    ("strategy", "backbone"), [("variance", "histogram"), ("benchmarks.ideas:LearnedHerding", None)]
)
def test_a_rule_that_learns_looks_after_its_pilot_and_at_half_time(
    tmp_path: Path, strategy: str, backbone: str | None
) -> None:
    campaign = created(tmp_path, strategy, backbone=backbone)
    pilot = take(campaign, PILOT - 2)
    assert due(campaign) == ""
    pilot += take(campaign, 1)
    assert f"after {PILOT}" in due(campaign)
    before = queue(campaign)
    shown = [*(shot.object for shot in pilot), before[0].split("_")[0]]
    assert len(set(shown)) == N_OBJECTS, "the pilot shows every object"
    done = plan_next(campaign)
    assert (done["planned"], done["round"], done["captured"]) == (True, 1, PILOT - 1)
    assert due(campaign) == ""
    assert queue(campaign) != before
    take(campaign, int(0.9 * HALF) - PILOT + 1)
    assert plan_next(campaign)["planned"]
    while take(campaign, 20):
        assert due(campaign) == ""
    assert captured(campaign) == 100
    assert_fold_is_state(campaign)


def test_a_rule_that_does_not_learn_plans_once(tmp_path: Path) -> None:
    campaign = created(tmp_path, "lattice")
    while take(campaign, 30):
        assert plan_next(campaign) == {"planned": False, "due": ""}
    assert [event.kind for event in campaign.events()].count("replanned") == 1


def test_a_plan_can_be_asked_for_at_any_time(tmp_path: Path) -> None:
    campaign = created(tmp_path, "variance")
    assert plan_next(campaign, force=True)["planned"], "before any image"
    take(campaign, 1)
    assert plan_next(campaign, force=True)["planned"], "after the image of one object"
    take(campaign, 3)
    done = plan_next(campaign, force=True)
    assert (done["due"], done["planned"], done["captured"], done["round"]) == ("", True, 4, 3)
    assert done["shots"] == 96
    assert_fold_is_state(campaign)


def test_plans_depend_on_images_that_were_told_and_on_no_others(tmp_path: Path) -> None:
    plans = []
    for number, camera in enumerate((photograph, photograph, noise)):
        folder = tmp_path / str(number)
        folder.mkdir()
        campaign = created(folder, "variance")
        take(campaign, HALF, camera)
        for shot in campaign.ask(20):
            if number == 1:
                campaign.images.keep(shot.id, *encoded(noise(shot), shot.id))
            campaign.release([shot])
        assert plan_next(campaign)["planned"]
        plans.append(queue(campaign))
    assert plans[0] == plans[1], "an image that nobody told changed the plan"
    assert plans[0] != plans[2], "what was told did not change the plan"


def test_rules_are_told_where_the_rig_stood_and_what_it_saw(tmp_path: Path) -> None:
    campaign = created(tmp_path, WATCHED)
    shots = take(campaign, PILOT, reached=lambda shot: {"elevation": float(str(shot.view["elevation"])) + 1.5})
    Watched.told.clear()
    assert plan_next(campaign)["planned"]
    known, rest = Watched.told
    assert sorted(known.shots.names) == sorted(shot.object for shot in shots)
    assert set(known.shots.coordinates[:, 1]) <= {31.5, 51.5, 71.5}
    assert known.features is not None
    assert known.beliefs is not None
    assert np.allclose(known.beliefs.sum(axis=1), 1.0, atol=1e-5)
    assert rest.features is None, "of shots that are still to be taken nothing is seen"
    assert len(rest) == round(HALF)


def test_two_images_of_one_reached_pose_are_one_for_the_rule(tmp_path: Path) -> None:
    campaign = created(tmp_path, WATCHED)
    stuck = {"azimuth": 7.0, "elevation": 44.0, "lighting": "L0"}
    shots = take(campaign, PILOT, reached=lambda _: stuck)
    Watched.told.clear()
    assert plan_next(campaign)["planned"]
    assert len(Watched.told[0]) == len({shot.object for shot in shots}) < PILOT


def test_shots_are_handed_out_while_a_plan_is_made_and_stay_with_who_has_them(tmp_path: Path) -> None:
    campaign = created(tmp_path, WATCHED)
    take(campaign, PILOT)
    leased: list[Shot] = []

    def other_rig() -> None:
        with Campaign.open(tmp_path / "toys.db", caller="other rig") as other:
            leased.extend(other.ask(6))
            other.tell(leased[0], photograph(leased[0]))
            other.fail(leased[1], reason="unreachable", retry=False)

    Watched.meanwhile.append(other_rig)
    assert plan_next(campaign)["planned"]
    with campaign.store.reading() as ledger:
        assert [record.shot for record in ledger.every(LEASED)] == sorted(shot.id for shot in leased[2:])
        assert ledger.state.captured == PILOT + 1
    assert not {shot.id for shot in leased} & set(queue(campaign))
    assert_fold_is_state(campaign)


def test_a_region_forbidden_while_a_plan_is_made_is_not_shot(tmp_path: Path) -> None:
    campaign = created(tmp_path, WATCHED)
    take(campaign, PILOT)
    Watched.meanwhile.append(lambda: operators.forbid(campaign.store, "elevation>65"))
    assert plan_next(campaign)["planned"]
    assert "shots wait" in due(campaign), "a third of the plan cannot be had"
    assert all(shot.view["elevation"] != 70.0 for shot in campaign.ask(90))


def test_the_later_of_two_plans_is_dropped(tmp_path: Path) -> None:
    campaign = created(tmp_path, WATCHED)
    take(campaign, PILOT)
    Watched.meanwhile.append(lambda: plan_next(campaign, force=True))
    done = plan_next(campaign)
    assert not done["planned"]
    assert "plan 2 was adopted while" in done["dropped"]
    assert [event.kind for event in campaign.events()].count("replanned") == 2
    assert_fold_is_state(campaign)


def test_forbidden_regions_are_planned_around(tmp_path: Path) -> None:
    campaign = created(tmp_path, "lattice")
    operators.forbid(campaign.store, "elevation>65")
    assert "shots wait" in due(campaign)
    assert plan_next(campaign)["planned"]
    assert due(campaign) == ""
    shots = campaign.ask(100)
    assert len(shots) == 100
    assert {shot.view["elevation"] for shot in shots} == {30.0, 50.0}


def test_a_few_rejected_shots_are_left_to_lots(tmp_path: Path) -> None:
    campaign = created(tmp_path, "lattice")
    first, second, third = queue(campaign)[:3]
    operators.reject(campaign.store, first, "cable")
    assert due(campaign) == ""
    for shot in (second, third):
        operators.reject(campaign.store, shot, "cable")
    assert "100 images may still be taken, and 97 shots wait" in due(campaign)
    operators.set_budget(campaign.store, 97)
    assert due(campaign) == ""
    operators.set_budget(campaign.store, 120)
    assert plan_next(campaign)["shots"] == 120


def test_what_cannot_be_had_is_not_planned_for_ever(tmp_path: Path) -> None:
    campaign = created(tmp_path, "lattice", budget=36 * N_OBJECTS)
    operators.forbid(campaign.store, "elevation>65")
    assert plan_next(campaign)["shots"] == 24 * N_OBJECTS
    assert due(campaign) == ""
    operators.allow(campaign.store, "elevation>65")
    assert plan_next(campaign)["shots"] == 36 * N_OBJECTS
    assert due(campaign) == ""


def test_an_added_object_gets_its_shots(tmp_path: Path) -> None:
    campaign = created(tmp_path, "lattice")
    take(campaign, 12)
    operators.add_object(campaign.store, "car-99", "car")
    assert "'car-99' was added" in due(campaign)
    assert plan_next(campaign)["planned"]
    assert due(campaign) == ""
    shots = campaign.ask(88)
    assert sum(shot.object == "car-99" for shot in shots) >= 88 // (N_OBJECTS + 1)
    assert {shot.label for shot in shots if shot.object == "car-99"} == {"car"}


def test_images_of_an_object_that_was_added_and_taken_away_are_still_known(tmp_path: Path) -> None:
    campaign = created(tmp_path, WATCHED)
    operators.add_object(campaign.store, "car-99", "car")
    operators.forbid(campaign.store, "object!=car-99")
    assert plan_next(campaign)["planned"]
    take(campaign, 5, noise)
    operators.allow(campaign.store, "object!=car-99")
    operators.remove_object(campaign.store, "car-99")
    Watched.told.clear()
    assert plan_next(campaign, force=True)["planned"]
    assert Watched.told[0].shots.names == ["car-99"] * 5
    assert "car-99" not in " ".join(queue(campaign))
    assert_fold_is_state(campaign)


def test_nothing_is_due_once_the_campaign_is_over(tmp_path: Path) -> None:
    campaign = created(tmp_path, "variance", budget=40)
    take(campaign, 20)
    assert due(campaign)
    operators.stop(campaign.store, "closing time")
    assert due(campaign) == ""
    operators.resume(campaign.store)
    take(campaign, 20)
    assert due(campaign) == ""


def test_asking_whether_a_plan_is_due_loads_nothing_heavy(tmp_path: Path) -> None:
    take(created(tmp_path, "variance"), 5)
    code = (
        "import sys\n"
        "from acqplan.campaign.campaign import Campaign\n"
        "from acqplan.evaluate.campaign import due\n"
        f"assert due(Campaign.open({str(tmp_path / 'toys.db')!r})) == ''\n"
        "assert not {'numpy', 'torch'} & set(sys.modules), 'heavy'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_features_are_kept_as_images_are_told(tmp_path: Path) -> None:
    campaign = created(tmp_path, "variance")
    assert extract_captured(campaign) == 0
    extractor = open_extractor(campaign)
    shots = take(campaign, PILOT)
    assert extract_captured(campaign, extractor=extractor) == PILOT
    for name in campaign.images.names():
        campaign.images.forget(name)
    assert plan_next(campaign, extractor=extractor)["planned"], "features were at hand, no image was needed"
    assert len(shots) == PILOT


def test_a_damaged_image_teaches_nothing(tmp_path: Path) -> None:
    campaign = created(tmp_path, "variance")
    take(campaign, PILOT)
    name, other = campaign.images.names()[:2]
    (campaign.images.root / name).write_bytes((campaign.images.root / other).read_bytes())
    with pytest.raises(ImageError, match="is not the image that was told of"):
        plan_next(campaign)
    (campaign.images.root / name).unlink()
    with pytest.raises(ImageError, match="cannot be read"):
        extract_captured(campaign)


def told_apart(shot: Shot) -> np.ndarray:
    """Stripes of a direction for each class: nothing is left to learn after a few images."""
    rows, columns = np.mgrid[:96, :96]
    angle = np.pi * sorted(["animal", "human", "airplane", "truck", "car"]).index(shot.label) / 5
    stripes = 120 + 80 * np.sin((rows * np.sin(angle) + columns * np.cos(angle)) / 3.0)
    return (stripes + noise(shot) / 16).astype(np.uint8)


def test_advice_stops_a_saturated_campaign_and_resume_goes_on_for_good(tmp_path: Path) -> None:
    campaign = created(tmp_path, "lattice", budget=200)
    with pytest.raises(UsageError, match="no image is captured yet"):
        advise_campaign(campaign)
    take(campaign, 80, told_apart)
    advice = advise_campaign(campaign, accuracies=(0.9,))
    assert advice.end.answer == "stop"
    assert campaign.finished.startswith("stop: the curve is flat")
    assert campaign.ask(1) == []
    event = campaign.events()[-1]
    assert event.kind == "advised"
    assert event.body["images"] == 80
    assert event.body["sentences"][0] == event.body["saturated"]
    operators.resume(campaign.store)
    assert campaign.finished == ""
    take(campaign, 1, told_apart)
    assert advise_campaign(campaign).end.answer == "stop"
    assert campaign.finished == ""
    assert len(take(campaign, 5, told_apart)) == 5
    assert_fold_is_state(campaign)


def test_advice_is_not_heeded_where_the_campaign_was_created_so(tmp_path: Path) -> None:
    campaign = created(tmp_path, "lattice", budget=200, stop_when_saturated=False)
    take(campaign, 80, told_apart)
    assert advise_campaign(campaign).end.answer == "stop"
    assert campaign.finished == ""
