"""What operators do: every deed shows, a further event undoes it, and wrong use is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acqplan import Campaign
from acqplan.campaign import operators
from acqplan.campaign.check import check_campaign
from acqplan.campaign.events import EXHAUSTED, CampaignState, Event
from acqplan.campaign.store import Store
from acqplan.errors import AcqplanError, BudgetError, ShotError, SpaceError, UsageError
from acqplan.evaluate.campaign import due
from acqplan.rig.source import LiveSource
from acqplan.rig.spec import Rig
from acqplan.space import Circle, Objects, Space
from tests.campaign.rigs import N_CANDIDATES, live_rig
from tests.campaign.test_campaign import Clock, assert_fold_is_state, picture


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    return Campaign.create(live_rig(tmp_path), budget=20, path=tmp_path / "rig.db", clock=Clock(), strategy="lattice")


def seen(campaign: Campaign) -> dict[str, Any]:
    """What operators can change; not how it came about."""
    with campaign.store.reading() as ledger:
        found: CampaignState = ledger.state
        records = {record.shot: (record.state, record.barred, record.label) for record in ledger.every()}
    names = ("budget", "time_budget", "objects", "counts", "queued", "stopped", "saturated")
    is_paused, regions = found.paused_at is not None, sorted(found.regions.values())
    return {name: getattr(found, name) for name in names} | {"records": records, "paused": is_paused, "in": regions}


def first(campaign: Campaign) -> str:
    with campaign.store.reading() as ledger:
        return ledger.queue(1)[0].shot


def live(space: Space, pair: tuple[str, str]) -> Rig:
    return Rig(source=LiveSource(space=space, objects=Objects(names=pair[:1], labels=pair[1:])))


@pytest.mark.parametrize("name", ["c\0r", "c\x1br", "c\nr", "c\x7fr", "c\udcffr"])
def test_names_that_no_file_or_database_keeps_are_refused_at_every_door(campaign: Campaign, name: str) -> None:
    before, space = campaign.events(), Space(axes=(Circle(name="azimuth", values=(0.0,)),))
    for pair in ((name, "car"), ("car-02", name)):
        with pytest.raises(UsageError, match="which is no letter"):
            operators.add_object(campaign.store, *pair)
        place = campaign.images.root.parent / "other.db"
        with pytest.raises(UsageError, match="which is no letter"):
            Campaign.create(live(space, pair), budget=1, path=place)
        assert not place.exists()
    assert campaign.events() == before


DEEDS: dict[str, Callable[[Campaign], Event]] = {
    "pause": lambda campaign: operators.pause(campaign.store, "lunch"),
    "stop": lambda campaign: operators.stop(campaign.store, "enough"),
    "forbid": lambda campaign: operators.forbid(campaign.store, "elevation>65 and lighting=L1"),
    "add": lambda campaign: operators.add_object(campaign.store, "car-07", "car"),
    "remove": lambda campaign: operators.remove_object(campaign.store, "truck-01"),
    "raise": lambda campaign: operators.set_budget(campaign.store, 30),
    "lower": lambda campaign: operators.set_budget(campaign.store, 10),
    "time": lambda campaign: operators.set_budget(campaign.store, time_budget=60.0),
    "reject": lambda campaign: operators.reject(campaign.store, first(campaign), "cable"),
}


@pytest.mark.parametrize("deed", sorted(DEEDS))
def test_every_deed_is_undone_once_by_its_number(campaign: Campaign, deed: str) -> None:
    before = seen(campaign)
    event = DEEDS[deed](campaign)
    assert seen(campaign) != before
    undone = operators.undo(campaign.store, event.number)
    assert undone.body["undoes"] == event.number
    assert seen(campaign) == before
    with pytest.raises(UsageError, match="cannot be undone, or is undone"):
        operators.undo(campaign.store, event.number)
    assert_fold_is_state(campaign)


@pytest.mark.parametrize("deed", ["pause", "forbid", "add", "remove", "raise", "lower"])
def test_undoing_can_be_undone(campaign: Campaign, deed: str) -> None:
    event = DEEDS[deed](campaign)
    done = seen(campaign)
    operators.undo(campaign.store, operators.undo(campaign.store, event.number).number)
    assert seen(campaign) == done
    assert_fold_is_state(campaign)


def test_opposites_undo_each_other(campaign: Campaign) -> None:
    store, before = campaign.store, seen(campaign)
    pairs: list[tuple[Callable[[], Event], Callable[[], Event]]] = [
        (lambda: operators.pause(store), lambda: operators.resume(store)),
        (lambda: operators.stop(store, ""), lambda: operators.resume(store)),
        (lambda: operators.forbid(store, " azimuth in 300..0 "), lambda: operators.allow(store, "azimuth in 300..0")),
        (lambda: operators.add_object(store, "x", "car"), lambda: operators.remove_object(store, "x")),
        (lambda: operators.remove_object(store, "car-00"), lambda: operators.add_object(store, "car-00", "car")),
    ]
    for do, undo in pairs:
        do()
        assert seen(campaign) != before
        undo()
        assert seen(campaign) == before


def test_nothing_is_handed_out_while_paused_or_stopped_and_answers_are_taken(campaign: Campaign) -> None:
    one, other = campaign.ask(2)
    operators.pause(campaign.store)
    assert campaign.ask(1) == []
    assert campaign.tell(one, picture(0)) == "captured"
    operators.stop(campaign.store, "storm")
    assert campaign.finished == "storm"
    assert campaign.tell(other, picture(1)) == "captured"
    operators.resume(campaign.store)
    assert len(campaign.ask(1)) == 1


def test_time_stands_still_in_a_pause(tmp_path: Path) -> None:
    clock = Clock()
    campaign = Campaign.create(
        live_rig(tmp_path), budget=20, path=tmp_path / "rig.db", clock=clock, time_budget=100.0, strategy="lattice"
    )
    campaign.ask(1)
    clock.now += 40.0
    operators.pause(campaign.store)
    clock.now += 5000.0
    operators.resume(campaign.store)
    with campaign.store.reading() as ledger:
        assert ledger.state.seconds_left(ledger.now) == pytest.approx(60.0)


def test_leased_shots_of_a_forbidden_region_may_be_answered(campaign: Campaign) -> None:
    shots = campaign.ask(20)
    operators.forbid(campaign.store, "elevation>0")
    for number, shot in enumerate(shots):
        assert campaign.tell(shot, picture(number)) == "captured"


def test_an_image_of_a_rejected_shot_is_kept_aside(campaign: Campaign) -> None:
    (shot,) = campaign.ask(1)
    event = operators.reject(campaign.store, shot.id, "wrong lamp")
    assert campaign.tell(shot, picture(0)) == "surplus"
    operators.undo(campaign.store, event.number)
    assert campaign.tell(shot, picture(0)) == "already"
    assert campaign.tell(shot, picture(1)) == "captured"
    assert_fold_is_state(campaign)


def test_an_object_that_comes_back_under_another_label_has_it_everywhere(campaign: Campaign) -> None:
    operators.add_object(campaign.store, "new", "car")
    operators.forbid(campaign.store, "object!=new")
    (shot,) = campaign.ask(1)
    campaign.tell(shot, picture(0))
    operators.forbid(campaign.store, "label=truck")
    operators.remove_object(campaign.store, "new")
    operators.add_object(campaign.store, "new", "truck")
    assert campaign.ask(1) == []
    with campaign.store.reading() as ledger:
        record = ledger.get(shot.id)
    assert record is not None
    assert (record.label, record.state) == ("truck", "captured")
    assert_fold_is_state(campaign)


def test_a_region_of_an_object_that_went_stays_readable(campaign: Campaign) -> None:
    operators.add_object(campaign.store, "new", "boat")
    operators.forbid(campaign.store, "object=new")
    operators.forbid(campaign.store, "label=boat")
    operators.remove_object(campaign.store, "new")
    assert len(campaign.ask(3)) == 3
    assert_fold_is_state(campaign)


def test_a_budget_is_not_lowered_below_what_is_taken_and_leased(campaign: Campaign) -> None:
    shots = campaign.ask(5)
    for shot in shots[:2]:
        campaign.tell(shot, picture(hash(shot.id) % 99))
    lowered = operators.set_budget(campaign.store, 5)
    assert campaign.ask(1) == []
    with pytest.raises(BudgetError, match="of which 5 are taken or leased"):
        operators.set_budget(campaign.store, 4)
    raised = operators.set_budget(campaign.store, 8)
    assert len(campaign.ask(9)) == 3
    with pytest.raises(BudgetError, match="the budget was 5, but 8 are taken or leased"):
        operators.undo(campaign.store, raised.number)
    with pytest.raises(UsageError, match="cannot be undone"):
        operators.undo(campaign.store, lowered.number)


@pytest.mark.parametrize(
    ("deed", "error", "said"),
    [
        (lambda store: operators.resume(store), UsageError, "neither paused nor stopped"),
        (lambda store: operators.forbid(store, "elevaton>65"), SpaceError, "did you mean 'elevation'"),
        (lambda store: operators.forbid(store, "object=car-07"), SpaceError, "no object is called 'car-07'"),
        (lambda store: operators.allow(store, "elevation>65"), UsageError, "is not forbidden; nothing is"),
        (lambda store: operators.add_object(store, "car-00", "car"), UsageError, "is there already"),
        (lambda store: operators.add_object(store, " ", "car"), UsageError, "name it"),
        (lambda store: operators.add_object(store, "car-07", ""), UsageError, "name it"),
        (lambda store: operators.remove_object(store, "car-7"), UsageError, "did you mean 'car-0"),
        (lambda store: operators.set_budget(store, 0), BudgetError, "a budget of 0 images"),
        (lambda store: operators.set_budget(store, -3), BudgetError, "a budget of -3 images"),
        (lambda store: operators.set_budget(store, time_budget=0.0), BudgetError, "a time budget of 0 seconds"),
        (lambda store: operators.set_budget(store, time_budget=float("nan")), BudgetError, "of nan seconds"),
        (lambda store: operators.reject(store, "car-00_1_2_L0", ""), ShotError, "no shot of this campaign"),
        (lambda store: operators.undo(store, 99), UsageError, "there is no event 99; give 1 to 2"),
        (lambda store: operators.undo(store, 0), UsageError, "there is no event 0"),
        (lambda store: operators.undo(store, 1), UsageError, "event 1 ('created') cannot be undone"),
        (lambda store: operators.undo(store, 2), UsageError, "event 2 ('replanned') cannot be undone"),
    ],
)
def test_wrong_use_is_refused_and_changes_nothing(
    campaign: Campaign, deed: Callable[[Store], Event], error: type[AcqplanError], said: str
) -> None:
    before = campaign.events()
    with pytest.raises(error) as refused:
        deed(campaign.store)
    assert said in str(refused.value)
    assert campaign.events() == before


def test_doing_it_twice_is_refused(campaign: Campaign) -> None:
    shot = first(campaign)
    deeds: list[tuple[Callable[[], Event], str]] = [
        (lambda: operators.pause(campaign.store), "paused already"),
        (lambda: operators.stop(campaign.store, "storm"), "stopped already: storm"),
        (lambda: operators.forbid(campaign.store, "elevation>65"), "is forbidden already"),
        (lambda: operators.reject(campaign.store, shot, ""), "is rejected"),
        (lambda: operators.remove_object(campaign.store, "car-00"), "no object is called 'car-00'"),
    ]
    for deed, said in deeds:
        deed()
        with pytest.raises(UsageError) as refused:
            deed()
        assert said in str(refused.value)


def exhausted(campaign: Campaign) -> Event:
    """Forbid all shots, and find out."""
    event = operators.forbid(campaign.store, "elevation>10")
    assert campaign.ask(1) == []
    assert campaign.finished == EXHAUSTED
    return event


def test_forbidding_answers_how_many_shots_it_forbids_and_how_many_are_left(campaign: Campaign) -> None:
    shots = campaign.ask(6)
    campaign.tell(shots[0], picture(0))
    free = N_CANDIDATES - len(shots)
    high = sum(shot.view["elevation"] == 70 for shot in shots)
    some = operators.forbid(campaign.store, "elevation>65")
    assert (some.body["shots"], some.body["left"]) == (48 - high, free - 48 + high)
    again = operators.forbid(campaign.store, "elevation>60")
    assert (again.body["shots"], again.body["left"]) == (0, free - 48 + high)
    rest = operators.forbid(campaign.store, "elevation>10")
    assert (rest.body["shots"], rest.body["left"]) == (free - 48 + high, 0)
    operators.undo(campaign.store, rest.number)
    once_more = operators.undo(campaign.store, campaign.events()[-1].number)
    assert (once_more.body["shots"], once_more.body["left"]) == (free - 48 + high, 0)


WAYS_ON: dict[str, Callable[[Campaign, Event], object]] = {
    "undo": lambda campaign, event: operators.undo(campaign.store, event.number),
    "allow": lambda campaign, event: operators.allow(campaign.store, "elevation>10"),
}


@pytest.mark.parametrize("way", sorted(WAYS_ON))
def test_what_makes_shots_possible_again_goes_on_by_itself(campaign: Campaign, way: str) -> None:
    event = exhausted(campaign)
    assert "to go on: allow a region, or add an object" in campaign.report()
    WAYS_ON[way](campaign, event)
    assert campaign.finished == ""
    assert len(campaign.ask(4)) == 4
    assert_fold_is_state(campaign)


def test_an_object_that_comes_gives_shots_to_a_campaign_that_had_none(campaign: Campaign) -> None:
    for name in ("car-00", "car-01", "truck-00", "truck-01"):
        operators.remove_object(campaign.store, name)
    assert campaign.ask(1) == []
    assert campaign.finished == EXHAUSTED
    assert due(campaign) == ""
    operators.add_object(campaign.store, "car-02", "car")
    assert campaign.finished == ""
    assert "20 images may still be taken" in due(campaign)
    assert {shot.object for shot in campaign.ask(4)} == {"car-02"}
    assert_fold_is_state(campaign)


def test_a_shot_that_is_restored_or_whose_image_is_lost_is_taken_again(campaign: Campaign) -> None:
    for name in ("car-00", "car-01", "truck-01"):
        operators.remove_object(campaign.store, name)
    operators.forbid(campaign.store, "elevation>30")
    shots = campaign.ask(20)
    assert len(shots) == 12  # all that there are
    given_up = operators.reject(campaign.store, shots[0].id, "cable")
    for number, shot in enumerate(shots[1:]):
        campaign.tell(shot, picture(number))
    assert campaign.ask(1) == []
    assert campaign.finished == EXHAUSTED
    operators.undo(campaign.store, given_up.number)
    assert [shot.id for shot in campaign.ask(3)] == [shots[0].id]
    campaign.tell(shots[0], picture(99))
    assert campaign.ask(1) == []
    assert campaign.finished == EXHAUSTED
    with campaign.store.reading() as ledger:
        record = ledger.get(shots[5].id)
    assert record is not None
    campaign.images.forget(record.image)
    assert check_campaign(campaign)["damaged"] == [shots[5].id]
    assert [shot.id for shot in campaign.ask(3)] == [shots[5].id]
    assert_fold_is_state(campaign)


def test_more_images_overrule_the_advice_to_stop(campaign: Campaign) -> None:
    with campaign.store.writing() as ledger:
        ledger.append("advised", saturated="more images gain nothing")
    assert campaign.finished == "more images gain nothing"
    assert "to go on: resume it" in campaign.report()
    operators.set_budget(campaign.store, 15)
    assert campaign.finished == "more images gain nothing"
    operators.set_budget(campaign.store, 30)
    assert campaign.finished == ""
    assert len(campaign.ask(4)) == 4
    assert_fold_is_state(campaign)


def test_a_larger_budget_does_not_go_on_with_a_rig_that_fails(campaign: Campaign) -> None:
    while shots := campaign.ask(5):
        for shot in shots:
            campaign.fail(shot, reason="no light", retry=False)
    operators.set_budget(campaign.store, 30)
    assert "answers were failures" in campaign.finished
    assert "to go on: resume it" in campaign.report()
