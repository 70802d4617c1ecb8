"""Leases: what has expired comes back, then as many shots are leased as budget, time and queue allow.

Where the queue falls short, because shots were given up, spares are drawn in their place.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from acqplan.campaign.events import CAPTURED, EXHAUSTED, LEASED, REJECTED, WITHDRAWN, CampaignState, ShotRecord
from acqplan.campaign.machine import is_gone
from acqplan.campaign.settings import CampaignSettings
from acqplan.campaign.wording import Step
from acqplan.numbers import ViewValue, count_noun, duration, local_time, shot_identifier
from acqplan.rng import stream
from acqplan.space.axes import Circle

if TYPE_CHECKING:
    from acqplan.campaign.store import Transaction

FEWEST_ANSWERS = 20  # answers before which no share of failures stops a campaign
DRAWS = 30  # draws for each shot that is missing, before all shots of a small space are listed
MOST_LISTED = 200_000
REASON = "in place of a shot that cannot be had, by lot"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One view of one object, leased to a caller.

    Attributes:
        id: Its identifier.
        object: Name of the object.
        label: Its class.
        view: Setting of each axis.
        expires: When the lease ends, seconds since 1970.
        round: Round of the plan that chose it.
        reason: Why it was chosen.
        say: What to do for it, as a sentence for people.
        steps: The parts of that sentence, see `acqplan.campaign.wording.Step`.
    """

    id: str
    object: str
    label: str
    view: Mapping[str, ViewValue]
    expires: float
    round: int = 0
    reason: str = ""
    say: str = ""
    steps: tuple[Step, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """All of it, fit for JSON."""
        return {**asdict(self), "expires": round(self.expires, 3), "expires_at": local_time(self.expires)}


def take_back(transaction: Transaction) -> None:
    """Take back leases that have expired, and those of processes of this machine that were killed."""
    for record in transaction.overdue():
        transaction.append("expired", record.shot)
    for record in list(transaction.every(LEASED)):
        if is_gone(record.caller):  # not given back: should it live after all, its image is late, and kept
            transaction.append("expired", record.shot, reason="its process is gone")


def finished(settings: CampaignSettings, state: CampaignState, now: float) -> str:
    """Why no shot will be leased any more; empty while some may be."""
    if state.stopped:
        return state.stopped
    if state.exposures >= state.budget:
        return f"the budget of {count_noun(state.budget, 'image')} is spent"
    if state.time_budget is not None and state.seconds_left(now) <= 0:
        return f"the time budget of {duration(state.time_budget)} is spent"
    return state.saturated if settings.stop_when_saturated else ""


def way_on(state: CampaignState) -> str:
    """What an operator does to go on with a campaign that has stopped; empty if it has not, or its budget is spent."""
    if state.stopped == EXHAUSTED:
        return "allow a region, or add an object"
    return "resume it" if state.stopped or state.saturated else ""


def watch_failures(transaction: Transaction) -> None:
    """Stop the campaign if too many of the last answers were failures."""
    answers, limit = transaction.state.answers, transaction.settings.failure_limit
    failed = answers.count("0")
    if transaction.state.stopped or len(answers) < FEWEST_ANSWERS or failed <= limit * len(answers):
        return
    said = f"{failed} of the last {len(answers)} answers were failures, above the limit of {100 * limit:.0f} %"
    transaction.append("stopped", reason=said)


def watch_copies(transaction: Transaction, digest: str) -> None:
    """Stop the campaign if one image, byte for byte, is too many of the last answers: its camera hangs."""
    n, limit = len(transaction.state.answers), transaction.settings.failure_limit
    answers = transaction.events(kinds=("told", "surplus", "failed"), last=n)
    same = sum(event.body.get("digest") == digest for event in answers)
    if transaction.state.stopped or n < FEWEST_ANSWERS or same <= limit * n:
        return
    said = f"{same} of the last {n} answers were one image, byte for byte, above the limit of {100 * limit:.0f} %"
    transaction.append("stopped", reason=f"{said}: does the camera hang?")


def lease(transaction: Transaction, n: int, caller: str) -> list[ShotRecord]:
    """Lease up to ``n`` shots to a caller, in the order of the queue."""
    # never more than the budget leaves, what others hold included
    wanted = min(n, transaction.state.room)
    queue = transaction.queue(wanted) if wanted else []
    # shots were given up: spares fill the queue behind all others
    if len(queue) < wanted:
        spares = draw_spares(transaction, wanted - len(queue))
        if spares:
            number, behind = transaction.state.rounds, queue[-1].position + 1 if queue else 1
            transaction.append("replanned", replaces=False, round=number, position=behind, strategy="", shots=spares)
            queue = transaction.queue(wanted)
    # of a time budget, only those that this caller can take in what is left, after those that it holds already
    left = transaction.state.seconds_left(transaction.now)
    if queue and not math.isinf(left):
        # the rig stands where the last image was captured
        told = transaction.events(kinds=("told",), last=1)
        last = transaction.get(told[0].shot) if told else None
        before = (last.object, last.reached) if last and last.state == CAPTURED else None
        held, spent = [record for record in transaction.every(LEASED) if record.caller == caller], 0.0
        for place, record in enumerate([*held, *queue]):
            spent += transaction.settings.seconds_between(before, (record.object, record.view))
            if spent > left:
                queue = queue[: max(place - len(held), 0)]
                break
            before = (record.object, record.view)
    if queue:
        transaction.append("asked", caller=caller, wanted=n, shots=[record.shot for record in queue])
    expires = transaction.now + transaction.settings.lease_seconds
    for record in queue:
        transaction.append("leased", record.shot, caller=caller, expires=expires)
    return [found for record in queue if (found := transaction.get(record.shot))]


def draw_spares(transaction: Transaction, n: int) -> list[list[Any]]:
    """Draw up to ``n`` shots that are neither taken nor forbidden, as rows of a plan.

    Objects with fewest shots come first; views that deployment never meets are left out.

    Returns:
        ``[shot, object, view, gain, reason]`` of each.
    """
    state, settings = transaction.state, transaction.settings
    draw = random.Random(stream(settings.seed, "spares", state.last))
    # shots of each object, those to come included
    wanted = Counter(dict.fromkeys(sorted(state.objects), 0))
    for name, _, shot_state, _, count in transaction.tally():
        if name in wanted and shot_state not in (REJECTED, WITHDRAWN):
            wanted[name] += count
    found: dict[str, list[Any]] = {}
    for name, number in _candidates(settings, wanted, n, draw) if wanted else ():
        if settings.view_weights is not None and settings.view_weights[number] <= 0:
            continue
        view = view_at(settings, number)
        shot = shot_identifier(name, view)
        if shot in found:
            continue
        before = transaction.get(shot)
        fresh = before or ShotRecord(shot=shot, object=name, label=state.objects[name], view=view)
        if (before is None or before.state == WITHDRAWN) and not transaction.fold.is_barred(fresh):
            found[shot] = [shot, name, list(view), 0.0, REASON]
            wanted[name] += 1
            if len(found) == n:
                break
    return list(found.values())


def n_views(settings: CampaignSettings) -> int:
    """Number of views of the space."""
    return math.prod(len(axis.values) for axis in settings.axes) if settings.table is None else len(settings.table)


def view_at(settings: CampaignSettings, number: int) -> tuple[ViewValue, ...]:
    """A view by its number; of a grid the last axis varies fastest."""
    if settings.table is not None:
        return settings.table[number]
    levels: list[ViewValue] = []
    for axis in reversed(settings.axes):
        number, level = divmod(number, len(axis.values))
        levels.append(axis.values[level] % axis.period if isinstance(axis, Circle) else axis.values[level])
    return tuple(reversed(levels))


def _candidates(
    settings: CampaignSettings, wanted: Counter[str], n: int, draw: random.Random
) -> Iterator[tuple[str, int]]:
    """Objects and numbers of views by lot, and after so many draws all of a small space; ``wanted`` may change."""
    views = n_views(settings)
    for _ in range(min(DRAWS * n, MOST_LISTED)):
        fewest = min(wanted.values())
        yield draw.choice([name for name, count in wanted.items() if count == fewest]), draw.randrange(views)
    if len(wanted) * views <= MOST_LISTED:
        listed = [(name, number) for name in wanted for number in range(views)]
        draw.shuffle(listed)
        yield from listed
