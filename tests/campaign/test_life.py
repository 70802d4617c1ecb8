"""The whole life of a campaign in random order, against a model that shares nothing with the program."""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from acqplan.campaign.events import Fold
from tests.campaign.life_model import REGIONS
from tests.campaign.life_operators import Operated
from tests.campaign.life_twins import CALLERS, STATES, exposures_of, state_of

callers, numbers, flags = st.sampled_from(CALLERS), st.integers(0, 10**6), st.booleans()


class Life(Operated, RuleBasedStateMachine):
    @initialize(budget=st.integers(4, 24), strategy=st.sampled_from(["lattice", "random-shots", "even", "variance"]))
    def create(self, budget: int, strategy: str) -> None:
        self.begin(budget, strategy)

    @rule(caller=callers, n=st.integers(1, 7))
    def ask_as_it_stands(self, caller: str, n: int) -> None:
        self.ask(caller, n)

    @rule(caller=callers, n=st.integers(1, 12), later=st.sampled_from([0.0, 0.0, 61.0]))
    def ask_and_get(self, caller: str, n: int, later: float) -> None:
        """Most asks are of a campaign that runs."""
        if self.model.paused or self.model.stopped or self.model.exhausted:
            self.resume()
        if not self.model.room:
            self.set_budget(self.model.exposures + len(self.model.leases) + n, undo=False)
        self.clock.now += later
        self.ask(caller, n)

    @rule(caller=callers, number=numbers, image=st.integers(0, 3), replace=flags, azimuth=st.floats(-10.0, 10.0))
    def tell_anything(self, caller: str, number: int, image: int, replace: bool, azimuth: float) -> None:
        self.tell(self.some(number), caller, image, replace, azimuth)

    @rule(caller=callers, number=numbers, image=st.integers(0, 3))
    def tell_what_was_asked_for(self, caller: str, number: int, image: int) -> None:
        self.tell(self.unanswered(number), caller, image, False, 0.5)

    @rule(caller=callers, number=numbers, retry=flags, exposed=flags)
    def fail_anything(self, caller: str, number: int, retry: bool, exposed: bool) -> None:
        self.fail(self.some(number), caller, retry, exposed)

    @rule(caller=callers, number=numbers, retry=flags)
    def fail_what_was_asked_for(self, caller: str, number: int, retry: bool) -> None:
        self.fail(self.unanswered(number), caller, retry, False)

    @rule(caller=callers, count=st.integers(1, 3))
    def tell_what_was_handed_out(self, caller: str, count: int) -> None:
        self.take(caller, count)

    @rule(caller=callers)
    def give_back(self, caller: str) -> None:
        self.release(caller)

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0, 61.0, 3600.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule(number=numbers, accident=st.integers(0, 7))
    def accident(self, number: int, accident: int) -> None:
        accidents = (
            self.clock_is_set_back,
            self.everybody_crashes,
            self.the_middle_of_a_transaction_fails,
            self.an_image_is_lost,
            self.records_are_folded_anew,
            self.moves_elsewhere,
            self.the_disk_of_the_images_is_away,
            self.a_clock_is_ahead_for_one_ask,
        )
        accidents[accident](number)

    @rule(number=numbers, deed=st.integers(0, 6))
    def operator(self, number: int, deed: int) -> None:
        deeds = (
            lambda: self.pause(number % 3 == 0),
            self.resume,
            lambda: self.set_budget(number // 2 % 42 - 1, undo=bool(number % 2)),
            lambda: self.object_comes_or_goes(("new-0", "new-1", "car-00")[number % 3], ("car", "truck")[number % 2]),
            lambda: self.forbid_or_allow(sorted(REGIONS)[number % len(REGIONS)], bool(number % 2)),
            lambda: self.reject_or_restore(number),
            lambda: self.forbid_or_allow("elevation>50", bool(number % 2)),
        )
        deeds[deed]()

    @rule(strategy=st.sampled_from(["lattice", "random-shots", "variance"]), is_late=flags)
    def plan(self, strategy: str, is_late: bool) -> None:
        self.plan_anew(strategy, is_late)

    @invariant()
    def agrees(self) -> None:
        if not self.held:
            return
        events, standing, records = state_of(self.campaign)
        model = self.model
        assert [event.number for event in events] == list(range(1, len(events) + 1))
        assert all(one.at <= other.at for one, other in itertools.pairwise(events))
        assert events[: len(self.events)] == self.events, "events are never changed"
        self.events = events
        assert len(model.captured) <= model.budget
        assert standing["exposures"] == model.exposures == exposures_of(events)
        assert (standing["budget"], standing["surplus"]) == (model.budget, model.surplus)
        by_state = {state: {one["shot"] for one in records.values() if one["state"] == state} for state in STATES}
        assert by_state["leased"] == set(model.leases)
        assert by_state["captured"] == set(model.captured)
        assert by_state["rejected"] == model.rejected
        assert by_state["proposed"] == model.queue
        assert {state: len(shots) for state, shots in by_state.items()} == standing["counts"]
        assert bool(standing["stopped"]) == (model.stopped or model.exhausted)
        assert standing["copies"] == len(model.copied)
        assert (standing["paused_at"] is not None) == model.paused
        assert standing["objects"] == model.objects
        assert sorted(standing["regions"].values()) == sorted(model.regions)
        barred = {shot for shot, (name, view) in model.known.items() if model.is_barred(name, view)}
        assert {one["shot"] for one in records.values() if one["barred"]} == barred
        assert standing["queued"] == len(model.queue - barred)
        for shot, where in model.reached.items():
            assert records[shot]["reached"] == pytest.approx(where)
            assert records[shot]["label"] == model.labels[model.known[shot][0]]
            assert self.campaign.images.is_whole(records[shot]["image"], records[shot]["digest"])

    @invariant()
    def fold_of_events_is_the_state(self) -> None:
        if self.held:
            fold = Fold.replay(self.campaign.settings, self.campaign.events())
            with self.campaign.store.reading() as ledger:
                assert fold.state == ledger.state
                assert {one.shot: one for one in ledger.every()} == {one.shot: one for one in fold.records.every()}

    def teardown(self) -> None:
        self.close()


Life.TestCase.settings = settings(
    max_examples=int(os.environ.get("ACQPLAN_LIVES", "20")),
    stateful_step_count=int(os.environ.get("ACQPLAN_LIFE_STEPS", "40")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
TestLife = Life.TestCase
