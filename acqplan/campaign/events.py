"""Events, and the fold over them: the record of each shot and the state of the campaign, in a store and in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from acqplan.campaign.settings import FAILURE_WINDOW, CampaignSettings, Region
from acqplan.numbers import ViewValue

PROPOSED, LEASED, CAPTURED, REJECTED, WITHDRAWN = "proposed", "leased", "captured", "rejected", "withdrawn"
STATES = (PROPOSED, LEASED, CAPTURED, REJECTED, WITHDRAWN)

OF_SHOTS = {"leased", "expired", "told", "surplus", "failed", "rejected", "restored", "damaged"}
OF_CAMPAIGN = {"created", "asked", "forbidden", "allowed", "paused", "resumed", "budget", "object added"}
GIVES_SHOTS = {"allowed", "object added", "budget"}
OF_CAMPAIGN |= {"object removed", "advised", "stopped", "continued", "clock"}
KINDS = {"replanned", *OF_SHOTS, *OF_CAMPAIGN}  # every kind of event
EXHAUSTED = "no shot is left that could be taken"  # why a campaign stops that goes on by itself once there is one
BEHIND = 1_000_000_000  # positions of shots that failed: behind every plan, in the order of failing


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; events are never changed.

    Attributes:
        number: Position in the campaign, from 1 on without gaps.
        at: Time of the campaign, seconds since 1970; never less than that of the event before.
        kind: What happened.
        shot: The shot that it happened to; empty if it happened to the campaign.
        body: Its details, fit for JSON.
    """

    number: int
    at: float
    kind: str
    shot: str = ""
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotRecord:
    """A shot that some plan has held.

    Attributes:
        shot: Its identifier.
        object: Name of the object.
        label: Its class.
        view: Commanded settings, in the order of the axes.
        state: proposed, leased, captured, rejected (never again) or withdrawn (not in the latest plan).
        position: Position in the queue; smaller comes first.
        round: Round of the plan that chose it.
        gain: What it adds, in the strategy's own measure.
        reason: Why it was chosen.
        barred: Whether an operator has forbidden its region, or removed its object.
        tries: Failures so far.
        open: Leases without an answer, expired ones included.
        caller: Name of the caller that holds the lease.
        expires: When the lease expires.
        digest: SHA-256 of the image's bytes; empty before there is one.
        image: Its path in the folder of images.
        copy_of: Another shot whose image had the same bytes.
        reached: Settings that the rig reached.
        captured_at: When its image was told.
        lost: SHA-256 of an image that was told and is damaged; told again, it does not count twice.
    """

    shot: str
    object: str
    label: str
    view: tuple[ViewValue, ...]
    state: str = PROPOSED
    position: int = 0
    round: int = 0
    gain: float = 0.0
    reason: str = ""
    barred: bool = False
    tries: int = 0
    open: int = 0
    caller: str = ""
    expires: float = 0.0
    digest: str = ""
    image: str = ""
    copy_of: str = ""
    reached: tuple[ViewValue, ...] = ()
    captured_at: float = 0.0
    lost: str = ""

    @property
    def is_queued(self) -> bool:
        """Whether it may be leased."""
        return self.state == PROPOSED and not self.barred

    def returned(self) -> ShotRecord:
        """The record without its lease; proposed again unless it is captured, rejected or withdrawn."""
        state = PROPOSED if self.state == LEASED else self.state
        return replace(self, state=state, caller="", expires=0.0)

    def answered(self) -> ShotRecord:
        """The record with one open lease less."""
        return replace(self, open=max(self.open - 1, 0))


@dataclass(slots=True, kw_only=True)
class CampaignState:
    """The campaign as a whole.

    Attributes:
        budget: Images that may be taken.
        time_budget: Seconds that may pass from the first lease on, pauses not counted; ``None`` for no end.
        objects: Label of each object by name, without those that operators removed.
        added: Names of objects that operators added.
        unplanned: Added objects that no plan has considered yet.
        counts: Number of shots in each state.
        queued: Number of shots that may be leased.
        exposures: Images that count towards the budget: captured, kept aside, lost, and failed after an exposure.
        surplus: Images kept aside: late answers for shots that another caller had captured.
        copies: Captured shots whose image had the bytes of another shot's.
        converted: Number of images told by what has to be converted, a key of `acqplan.images.CONVERSIONS`.
        failures: Number of failed tries.
        answers: The last answers, ``1`` for a capture and ``0`` for a failure, the latest last.
        regions: Forbidden regions by number of the event, as text.
        rounds: Number of plans made.
        planned_at: Number of captures that the last plan knew.
        learns: Whether the rule looks at the captured images, and so plans in rounds.
        short: Images for which the last plan found no shot.
        paused_at: Start of the present pause; ``None`` if it is not paused.
        paused_seconds: Length of earlier pauses, and what a clock was ahead by that was set back.
        stopped: Why it was stopped; empty if it was not stopped.
        began: Time of the first lease.
        advice: The last advice.
        saturated: Why the last advice says that more images gain nothing; empty otherwise.
        overruled: Whether an operator continued after such advice; from then on advice does not stop the campaign.
        last: Number of the last event.
        last_at: Its time.
        offset: Seconds added to the clock that jumped last, because it was set back by so much, or less if ahead.
    """

    budget: int = 0
    time_budget: float | None = None
    objects: dict[str, str] = field(default_factory=dict)
    added: list[str] = field(default_factory=list)
    unplanned: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATES, 0))
    queued: int = 0
    exposures: int = 0
    surplus: int = 0
    copies: int = 0
    converted: dict[str, int] = field(default_factory=dict)
    failures: int = 0
    answers: str = ""
    regions: dict[str, str] = field(default_factory=dict)
    rounds: int = 0
    planned_at: int = 0
    learns: bool = False
    short: int = 0
    paused_at: float | None = None
    paused_seconds: float = 0.0
    stopped: str = ""
    began: float | None = None
    advice: dict[str, Any] = field(default_factory=dict)
    saturated: str = ""
    overruled: bool = False
    last: int = 0
    last_at: float = 0.0
    offset: float = 0.0

    @property
    def room(self) -> int:
        """Images that may still be leased."""
        return max(self.budget - self.exposures - self.counts[LEASED], 0)

    @property
    def shortage(self) -> int:
        """Images that may still be leased, but for which no shot is queued."""
        return max(self.room - self.queued, 0)

    @property
    def captured(self) -> int:
        """Images in the data set."""
        return self.counts[CAPTURED]

    def seconds_left(self, now: float) -> float:
        """Seconds of the time budget that are left; infinite without one."""
        if self.time_budget is None:
            return float("inf")
        if self.began is None:
            return self.time_budget
        paused = self.paused_seconds + (now - self.paused_at if self.paused_at is not None else 0.0)
        return self.time_budget - (now - self.began - paused)

    def to_dict(self) -> dict[str, Any]:
        """All of it, fit for JSON."""
        return asdict(self)


class Records:
    """Records of shots, in memory; a transaction of a store keeps them in a database."""

    def __init__(self) -> None:
        self._held: dict[str, ShotRecord | None] = {}  # None of a shot without a record

    def get(self, shot: str) -> ShotRecord | None:
        """The record of a shot."""
        return self._held.get(shot)

    def put(self, record: ShotRecord) -> None:
        """Keep a record in place of the one before."""
        self._held[record.shot] = record

    def fetch(self, shots: Sequence[str]) -> None:
        """Read the records of many shots at once, where each query takes time; `get` then finds them at hand."""

    def every(self, *states: str) -> Iterator[ShotRecord]:
        """All records in these states, or all there are."""
        return iter([one for one in self._held.values() if one and (not states or one.state in states)])


class Fold:
    """Applies events to the state of a campaign and to the records of its shots.

    It never refuses an event: what may happen was decided before the event was written.

    Attributes:
        settings: What the campaign was created with.
        state: The campaign as a whole.
        records: Its shots.
    """

    def __init__(self, settings: CampaignSettings, state: CampaignState, records: Records) -> None:
        self.settings, self.state, self.records = settings, state, records
        self._regions: dict[str, Region] = {}

    @classmethod
    def replay(cls, settings: CampaignSettings, events: Iterable[Event]) -> Fold:
        """Everything from the first event on, in memory."""
        fold = cls(settings, CampaignState(), Records())
        for event in events:
            fold.apply(event)
        return fold

    def apply(self, event: Event) -> None:
        """Change state and records by one event.

        Raises:
            KeyError: If there is no such kind of event, or its body lacks something.
        """
        if event.kind in OF_SHOTS:
            self._change_shot(event)
        elif event.kind in OF_CAMPAIGN:
            self._change_campaign(event)
        elif event.kind == "replanned":
            self._replan(event)
        else:
            raise KeyError(event.kind)
        self.state.last, self.state.last_at = event.number, event.at
        # whether there is one to draw, the next caller finds out
        if self.state.stopped == EXHAUSTED and (self.state.queued or event.kind in GIVES_SHOTS):
            self.state.stopped = ""

    def is_barred(self, record: ShotRecord) -> bool:
        """Whether an operator has forbidden the region of a shot, or removed its object."""
        if record.object not in self.state.objects:
            return True
        view = self.settings.view(record.view)
        for text in self.state.regions.values():
            if text not in self._regions:
                self._regions[text] = Region.parse(text, self.settings, known_only=False)
            if self._regions[text].holds(record.object, record.label, view):
                return True
        return False

    def _change_shot(self, event: Event) -> None:
        state, body, record = self.state, event.body, self.records.get(event.shot)
        assert record is not None, f"event {event.number} is about {event.shot}, which no plan holds"
        match event.kind:
            case "leased":
                caller, expires = body["caller"], body["expires"]
                record = replace(record, state=LEASED, caller=caller, expires=expires, open=record.open + 1)
                state.began = event.at if state.began is None else state.began
            case "expired":
                record = record.returned()
                record = record.answered() if body.get("given_back") else record
            case "told" | "surplus":
                # a recovered image answers no lease: its own was given back, or is lost
                record = record if body.get("recovered") else record.answered()
                if event.kind == "told":
                    # an image counts once: not again if it was lost, or kept aside before it replaced another
                    state.exposures += body["digest"] != record.lost and not body.get("counted", False)
                    reached = tuple(body["reached"])
                    record = replace(record.returned(), state=CAPTURED, captured_at=event.at, reached=reached, lost="")
                    copy_of = body.get("copy_of", "")
                    record = replace(record, digest=body["digest"], image=body["image"], copy_of=copy_of)
                else:
                    state.exposures += 1
                    state.surplus += 1
                for kind in body.get("converted", ()):
                    state.converted[kind] = state.converted.get(kind, 0) + 1
                state.answers = f"{state.answers}1"[-FAILURE_WINDOW:]
            case "failed":
                record = record.answered()
                # behind everything else in the queue; but a late failure does not end the lease of another caller
                if record.state in (LEASED, PROPOSED) and not body.get("late"):
                    record = replace(record.returned(), position=BEHIND + event.number)
                record = replace(record, tries=record.tries + 1)
                state.failures += 1
                state.exposures += bool(body["exposed"])
                state.answers = f"{state.answers}0"[-FAILURE_WINDOW:]
            case "rejected":
                record = replace(record.returned(), state=REJECTED)
            case "restored":
                record = replace(record, state=PROPOSED, tries=0)
                state.short = 0
            case "damaged":
                # the image is lost: it counts as taken, and the shot is wanted again
                record = replace(record, state=PROPOSED, lost=record.digest, reached=(), captured_at=0.0)
                record = replace(record, digest="", image="", copy_of="")
        self._put(record)

    def _change_campaign(self, event: Event) -> None:
        state, body = self.state, event.body
        match event.kind:
            case "created" | "budget":
                if body["budget"] > state.budget and state.saturated:  # whoever gives more images overrules advice
                    state.overruled, state.saturated = True, ""
                state.budget, state.time_budget = body["budget"], body["time_budget"]
                state.objects = dict(self.settings.objects) if event.kind == "created" else state.objects
            case "forbidden":
                state.regions[str(event.number)] = body["where"]
                self._bar_again()
            case "allowed":
                state.regions.pop(str(body["undoes"]), None)
                self._bar_again()
                state.short = 0
            case "object added":
                state.objects[body["object"]] = body["label"]
                state.added.append(body["object"])
                state.unplanned.append(body["object"])
                for record in list(self.records.every()):
                    if record.object == body["object"] and record.label != body["label"]:
                        self._put(replace(record, label=body["label"]))
                self._bar_again()
                state.short = 0
            case "object removed":
                state.objects.pop(body["object"], None)
                state.added = [name for name in state.added if name != body["object"]]
                state.unplanned = [name for name in state.unplanned if name != body["object"]]
                self._bar_again()
            case "paused":
                state.paused_at = event.at
            case "resumed":
                # a pause before the first lease takes nothing from the time budget
                if state.paused_at is not None and state.began is not None:
                    state.paused_seconds += event.at - max(state.paused_at, state.began)
                state.paused_at = None
            case "advised":
                state.advice = body
                state.saturated = "" if state.overruled else body.get("saturated", "")
            case "stopped":
                state.stopped = body["reason"]
            case "continued":
                # the failures and the advice that stopped the campaign shall not stop it again
                state.overruled |= bool(state.saturated)
                state.stopped, state.saturated, state.answers = "", "", ""
            case "clock":
                state.offset = body["offset"]
                state.paused_seconds += body.get("uncounted", 0.0)

    def _replan(self, event: Event) -> None:
        """A new queue, or more shots for the one there is; what is leased, captured or rejected stays what it is."""
        state, body, rows = self.state, event.body, event.body["shots"]
        self.records.fetch([row[0] for row in rows])
        # a plan withdraws what it does without; spares only add to the queue
        if body["replaces"]:
            kept = {row[0] for row in rows}
            for record in list(self.records.every(PROPOSED)):
                if record.shot not in kept:
                    self._put(replace(record, state=WITHDRAWN))
            state.rounds += 1
            state.planned_at = body.get("captured", state.captured)
            state.learns = body.get("learns", False)
            known = body.get("objects", state.unplanned)
            state.unplanned = [name for name in state.unplanned if name not in known]
        for position, (shot, name, view, gain, reason) in enumerate(rows, body["position"]):
            before = self.records.get(shot)
            if before is not None and before.state not in (PROPOSED, WITHDRAWN):
                continue
            label = state.objects.get(name) or self.settings.objects.get(name, "")
            fresh = before or ShotRecord(shot=shot, object=name, label=label, view=tuple(view))
            chosen = replace(fresh, position=position, round=body["round"], gain=gain, reason=reason)
            self._put(replace(chosen, state=PROPOSED, barred=self.is_barred(chosen)))
        # a plan that found fewer shots than asked for is not made again for the same shortage
        short = body.get("short", 0) if body["replaces"] else state.short
        state.short = min(short, state.shortage)

    def _bar_again(self) -> None:
        for record in list(self.records.every()):
            barred = self.is_barred(record)
            if barred != record.barred:
                self._put(replace(record, barred=barred))

    def _put(self, record: ShotRecord) -> None:
        """Keep a record, and count its state in place of the state before."""
        before = self.records.get(record.shot)
        if before is not None:
            self.state.counts[before.state] -= 1
            self.state.queued -= before.is_queued
            self.state.copies -= bool(before.copy_of)
        self.state.counts[record.state] += 1
        self.state.queued += record.is_queued
        self.state.copies += bool(record.copy_of)
        self.records.put(record)
