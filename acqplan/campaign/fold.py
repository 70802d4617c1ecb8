"""State is a fold over events: what each kind of event changes, the same for a store and in memory.

A function here never refuses: what may happen was decided before the event was written, by whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from acqplan.campaign.events import (
    CAPTURED,
    LEASED,
    PROPOSED,
    REJECTED,
    WITHDRAWN,
    CampaignState,
    Event,
    Memory,
    Records,
    ShotRecord,
)
from acqplan.campaign.region import Region
from acqplan.campaign.settings import FAILURE_WINDOW, CampaignSettings

BEHIND = 1_000_000_000
"""Positions of shots that failed: behind every plan, in the order of failing."""


class Fold:
    """Applies events to a standing and its records."""

    def __init__(self, settings: CampaignSettings, standing: CampaignState, records: Records) -> None:
        self.settings, self.standing, self.records = settings, standing, records
        self._regions: dict[str, Region] = {}

    @classmethod
    def replay(cls, settings: CampaignSettings, events: Iterable[Event]) -> Fold:
        """Everything from the first event on, in memory."""
        fold = cls(settings, CampaignState(), Memory())
        for event in events:
            fold.apply(event)
        return fold

    def apply(self, event: Event) -> None:
        """Change the state by one event."""
        CHANGES[event.kind](self, event)
        self.standing.last, self.standing.last_at = event.number, event.at

    def is_barred(self, record: ShotRecord) -> bool:
        """Whether an operator has forbidden where a shot lies, or taken its object away."""
        view = self.settings.view(record.view)
        regions = map(self._region, self.standing.regions.values())
        if record.object not in self.standing.objects:
            return True
        return any(bool(region.holds(record.object, record.label, view)) for region in regions)

    def _region(self, text: str) -> Region:
        if text not in self._regions:
            self._regions[text] = Region.parse(text, self.settings, known_only=False)
        return self._regions[text]

    def _put(self, record: ShotRecord) -> None:
        before = self.records.get(record.shot)
        if before is not None:
            self.standing.counts[before.state] -= 1
            self.standing.queued -= before.is_queued
        self.standing.counts[record.state] += 1
        self.standing.queued += record.is_queued
        self.records.put(record)

    def _known(self, event: Event) -> ShotRecord:
        record = self.records.get(event.shot)
        assert record is not None, f"event {event.number} is about {event.shot}, which no plan holds"
        return record

    def _answered(self, event: Event) -> ShotRecord:
        """A recovered image answers nobody: its lease was given back, or is lost."""
        record = self._known(event)
        return record if event.body.get("recovered") else record.answered()

    def _bar_again(self) -> None:
        for record in list(self.records.every()):
            barred = self.is_barred(record)
            if barred != record.barred:
                self._put(replace(record, barred=barred))

    def _answer(self, mark: str) -> None:
        self.standing.answers = (self.standing.answers + mark)[-FAILURE_WINDOW:]


def _created(fold: Fold, event: Event) -> None:
    fold.standing.budget, fold.standing.time_budget = event.body["budget"], event.body["time_budget"]
    fold.standing.objects = dict(fold.settings.objects)


def _planned(fold: Fold, event: Event) -> None:
    """A new queue: of what was proposed and is not in it, nothing is wanted any more."""
    rows = event.body["shots"]
    fold.records.fetch([row[0] for row in rows])
    if event.body["replaces"]:
        kept = {row[0] for row in rows}
        for record in list(fold.records.every(PROPOSED)):
            if record.shot not in kept:
                fold._put(replace(record, state=WITHDRAWN))
        fold.standing.rounds += 1
        fold.standing.planned_at = event.body.get("captured", fold.standing.captured)
        fold.standing.learns = event.body.get("learns", False)
        known = event.body.get("objects", fold.standing.unplanned)
        fold.standing.unplanned = [name for name in fold.standing.unplanned if name not in known]
    for record in _wanted(fold, event, rows):
        fold._put(replace(record, barred=fold.is_barred(record)))
    if event.body["replaces"]:
        fold.standing.short = event.body.get("short", 0)
    fold.standing.short = min(fold.standing.short, fold.standing.shortage)


def _wanted(fold: Fold, event: Event, rows: list[list[Any]]) -> Iterator[ShotRecord]:
    """Records of the plan's shots; those that are leased, captured or rejected stay what they are."""
    first = event.body["position"]
    for place, (shot, name, view, gain, reason) in enumerate(rows):
        before = fold.records.get(shot)
        if before is not None and before.state not in (PROPOSED, WITHDRAWN):
            continue
        label = fold.standing.objects.get(name) or fold.settings.objects.get(name, "")
        fresh = before or ShotRecord(shot=shot, object=name, label=label, view=tuple(view))
        yield replace(
            fresh, state=PROPOSED, position=first + place, round=event.body["round"], gain=gain, reason=reason
        )


def _leased(fold: Fold, event: Event) -> None:
    record = fold._known(event)
    body = event.body
    fold._put(replace(record, state=LEASED, caller=body["caller"], expires=body["expires"], open=record.open + 1))
    if fold.standing.began is None:
        fold.standing.began = event.at


def _expired(fold: Fold, event: Event) -> None:
    record = fold._known(event).returned()
    fold._put(record.answered() if event.body.get("given_back") else record)


def _told(fold: Fold, event: Event) -> None:
    body, record = event.body, fold._answered(event).returned()
    fold._put(
        replace(
            record,
            state=CAPTURED,
            digest=body["digest"],
            image=body["image"],
            reached=tuple(body["reached"]),
            captured_at=event.at,
            lost="",
        )
    )
    fold.standing.exposures += body["digest"] != record.lost and not body.get("counted", False)
    fold._answer("1")


def _surplus(fold: Fold, event: Event) -> None:
    fold._put(fold._answered(event))
    fold.standing.exposures += 1
    fold.standing.surplus += 1
    fold._answer("1")


def _failed(fold: Fold, event: Event) -> None:
    """Back into the queue, behind everything else; unless it was captured or is leased to somebody else."""
    record = fold._known(event).answered()
    if record.state in (LEASED, PROPOSED) and not event.body.get("late"):
        record = replace(record.returned(), position=BEHIND + event.number)
    fold._put(replace(record, tries=record.tries + 1))
    fold.standing.failures += 1
    fold.standing.exposures += bool(event.body["exposed"])
    fold._answer("0")


def _rejected(fold: Fold, event: Event) -> None:
    fold._put(replace(fold._known(event).returned(), state=REJECTED))


def _restored(fold: Fold, event: Event) -> None:
    fold._put(replace(fold._known(event), state=PROPOSED, tries=0))
    fold.standing.short = 0


def _damaged(fold: Fold, event: Event) -> None:
    """The image is lost; it counts as taken, and the shot is wanted again."""
    record = fold._known(event)
    fold._put(replace(record, state=PROPOSED, digest="", image="", reached=(), captured_at=0.0, lost=record.digest))


def _forbidden(fold: Fold, event: Event) -> None:
    fold.standing.regions[str(event.number)] = event.body["where"]
    fold._bar_again()


def _allowed(fold: Fold, event: Event) -> None:
    fold.standing.regions.pop(str(event.body["undoes"]), None)
    fold._bar_again()
    fold.standing.short = 0


def _paused(fold: Fold, event: Event) -> None:
    fold.standing.paused_at = event.at


def _resumed(fold: Fold, event: Event) -> None:
    if fold.standing.paused_at is not None and fold.standing.began is not None:
        fold.standing.paused_seconds += event.at - max(fold.standing.paused_at, fold.standing.began)
    fold.standing.paused_at = None


def _budget(fold: Fold, event: Event) -> None:
    fold.standing.budget = event.body["budget"]
    fold.standing.time_budget = event.body["time_budget"]


def _object_added(fold: Fold, event: Event) -> None:
    name, label = event.body["object"], event.body["label"]
    fold.standing.objects[name] = label
    fold.standing.added.append(name)
    fold.standing.unplanned.append(name)
    for record in [one for one in fold.records.every() if one.object == name and one.label != label]:
        fold._put(replace(record, label=label))
    fold._bar_again()
    fold.standing.short = 0


def _object_removed(fold: Fold, event: Event) -> None:
    fold.standing.objects.pop(event.body["object"], None)
    for names in (fold.standing.added, fold.standing.unplanned):
        if event.body["object"] in names:
            names.remove(event.body["object"])
    fold._bar_again()


def _advised(fold: Fold, event: Event) -> None:
    fold.standing.advice = event.body
    fold.standing.saturated = "" if fold.standing.overruled else event.body.get("saturated", "")


def _stopped(fold: Fold, event: Event) -> None:
    fold.standing.stopped = event.body["reason"]


def _continued(fold: Fold, event: Event) -> None:
    fold.standing.overruled |= bool(fold.standing.saturated)
    fold.standing.stopped, fold.standing.saturated, fold.standing.answers = "", "", ""


def _clock(fold: Fold, event: Event) -> None:
    fold.standing.offset = event.body["offset"]


def _nothing(fold: Fold, event: Event) -> None:
    """Worth remembering, and no more."""


CHANGES: dict[str, Callable[[Fold, Event], None]] = {
    "created": _created,
    "replanned": _planned,
    "asked": _nothing,
    "leased": _leased,
    "expired": _expired,
    "told": _told,
    "surplus": _surplus,
    "failed": _failed,
    "rejected": _rejected,
    "restored": _restored,
    "damaged": _damaged,
    "forbidden": _forbidden,
    "allowed": _allowed,
    "paused": _paused,
    "resumed": _resumed,
    "budget": _budget,
    "object added": _object_added,
    "object removed": _object_removed,
    "advised": _advised,
    "stopped": _stopped,
    "continued": _continued,
    "clock": _clock,
}
