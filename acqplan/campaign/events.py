"""What is known of each shot of a campaign, and of the campaign as a whole: what events are folded into."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from acqplan.numbers import ViewValue

PROPOSED, LEASED, CAPTURED, REJECTED, WITHDRAWN = "proposed", "leased", "captured", "rejected", "withdrawn"
STATES = (PROPOSED, LEASED, CAPTURED, REJECTED, WITHDRAWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened; events are never changed.

    Attributes:
        number: Place in the campaign, from 1 on without gaps.
        at: Time of the campaign, seconds since 1970; never less than that of the event before.
        kind: What happened.
        shot: Whom it happened to; empty if to the campaign.
        body: What else is to be known, fit for JSON.
    """

    number: int
    at: float
    kind: str
    shot: str = ""
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotRecord:
    """A shot that was wanted at some time.

    Attributes:
        shot: Its identifier.
        object: Name of the object.
        label: Its class.
        view: Commanded settings, in the order of axes.
        state: proposed, leased, captured, rejected (never again) or withdrawn (a later plan does without it).
        position: Place in the queue; smaller comes first.
        round: Round of the plan that chose it.
        gain: What it adds in the strategy's own measure.
        reason: Why it was chosen.
        barred: Whether an operator has forbidden where it lies.
        tries: Failures so far.
        open: Leases that nobody has answered, expired ones included.
        caller: Who holds the lease.
        expires: When the lease does.
        digest: SHA-256 of the image's bytes; empty before.
        image: Where it lies in the folder of images.
        reached: Settings that the rig reached.
        captured_at: When it was told.
        lost: SHA-256 of an image that was told and is damaged; told again, it counts no second time.
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
        """Whether it may be handed out."""
        return self.state == PROPOSED and not self.barred

    def returned(self) -> ShotRecord:
        """Without its lease; wanted again unless it has been captured, rejected or withdrawn."""
        state = PROPOSED if self.state == LEASED else self.state
        return replace(self, state=state, caller="", expires=0.0)

    def answered(self) -> ShotRecord:
        """One open lease less."""
        return replace(self, open=max(self.open - 1, 0))


@dataclass(slots=True, kw_only=True)
class CampaignState:
    """The campaign as a whole.

    Attributes:
        budget: Images that may be taken.
        time_budget: Seconds that may pass from the first lease on, pauses not counted; ``None`` for no end.
        objects: Label of each object by name, those taken away not included.
        added: Names of objects that operators added.
        unplanned: Those of them that no plan has known.
        counts: Shots in each state.
        queued: Shots that may be handed out.
        exposures: Images that count: captured, kept aside, lost, and failed where the rig had exposed.
        surplus: Images kept aside: late answers for shots that somebody else had captured.
        failures: Failed tries.
        answers: The last answers, ``1`` a capture and ``0`` a failure, the latest last.
        regions: Forbidden regions by number of the event.
        rounds: Plans made.
        planned_at: Captures that the last plan knew.
        learns: Whether the rule looks at what was captured, and so plans in rounds.
        short: Images that the last plan could not find a shot for.
        paused_at: Since when it is paused; ``None`` if it is not.
        paused_seconds: Length of earlier pauses.
        stopped: Why it was stopped; empty if it was not.
        began: Time of the first lease.
        advice: The last advice.
        saturated: Why the last advice says that more images gain nothing; empty otherwise.
        overruled: Whether an operator went on after such advice; none stops the campaign from then on.
        last: Number of the last event.
        last_at: Its time.
        offset: What is added to the clock of the machine, which was set back by so much.
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
        """Images that may still be leased, but for which no shot waits."""
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


class Records(Protocol):
    """Where records are kept while events are folded."""

    def get(self, shot: str) -> ShotRecord | None:
        """The record of a shot."""

    def put(self, record: ShotRecord) -> None:
        """Keep a record in place of the one before."""

    def fetch(self, shots: Sequence[str]) -> None:
        """Have the records of many shots at hand, where each question takes time."""

    def every(self, *states: str) -> Iterable[ShotRecord]:
        """All records in these states, or all there are."""


@dataclass(slots=True)
class Memory:
    """Records in memory."""

    kept: dict[str, ShotRecord] = field(default_factory=dict)

    def get(self, shot: str) -> ShotRecord | None:
        """The record of a shot."""
        return self.kept.get(shot)

    def put(self, record: ShotRecord) -> None:
        """Keep a record in place of the one before."""
        self.kept[record.shot] = record

    def fetch(self, shots: Sequence[str]) -> None:
        """All are at hand."""

    def every(self, *states: str) -> Iterator[ShotRecord]:
        """All records in these states, or all there are."""
        return iter([one for one in self.kept.values() if not states or one.state in states])
