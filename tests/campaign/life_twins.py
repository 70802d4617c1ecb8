"""A campaign and its model, led through the same life: rigs that ask and answer, and accidents."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from acqplan import Campaign
from acqplan.campaign import leases
from acqplan.campaign.check import check_campaign
from acqplan.campaign.events import Event
from acqplan.campaign.export import export_campaign, import_campaign
from acqplan.campaign.images import encoded
from acqplan.errors import ConflictError, OutputError, ShotError
from acqplan.rig.source import LiveSource
from acqplan.rig.spec import Rig
from acqplan.space import Circle, Interval, Objects, Space
from tests.campaign.life_model import ORIGINAL, Lease, Model, View, shot_name
from tests.campaign.rigs import GONE
from tests.campaign.test_campaign import Clock, picture

SPACE = Space(
    axes=(
        Circle(name="azimuth", values=(0.0, 90.0, 180.0, 270.0), seconds_per_unit=0.05),
        Interval(name="elevation", values=(30.0, 60.0), unit="deg", seconds_per_unit=0.1),
    )
)
SETUP = Rig(source=LiveSource(space=SPACE, objects=Objects(names=tuple(ORIGINAL), labels=tuple(ORIGINAL.values()))))
STATES = ("proposed", "leased", "captured", "rejected", "withdrawn")
LEASE_SECONDS, MOST_TRIES, FAILURE_LIMIT = 60.0, 3, 0.7
PICTURES = [encoded(picture(number), "shot")[0] for number in range(4)]
CALLERS = ("left", "right", GONE)


class Twins:
    """A campaign and its model.

    Attributes:
        rigs: The campaign as each caller has opened it.
        model: What must have come of it.
        held: Everything that was opened, and will be closed at the end.
        events: All that had happened after the step before.
    """

    path: Path
    model: Model
    rigs: dict[str, Campaign]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="life"))
        self.clock, self.number = Clock(), itertools.count()
        self.held: list[Campaign] = []
        self.events: list[Event] = []

    def begin(self, budget: int, strategy: str) -> None:
        self.path = self.folder / "life.db"
        made = Campaign.create(
            SETUP,
            budget=budget,
            path=self.path,
            clock=self.clock,
            strategy=strategy,
            lease_seconds=LEASE_SECONDS,
            most_tries=MOST_TRIES,
            failure_limit=FAILURE_LIMIT,
        )
        self.model = Model(budget=budget, most_tries=MOST_TRIES, failure_limit=FAILURE_LIMIT)
        self.model.plan(self.rows(made.events()[-1]))
        self.held.append(made)
        self.open_all()

    def open_all(self) -> None:
        self.rigs = {name: Campaign.open(self.path, caller=name, clock=self.clock) for name in CALLERS}
        self.held += self.rigs.values()

    @property
    def campaign(self) -> Campaign:
        return self.rigs["left"]

    def rows(self, event: Event) -> dict[str, tuple[str, View]]:
        return {row[0]: (row[1], (float(row[2][0]), float(row[2][1]))) for row in event.body["shots"]}

    def now(self, caller: str) -> float:
        """Time of the campaign as a caller sees it, which has opened it with a clock of its own."""
        with self.rigs[caller].store.reading() as ledger:
            return ledger.now

    def some(self, number: int) -> str:
        """A shot that was ever wanted; mostly one that something has happened to."""
        model = self.model
        return picked(number, model.leases, model.captured, model.rejected, model.known, model.known)

    def unanswered(self, number: int) -> str:
        """A shot of which an answer is awaited, in time or late; best of all from two."""
        counts = self.model.unanswered
        once, twice = ([shot for shot, count in counts.items() if count >= least] for least in (1, 2))
        return picked(number, once, twice) if once else self.some(number)

    def ask(self, caller: str, n: int) -> None:
        model, now = self.model, self.now(caller)
        model.take_back(now, GONE)
        model.watch()
        shots = self.rigs[caller].ask(n)
        if model.is_over or model.paused:
            assert shots == []
            return
        takeable = model.takeable()
        assert len(shots) == min(n, model.room, len(takeable)), "as many as budget and space allow"
        for shot in shots:
            view = (float(shot.view["azimuth"]), float(shot.view["elevation"]))
            assert shot.id in takeable, "neither leased, captured, rejected, nor forbidden"
            assert shot.id == shot_name(shot.object, view)
            assert shot.label == model.labels[shot.object]
            assert shot.expires == pytest.approx(now + LEASE_SECONDS)
            takeable.remove(shot.id)
            model.lease(shot.id, shot.object, view, Lease(caller, shot.expires))
        if not shots and model.room and not model.leases:
            model.exhausted = True

    def tell(self, shot: str, caller: str, image: int, replace: bool, azimuth: float) -> None:
        if shot not in self.model.known:
            with pytest.raises(ShotError):
                self.rigs[caller].tell(shot, PICTURES[image])
            return
        view = self.model.known[shot][1]
        turned = (view[0] + azimuth) % 360.0
        reached = (0.0 if f"{turned:.6f}" == "360.000000" else turned, view[1])
        expected = self.model.tell(shot, image, reached, replace=replace)
        try:
            told = {"azimuth": view[0] + azimuth}
            found = str(self.rigs[caller].tell(shot, PICTURES[image], reached=told, replace=replace))
        except ConflictError:
            found = "conflict"
        assert found == expected

    def fail(self, shot: str, caller: str, retry: bool, exposed: bool) -> None:
        if shot not in self.model.known:
            with pytest.raises(ShotError):
                self.rigs[caller].fail(shot, reason="unknown")
            return
        expected = self.model.fail(shot, caller, retry=retry, exposed=exposed)
        try:
            found = self.rigs[caller].fail(shot, reason="unreachable", retry=retry, exposed=exposed)
        except ConflictError:
            found = "conflict"
        assert found == expected

    def take(self, caller: str, count: int) -> None:
        """What a script does most of the time: tell whatever it was handed, and go on."""
        mine = [shot for shot, lease in self.model.leases.items() if lease.caller == caller][:count]
        for number, shot in enumerate(mine):
            assert self.model.tell(shot, number, self.model.known[shot][1], replace=False) != "conflict"
            self.rigs[caller].tell(shot, PICTURES[number])

    def release(self, caller: str) -> None:
        mine = [shot for shot, lease in self.model.leases.items() if lease.caller == caller]
        for shot in mine:
            self.model.give_back(shot, answered=True)
        known = list(self.model.known)
        assert self.rigs[caller].release(known) == len(mine)

    def clock_is_set_back(self, number: int) -> None:
        self.clock.now -= (0.5, 30.0, 3600.0)[number % 3]

    def everybody_crashes(self, _: int) -> None:
        """Nobody says goodbye: what is open stays open, and others come."""
        self.open_all()

    def the_middle_of_a_transaction_fails(self, number: int) -> None:
        with contextlib.suppress(ZeroDivisionError), self.campaign.store.writing() as ledger:
            leases.take_back(ledger)
            leases.lease(ledger, 1 + number % 3, "nobody")
            ledger.append("forbidden", where="elevation>0")
            ledger.flush()
            raise ZeroDivisionError

    def an_image_is_lost(self, number: int) -> None:
        if not self.model.captured:
            return
        shot = sorted(self.model.captured)[number % len(self.model.captured)]
        with self.campaign.store.reading() as ledger:
            record = ledger.get(shot)
        assert record is not None
        self.campaign.images.forget(record.image)
        assert check_campaign(self.campaign)["damaged"] == [shot]
        self.model.lose(shot)

    def the_disk_of_the_images_is_away(self, number: int) -> None:
        """An image that is told meanwhile is refused, and nothing has happened."""
        root, shot = self.campaign.images.root, self.unanswered(number)
        before = state_of(self.campaign)
        root.rename(self.folder / "away")
        if number % 2:
            root.mkdir()  # where it is mounted
        if shot in self.model.known and self.model.captured.get(shot) != 3:
            with pytest.raises((OutputError, ConflictError)):
                self.campaign.tell(shot, PICTURES[3])
        assert state_of(self.campaign) == before
        assert not root.exists() or list(root.iterdir()) == []
        if root.exists():
            root.rmdir()
        (self.folder / "away").rename(root)

    def a_clock_is_ahead_for_one_ask(self, number: int) -> None:
        """What was leased is over, as for any clock that says so; afterwards time goes on from there."""
        self.clock.now += 86_400.0
        self.ask(CALLERS[number % 2], 1)
        self.clock.now -= 86_400.0

    def records_are_folded_anew(self, _: int) -> None:
        self.campaign.store.rebuild()

    def moves_elsewhere(self, _: int) -> None:
        """Export, import, and go on with the copy."""
        number = next(self.number)
        place, path = self.folder / f"export{number}", self.folder / f"copy{number}.db"
        export_campaign(self.campaign, place)
        import_campaign(place, path).close()
        shutil.rmtree(place)
        before = state_of(self.campaign)
        self.path = path
        self.open_all()
        assert state_of(self.campaign) == before

    def close(self) -> None:
        for campaign in self.held:
            campaign.close()
        shutil.rmtree(self.folder)


def picked(number: int, *pools: Collection[str]) -> str:
    """One of the shots of one of the pools."""
    chosen = [sorted(pool) for pool in pools if pool]
    if not chosen:
        return "car-00_0_30"
    pool = chosen[number % len(chosen)]
    return pool[number // len(chosen) % len(pool)]


def state_of(campaign: Campaign) -> tuple[list[Event], dict[str, Any], dict[str, dict[str, Any]]]:
    with campaign.store.reading() as ledger:
        records = {record.shot: asdict(record) for record in ledger.every()}
        return list(map(untied, ledger.events())), ledger.state.to_dict(), records


def untied(event: Event) -> Event:
    """Without where the images lie, which is another place for a copy."""
    return replace(event, body={**event.body, "images": ""}) if event.kind == "created" else event


def exposures_of(events: list[Event]) -> int:
    """Counted once more, from the events: every image, but none that came back after a loss or a replacement."""
    images, lost, spoken = 0, {}, set[tuple[str, str]]()
    for event in events:
        if event.kind == "damaged":
            lost[event.shot] = event.body["digest"]
        if event.kind in ("told", "surplus"):
            image = event.shot, event.body["digest"]
            is_back = event.kind == "told" and lost.pop(event.shot, "") == event.body["digest"]
            images += not (is_back or ("replaces" in event.body and image in spoken))
            spoken.add(image)
    return images + sum(event.kind == "failed" and event.body["exposed"] for event in events)
