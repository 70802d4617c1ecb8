"""Spares: shots in place of those that were given up, until nothing is left."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from acqplan import Campaign
from acqplan.campaign import operators
from acqplan.campaign.leases import draw_spares, n_views, view_at
from acqplan.campaign.settings import CampaignSettings
from acqplan.rig.source import LiveSource
from acqplan.rig.spec import Rig
from acqplan.space import Objects, Space
from tests.campaign.rigs import N_CANDIDATES, live_rig
from tests.campaign.spaces import TERMS
from tests.campaign.test_campaign import Clock, picture

TABLE = replace(TERMS, table=((0.0, 30.0, "L0"), (60.0, 30.0, "L1"), (300.0, 70.0, "L0"), (300.0, 70.0, "L1")))


def created(
    folder: Path, settings: CampaignSettings | None = None, weights: np.ndarray | None = None, **chosen: Any
) -> Campaign:
    setup = live_rig(folder)
    if settings is not None:
        objects = Objects(names=tuple(settings.objects), labels=tuple(settings.objects.values()))
        setup = Rig(source=LiveSource(space=settings.space(), objects=objects))
    chosen = {"budget": 6, "strategy": "random-shots", **chosen}
    return Campaign.create(replace(setup, view_weights=weights), path=folder / "rig.db", clock=Clock(), **chosen)


def spares(campaign: Campaign, n: int) -> list[str]:
    with campaign.store.reading() as ledger:
        return [row[0] for row in draw_spares(ledger, n)]


@pytest.mark.parametrize("settings", [TERMS, TABLE], ids=["grid", "table"])
def test_views_by_number_are_those_of_the_space(settings: CampaignSettings) -> None:
    space = settings.space()
    found = [
        space.coordinates(settings.view(view_at(settings, number))).tolist() for number in range(n_views(settings))
    ]
    assert found == space.views().tolist()


@pytest.mark.parametrize("n", [1, 7, N_CANDIDATES])
def test_no_spare_is_captured_leased_rejected_forbidden_or_planned(tmp_path: Path, n: int) -> None:
    campaign = created(tmp_path, budget=40)
    for number, shot in enumerate(campaign.ask(10)):
        if number % 2:
            campaign.tell(shot, picture(number))
    with campaign.store.reading() as ledger:
        known = {record.shot for record in ledger.every()}
        waiting = [record.shot for record in ledger.queue(2)]
    operators.reject(campaign.store, waiting[0], "cable")
    operators.forbid(campaign.store, "elevation>65")
    operators.remove_object(campaign.store, "truck-01")
    found = spares(campaign, n)
    assert len(set(found)) == len(found) <= n
    assert not set(found) & known
    assert not [shot for shot in found if "_70_" in shot or shot.startswith("truck-01")]
    free = 3 * 6 * 2 * 2 - len([one for one in known if "_70_" not in one and not one.startswith("truck-01")])
    assert len(found) == min(n, free)


def test_spares_are_spread_over_objects(tmp_path: Path) -> None:
    campaign = created(tmp_path, budget=8)
    found = [shot.split("_")[0] for shot in spares(campaign, 20)]
    assert {name: found.count(name) for name in set(found)} == dict.fromkeys(live_rig(tmp_path).source.objects.names, 5)


def test_the_same_state_draws_the_same_spares(tmp_path: Path) -> None:
    campaign = created(tmp_path)
    assert spares(campaign, 9) == spares(campaign, 9)


@pytest.mark.parametrize("settings", [None, TABLE], ids=["grid", "table"])
def test_a_small_space_is_taken_to_the_last_shot(tmp_path: Path, settings: CampaignSettings | None) -> None:
    every = N_CANDIDATES if settings is None else 4 * len(TABLE.objects)
    campaign = created(tmp_path, settings, budget=every, failure_limit=1.0)
    seen: list[str] = []
    while shots := campaign.ask(5):
        for shot in shots:
            seen.append(shot.id)
            if len(seen) % 3:
                campaign.tell(shot, picture(0))
            else:
                campaign.fail(shot, reason="unreachable", retry=False)
    assert len(seen) == len(set(seen)) == every
    assert campaign.finished == "no shot is left that could be taken"


def test_rejected_shots_are_replaced_until_the_budget_is_spent(tmp_path: Path) -> None:
    campaign = created(tmp_path, TABLE, budget=5)
    for shot in campaign.ask(5):
        campaign.fail(shot, reason="unreachable", retry=False)
    again = campaign.ask(9)
    assert len(again) == 5
    assert {shot.reason for shot in again} == {"in place of a shot that cannot be had, by lot"}
    views = {tuple(shot.view.values()) for shot in again}
    assert TABLE.table is not None
    assert views <= set(TABLE.table)


def test_views_that_nobody_will_meet_are_no_spares(tmp_path: Path) -> None:
    space: Space = TERMS.space()
    low = space.views()[:, 1] < 40.0
    campaign = created(tmp_path, TERMS, weights=low.astype(float), budget=6)
    found = spares(campaign, 200)
    assert len(found) == low.sum() * len(TERMS.objects) - 6
    assert all("_30_" in shot for shot in found)


def test_without_objects_there_are_no_spares(tmp_path: Path) -> None:
    campaign = created(tmp_path)
    for name in live_rig(tmp_path).source.objects.names:
        operators.remove_object(campaign.store, name)
    assert spares(campaign, 3) == []
    assert campaign.ask(3) == []
    assert campaign.finished == "no shot is left that could be taken"
