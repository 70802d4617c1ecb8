"""Plans of a campaign: what may still be taken, and a rule's choice among it as the new queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from acqplan.campaign.events import CAPTURED, LEASED, REJECTED, CampaignState, ShotRecord
from acqplan.campaign.region import Region
from acqplan.campaign.settings import CampaignSettings
from acqplan.errors import BudgetError, UsageError
from acqplan.plan import find_strategy
from acqplan.plan.base import Choice, History, Strategy, check_choice, learns
from acqplan.plan.deployed import deployed, view_rows
from acqplan.plan.plan import Plan, shot_identifiers
from acqplan.plan.rounds import next_stop
from acqplan.plan.route import Times, routed
from acqplan.space import Objects, Shots, Space
from acqplan.space.kernel import nearest_views
from acqplan.space.shots import is_among

if TYPE_CHECKING:
    from acqplan.campaign.store import Transaction


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanRequest:
    """What is to be planned next, as of one event.

    Attributes:
        as_of: Number of that event.
        candidates: What may be taken: not captured, leased, rejected, nor forbidden.
        captured: Shots of the images at hand, where the rig went; in the order of `records`.
        records: Their records.
        objects: Names of the objects that may be shot.
        n: Images to plan.
        first: Of these, those that are taken before a rule that learns looks again.
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
    """The rule of a campaign, for the views that will be met."""
    weights = None if settings.view_weights is None else np.array(settings.view_weights)
    return deployed(find_strategy(settings.strategy), weights)


def question_of(ledger: Transaction) -> PlanRequest:
    """What is to be planned, as the campaign stands."""
    settings, standing = ledger.settings, ledger.standing
    known = list(ledger.every(CAPTURED, LEASED, REJECTED))
    space, objects = settings.space(), objects_of(settings, standing, known)
    captured = tuple(record for record in known if record.state == CAPTURED)
    gone = shots_of(space, objects, [(record.object, record.view) for record in known])
    return PlanRequest(
        as_of=standing.last,
        candidates=_candidates(settings, standing, space, objects, gone),
        captured=shots_of(space, objects, [(record.object, record.reached) for record in captured]),
        records=captured,
        objects=tuple(standing.objects),
        n=standing.room,
        first=_first(standing),
        round=standing.rounds,
    )


def captured_of(ledger: Transaction) -> tuple[Shots, tuple[ShotRecord, ...]]:
    """Shots of the images at hand, where the rig went, and their records."""
    records = tuple(ledger.every(CAPTURED))
    objects = objects_of(ledger.settings, ledger.standing, records)
    pairs = [(record.object, record.reached) for record in records]
    return shots_of(ledger.settings.space(), objects, pairs), records


def first_question(settings: CampaignSettings, budget: int) -> PlanRequest:
    """The same before anything has happened."""
    space, standing = settings.space(), CampaignState(budget=budget, objects=dict(settings.objects))
    objects = objects_of(settings, standing)
    nothing = shots_of(space, objects, [])
    candidates = _candidates(settings, standing, space, objects, nothing)
    if not 1 <= budget <= len(candidates):
        raise BudgetError(
            f"a budget of {budget:,} images, where {len(candidates):,} can be had", f"give 1 to {len(candidates):,}"
        )
    return PlanRequest(
        as_of=0,
        candidates=candidates,
        captured=nothing,
        records=(),
        objects=tuple(standing.objects),
        n=budget,
        first=_first(standing),
        round=0,
    )


def planned(question: PlanRequest, settings: CampaignSettings, rule: Strategy, history: History) -> dict[str, Any]:
    """The body of the event of a new plan, routed where moves take time.

    A rule that learns is asked for the shots before its next look by themselves, and then for the rest, in case that
    nobody plans again. A factorial rule that takes fewer shots than asked for leaves the rest to spares.

    Args:
        question: What is to be planned.
        settings: What the campaign was created with.
        rule: Who plans.
        history: What it knows, over the objects of the question.

    Raises:
        StrategyError: If the rule breaks its contract. What it raises is not caught.
        UsageError: If two shots would have one name.
    """
    rows = [row for part in _parts(question, settings, rule, history) for row in _rows(part)]
    _check_names([row[0] for row in rows])
    return {
        "replaces": True,
        "round": question.round,
        "position": 0,
        "strategy": rule.name,
        "learns": learns(rule),
        "as_of": question.as_of,
        "captured": len(question.records),
        "objects": question.objects,
        "short": max(question.n - len(rows), 0),
        "shots": rows,
    }


def objects_of(settings: CampaignSettings, standing: CampaignState, known: Iterable[ShotRecord] = ()) -> Objects:
    """All objects that are in the campaign or have been shot; those taken away are no candidates any more."""
    every = {**{record.object: record.label for record in known}, **settings.objects, **standing.objects}
    return Objects(names=tuple(every), labels=tuple(every.values()))


def shots_of(space: Space, objects: Objects, pairs: list[tuple[str, Any]]) -> Shots:
    """Shots of (object, settings in the order of axes)."""
    row_of = {name: row for row, name in enumerate(objects.names)}
    coordinates = [space.coordinates(dict(zip(space.names, view, strict=True))) for _, view in pairs]
    return Shots(
        space=space,
        objects=objects,
        object_rows=np.array([row_of[name] for name, _ in pairs], dtype=np.int64),
        coordinates=np.array(coordinates, dtype=np.float64).reshape(len(pairs), len(space.axes)),
    )


def _candidates(
    settings: CampaignSettings, standing: CampaignState, space: Space, objects: Objects, gone: Shots
) -> Shots:
    every = Shots.every(space, objects)
    present = np.isin(np.array(objects.names), list(standing.objects))
    free = present[every.object_rows]
    if len(gone):
        free &= ~is_among(every, replace(gone, coordinates=nearest_views(space, gone.coordinates)))
    if settings.view_weights is not None:
        free &= np.array(settings.view_weights)[view_rows(every)] > 0
    for text in standing.regions.values():
        free &= ~_inside(Region.parse(text, settings, known_only=False), every)
    return every.take(np.flatnonzero(free))


def _inside(region: Region, shots: Shots) -> np.ndarray:
    names, labels = np.array(shots.objects.names), np.array(shots.objects.labels)
    view = {
        axis.name: np.array(axis.values)[shots.coordinates[:, column].round().astype(int)]
        if axis.kind == "category"
        else shots.coordinates[:, column]
        for column, axis in enumerate(shots.space.axes)
    }
    held = region.holds(names[shots.object_rows], labels[shots.object_rows], view)
    return np.broadcast_to(np.asarray(held, dtype=np.bool_), (len(shots),))


def _first(standing: CampaignState) -> int:
    """Images until a rule that learns looks again; all if it does not."""
    known = standing.captured + standing.counts[LEASED]
    stop = next_stop(standing.budget, len(standing.objects), known)
    return standing.room if stop is None else stop - known


def _parts(question: PlanRequest, settings: CampaignSettings, rule: Strategy, history: History) -> Iterator[Plan]:
    n = min(question.n, len(question.candidates))
    first = min(question.first, n) if learns(rule) else n
    left, seen = question.candidates, history
    for count in (first, n - first):
        if count > 0:
            choice = rule.propose(left, seen, count, settings.seed)
            check_choice(choice, left, count, strategy=rule)
            taken = left.take(choice.rows)
            yield _routed(taken, choice, settings, rule)
            seen = History(shots=seen.shots.join(taken))
            left = left.take(np.setdiff1d(np.arange(len(left)), choice.rows))


def _routed(shots: Shots, choice: Choice, settings: CampaignSettings, rule: Strategy) -> Plan:
    plan = Plan(
        shots=shots,
        rounds=np.zeros(len(shots), dtype=np.int64),
        gain=choice.gain,
        reason=choice.reason,
        strategy=rule.name,
        seed=settings.seed,
        budget=len(shots),
    )
    return routed(plan, Times(per_shot=settings.seconds_per_shot, per_object=settings.seconds_per_object))


def _rows(plan: Plan) -> list[list[Any]]:
    return [
        [shot, name, list(view.values()), float(gain), reason]
        for shot, name, view, gain, reason in zip(
            shot_identifiers(plan.shots), plan.shots.names, plan.shots.views(), plan.gain, plan.reason, strict=True
        )
    ]


def _check_names(identifiers: list[str]) -> None:
    twice = [name for name, count in Counter(identifiers).items() if count > 1]
    if twice:
        raise UsageError(f"two shots are called '{twice[0]}'", "rename objects that end in '_' and a number")
