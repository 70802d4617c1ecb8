"""A campaign and its model, and what operators and planners do to both."""

from __future__ import annotations

from typing import Any

import pytest

from acqplan.campaign import operators
from acqplan.campaign.events import Event
from acqplan.campaign.planning import planned, request_of
from acqplan.errors import AcqplanError, BudgetError, SpaceError, UsageError
from acqplan.plan import find_strategy
from acqplan.plan.base import History
from tests.campaign.life_model import ORIGINAL
from tests.campaign.life_twins import Twins


class Operated(Twins):
    """With operators."""

    def operate(self, deed: Any, *arguments: Any, refused: type[AcqplanError] | None) -> Event | None:
        if refused is None:
            event: Event = deed(self.campaign.store, *arguments)
            return event
        with pytest.raises(refused):
            deed(self.campaign.store, *arguments)
        return None

    def pause(self, stays: bool) -> None:
        self.operate(operators.pause, refused=UsageError if self.model.paused else None)
        self.model.paused = True
        if not stays:
            self.ask("left", 1)
            self.resume()

    def resume(self) -> None:
        model = self.model
        stopped = model.stopped or model.exhausted
        self.operate(operators.resume, refused=None if model.paused or stopped else UsageError)
        if stopped:
            model.answers = ""
        model.paused = model.stopped = model.exhausted = False

    def forbid_or_allow(self, where: str, by_number: bool) -> None:
        model = self.model
        if where in model.regions:
            number = next(event.number for event in reversed(self.events) if event.body.get("where") == where)
            found = self.operate(*((operators.undo, number) if by_number else (operators.allow, where)), refused=None)
            assert found is not None
            assert found.kind == "allowed"
            model.regions.remove(where)
            model.exhausted = False
            return
        unknown = where == "object=new-0" and "new-0" not in model.objects
        before = model.takeable()
        found = self.operate(operators.forbid, where, refused=SpaceError if unknown else None)
        if found is not None:
            model.regions.add(where)
            left = model.takeable()
            assert (found.body["shots"], found.body["left"]) == (len(before - left), len(left))
            self.operate(operators.forbid, where, refused=UsageError)

    def set_budget(self, budget: int, undo: bool) -> None:
        model, before = self.model, self.model.budget
        used = model.exposures + len(model.leases)
        refused = BudgetError if budget < min(max(used, 1), before) else None
        event = self.operate(operators.set_budget, budget, refused=refused)
        if event is None:
            return
        model.budget, model.exhausted = budget, False
        if undo:
            refused = BudgetError if before < min(used, budget) else None
            if self.operate(operators.undo, event.number, refused=refused):
                model.budget = before

    def object_comes_or_goes(self, name: str, label: str) -> None:
        model = self.model
        if name in model.objects:
            self.operate(operators.add_object, name, label, refused=UsageError)
            self.operate(operators.remove_object, name, refused=None)
            del model.objects[name]
            return
        self.operate(operators.remove_object, name, refused=UsageError)
        wrong = ORIGINAL.get(name, label) != label
        self.operate(operators.add_object, name, label, refused=UsageError if wrong else None)
        if not wrong:
            model.objects[name] = model.labels[name] = label
            model.exhausted = False

    def reject_or_restore(self, number: int) -> None:
        model, shot = self.model, self.some(number)
        if shot not in model.known:
            return
        if shot in model.rejected:
            event = next(one for one in reversed(self.events) if one.kind == "rejected" and one.shot == shot)
            self.operate(operators.undo, event.number, refused=None)
            model.restore(shot)
        else:
            self.operate(operators.reject, shot, "", refused=UsageError if shot in model.captured else None)
            if shot not in model.captured:
                model.reject(shot)

    def plan_anew(self, strategy: str, is_late: bool) -> None:
        model, campaign, chosen = self.model, self.campaign, find_strategy(strategy)
        with campaign.store.reading() as ledger:
            question = request_of(ledger)
        assert sorted(set(question.captured.names)) == sorted({model.known[shot][0] for shot in model.captured})
        plan = planned(question, campaign.settings, chosen, History(shots=question.captured))
        if is_late:
            assert campaign.adopt({**plan, "shots": []}) == ""
            assert "was adopted while" in campaign.adopt(plan)
            model.plan({})
            return
        shots = {row[0] for row in plan["shots"]}
        assert shots <= model.takeable()
        assert len(shots) == min(model.room, len(model.takeable()))
        assert campaign.adopt(plan) == ""
        model.plan(self.rows(campaign.events(after=self.events[-1].number)[-1]))
