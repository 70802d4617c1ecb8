"""Plans of a campaign: what may still be taken, and a rule's choice among it as the new queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from acqplan.campaign.events import CAPTURED, LEASED, REJECTED, CampaignState, ShotRecord
from acqplan.campaign.settings import CampaignSettings, Region
from acqplan.errors import BudgetError, UsageError
from acqplan.plan import find_strategy
from acqplan.plan.base import History, Strategy, check_choice, learns
from acqplan.plan.deployed import deployed, view_rows
from acqplan.plan.plan import Plan, shot_identifiers
from acqplan.plan.rounds import next_stop
from acqplan.plan.route import Times, routed
from acqplan.space import Category, Objects, Shots, Space
from acqplan.space.kernel import nearest_views
from acqplan.space.shots import is_among

if TYPE_CHECKING:
    from acqplan.campaign.store import Transaction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanRequest:
    """What is to be planned next, at one moment of the campaign.

    Attributes:
        as_of: Number of the last event at that moment.
        candidates: What may be taken: not captured, leased, rejected, nor forbidden.
        captured: Shots of the images at hand, at the settings that the rig reached; in the order of `records`.
        records: Their records.
        objects: Names of the objects that may be shot.
        n: Images to plan.
        first: How many of these are taken before a rule that learns looks again.
        round: Number of the round to come.
    """

    as_of: int
    candidates: Shots
    captured: Shots
    records: tuple[ShotRecord, ...]
    objects: tuple[str, ...]
    n: int
    first: int
    round: int


def rule_of(settings: CampaignSettings) -> Strategy:
    """The rule of a campaign, for the views that deployment will meet."""
    weights = None if settings.view_weights is None else np.array(settings.view_weights)
    return deployed(find_strategy(settings.strategy), weights)


def request_of(transaction: Transaction) -> PlanRequest:
    """What is to be planned in the present state of a campaign."""
    return _request(transaction.settings, transaction.state, list(transaction.every(CAPTURED, LEASED, REJECTED)))


def first_request(settings: CampaignSettings, budget: int) -> PlanRequest:
    """What is to be planned before anything has happened.

    Raises:
        BudgetError: If there are fewer candidates than the budget, or it is below 1.
    """
    request = _request(settings, CampaignState(budget=budget, objects=dict(settings.objects)), [])
    most = len(request.candidates)
    if not 1 <= budget <= most:
        raise BudgetError(f"a budget of {budget:,} images, where {most:,} can be had", f"give 1 to {most:,}")
    return request


def captured_of(transaction: Transaction) -> tuple[Shots, tuple[ShotRecord, ...]]:
    """Shots of the images at hand, at the settings that the rig reached, and their records."""
    records = tuple(transaction.every(CAPTURED))
    objects = objects_of(transaction.settings, transaction.state, records)
    pairs = [(record.object, record.reached) for record in records]
    return shots_of(transaction.settings.space(), objects, pairs), records


def planned(request: PlanRequest, settings: CampaignSettings, rule: Strategy, history: History) -> dict[str, Any]:
    """The body of the event of a new plan, routed where moves take time.

    A rule that learns is asked for the shots before its next look by themselves, and then for the rest, in case no
    other plan follows. A factorial rule that takes fewer shots than asked for leaves the rest to spares.

    Args:
        request: What is to be planned.
        settings: What the campaign was created with.
        rule: The rule that plans.
        history: What the rule knows, over the objects of the request.

    Raises:
        StrategyError: If the rule breaks its contract. What it raises is not caught.
        UsageError: If two shots would have one name.
    """
    # a rule that learns is asked twice: up to its next look, and for the rest
    n = min(request.n, len(request.candidates))
    first = min(request.first, n) if learns(rule) else n
    times = Times.of(settings)
    left = request.candidates
    rows: list[list[Any]] = []
    for count in (first, n - first):
        if count > 0:
            choice = rule.propose(left, history, count, settings.seed)
            check_choice(choice, left, count, strategy=rule)
            taken = left.take(choice.rows)
            part = Plan(
                shots=taken,
                rounds=np.zeros(len(taken), dtype=np.int64),
                gain=choice.gain,
                reason=choice.reason,
                strategy=rule.name,
                seed=settings.seed,
                budget=len(taken),
            )
            # each part is driven by itself: the second begins when the first is over
            part = routed(part, times)
            columns = shot_identifiers(part.shots), part.shots.names, part.shots.views(), part.gain, part.reason
            for shot, name, view, gain, reason in zip(*columns, strict=True):
                rows.append([shot, name, list(view.values()), float(gain), reason])
            history = History(shots=history.shots.join(taken))
            left = left.take(np.setdiff1d(np.arange(len(left)), choice.rows))
    twice = [name for name, count in Counter(row[0] for row in rows).items() if count > 1]
    if twice:
        raise UsageError(f"two shots are called '{twice[0]}'", "rename objects that end in '_' and a number")
    return {
        "replaces": True,
        "round": request.round,
        "position": 0,
        "strategy": rule.name,
        "learns": learns(rule),
        "as_of": request.as_of,
        "captured": len(request.records),
        "objects": request.objects,
        "short": max(request.n - len(rows), 0),
        "shots": rows,
    }


def objects_of(settings: CampaignSettings, state: CampaignState, known: Iterable[ShotRecord] = ()) -> Objects:
    """All objects that are in the campaign or have been shot; those removed are no candidates any more."""
    every = {**{record.object: record.label for record in known}, **settings.objects, **state.objects}
    return Objects(names=tuple(every), labels=tuple(every.values()))


def shots_of(space: Space, objects: Objects, pairs: list[tuple[str, Any]]) -> Shots:
    """Shots of pairs of an object and its settings in the order of the axes."""
    row_of = {name: row for row, name in enumerate(objects.names)}
    coordinates = [space.coordinates(dict(zip(space.names, view, strict=True))) for _, view in pairs]
    return Shots(
        space=space,
        objects=objects,
        object_rows=np.array([row_of[name] for name, _ in pairs], dtype=np.int64),
        coordinates=np.array(coordinates, dtype=np.float64).reshape(len(pairs), len(space.axes)),
    )


def in_region(shots: Shots, region: Region) -> np.ndarray:
    """Whether each shot lies in a region, shape ``[shots]``."""
    view = {
        axis.name: np.array(axis.values)[shots.coordinates[:, column].round().astype(int)]
        if isinstance(axis, Category)
        else shots.coordinates[:, column]
        for column, axis in enumerate(shots.space.axes)
    }
    names, labels = np.array(shots.objects.names), np.array(shots.objects.labels)
    held = region.holds(names[shots.object_rows], labels[shots.object_rows], view)
    return np.asarray(held, dtype=np.bool_)


def _request(settings: CampaignSettings, state: CampaignState, known: Sequence[ShotRecord]) -> PlanRequest:
    """What is to be planned, where these shots are captured, leased or rejected."""
    space, objects = settings.space(), objects_of(settings, state, known)
    captured = tuple(record for record in known if record.state == CAPTURED)
    gone = shots_of(space, objects, [(record.object, record.view) for record in known])
    # candidates: what is neither gone, removed, forbidden, nor never met in deployment
    every = Shots.every(space, objects)
    free = np.isin(np.array(objects.names), list(state.objects))[every.object_rows]
    if len(gone):
        free &= ~is_among(every, replace(gone, coordinates=nearest_views(space, gone.coordinates)))
    if settings.view_weights is not None:
        free &= np.array(settings.view_weights)[view_rows(every)] > 0
    for text in state.regions.values():
        free &= ~in_region(every, Region.parse(text, settings, known_only=False))
    n_known = state.captured + state.counts[LEASED]
    stop = next_stop(state.budget, len(state.objects), n_known)
    return PlanRequest(
        as_of=state.last,
        candidates=every.take(np.flatnonzero(free)),
        captured=shots_of(space, objects, [(record.object, record.reached) for record in captured]),
        records=captured,
        objects=tuple(state.objects),
        n=state.room,
        first=state.room if stop is None else stop - n_known,
        round=state.rounds,
    )
