"""Events, and what they are folded into: the record of each shot, and the state of the campaign as a whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from acqplan.numbers import ViewValue

PROPOSED, LEASED, CAPTURED, REJECTED, WITHDRAWN = "proposed", "leased", "captured", "rejected", "withdrawn"
STATES = (PROPOSED, LEASED, CAPTURED, REJECTED, WITHDRAWN)


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
        failures: Number of failed tries.
        answers: The last answers, ``1`` for a capture and ``0`` for a failure, the latest last.
        regions: Forbidden regions by number of the event, as text.
        rounds: Number of plans made.
        planned_at: Number of captures that the last plan knew.
        learns: Whether the rule looks at the captured images, and so plans in rounds.
        short: Images for which the last plan found no shot.
        paused_at: Start of the present pause; ``None`` if it is not paused.
        paused_seconds: Length of earlier pauses.
        stopped: Why it was stopped; empty if it was not stopped.
        began: Time of the first lease.
        advice: The last advice.
        saturated: Why the last advice says that more images gain nothing; empty otherwise.
        overruled: Whether an operator continued after such advice; from then on advice does not stop the campaign.
        last: Number of the last event.
        last_at: Its time.
        offset: Seconds added to the clock of the machine, because it was set back by so much.
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
