"""What a campaign must do, written down a second time with sets and counters: no events, no fold, no store."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

View = tuple[float, float]
ORIGINAL = {"car-00": "car", "car-01": "car", "truck-00": "truck"}
VIEWS: list[View] = list(itertools.product((0.0, 90.0, 180.0, 270.0), (30.0, 60.0)))
REGIONS: dict[str, Callable[[str, str, View], bool]] = {
    "elevation>50": lambda name, label, view: view[1] > 50,
    "azimuth in 270..90": lambda name, label, view: view[0] in (270.0, 0.0, 90.0),
    "object=car-00": lambda name, label, view: name == "car-00",
    "object=new-0": lambda name, label, view: name == "new-0",
    "label=truck and azimuth<100": lambda name, label, view: label == "truck" and view[0] < 100,
}
FEWEST_ANSWERS, WINDOW = 20, 40


MARKS = "abcdefgh"
"""Of answers with an image, by its number; a failure is 0."""


@dataclass
class Lease:
    caller: str
    expires: float


@dataclass
class Model:
    """A campaign of the objects and views above.

    Attributes:
        captured: Number of the image of each captured shot.
        lost: Images that were captured and are gone, by shot.
        aside: Images kept aside, by shot.
        leases: Who has which shot.
        unanswered: Leases, also those that are over, that nobody has answered.
        spoken: Images that were captured or kept aside, ever, by shot.
        disk: Images that are in the folder, by shot.
        copied: Captured shots whose image another shot had, too.
        askers: Who ever had which shot.
        queue: Shots that are wanted and not leased.
    """

    budget: int
    most_tries: int
    failure_limit: float
    objects: dict[str, str] = field(default_factory=lambda: dict(ORIGINAL))
    labels: dict[str, str] = field(default_factory=lambda: dict(ORIGINAL))
    regions: set[str] = field(default_factory=set)
    captured: dict[str, int] = field(default_factory=dict)
    reached: dict[str, View] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    aside: dict[str, set[int]] = field(default_factory=dict)
    spoken: dict[str, set[int]] = field(default_factory=dict)
    disk: set[tuple[str, int]] = field(default_factory=set)
    copied: set[str] = field(default_factory=set)
    askers: dict[str, set[str]] = field(default_factory=dict)
    leases: dict[str, Lease] = field(default_factory=dict)
    unanswered: Counter[str] = field(default_factory=Counter)
    rejected: set[str] = field(default_factory=set)
    queue: set[str] = field(default_factory=set)
    known: dict[str, tuple[str, View]] = field(default_factory=dict)
    tries: Counter[str] = field(default_factory=Counter)
    exposures: int = 0
    surplus: int = 0
    answers: str = ""
    paused: bool = False
    stopped: bool = False
    exhausted: bool = False

    @property
    def room(self) -> int:
        return max(self.budget - self.exposures - len(self.leases), 0)

    @property
    def is_over(self) -> bool:
        return self.stopped or self.exhausted or self.exposures >= self.budget

    def is_barred(self, name: str, view: View) -> bool:
        return name not in self.objects or any(REGIONS[text](name, self.labels[name], view) for text in self.regions)

    def is_free(self, shot: str) -> bool:
        return shot not in self.captured and shot not in self.leases and shot not in self.rejected

    def takeable(self) -> set[str]:
        every = {shot_name(name, view): (name, view) for name in self.objects for view in VIEWS}
        return {shot for shot, (name, view) in every.items() if self.is_free(shot) and not self.is_barred(name, view)}

    def take_back(self, now: float, gone: str) -> None:
        for shot, lease in list(self.leases.items()):
            if lease.expires <= now or lease.caller == gone:
                self.give_back(shot, answered=False)

    def give_back(self, shot: str, *, answered: bool) -> None:
        del self.leases[shot]
        self.queue.add(shot)
        if answered:
            self.answer(shot)

    def answer(self, shot: str, mark: str = "") -> None:
        self.unanswered[shot] = max(self.unanswered[shot] - 1, 0)
        self.answers = (self.answers + mark)[-WINDOW:]

    def lease(self, shot: str, name: str, view: View, lease: Lease) -> None:
        self.queue.discard(shot)
        self.known[shot] = name, view
        self.leases[shot] = lease
        self.askers.setdefault(shot, set()).add(lease.caller)
        self.unanswered[shot] += 1

    def tell(self, shot: str, image: int, reached: View, *, replace: bool) -> str:
        outcome = self._outcome(shot, image, replace)
        if outcome != "conflict":
            self.disk.add((shot, image))
        if outcome in ("already", "conflict"):
            return outcome
        self.answer(shot, MARKS[image])
        spoken = self.spoken.setdefault(shot, set())
        again = image in spoken if outcome == "replaced" else outcome == "captured" and self.lost.get(shot) == image
        self.exposures += not again
        spoken.add(image)
        if outcome == "surplus":
            self.aside.setdefault(shot, set()).add(image)
            self.surplus += 1
        else:
            self.leases.pop(shot, None)
            self.queue.discard(shot)
            self.lost.pop(shot, None)
            self.captured[shot], self.reached[shot] = image, reached
            self.copied.discard(shot)
        if any(other != shot and number == image for other, number in self.disk):
            self.copied |= {shot} if outcome != "surplus" else set()
            self.watch(MARKS[image])
        return outcome

    def _outcome(self, shot: str, image: int, replace: bool) -> str:
        is_leased = shot in self.leases
        if self.captured.get(shot) == image:
            return "already"
        is_retaken = replace and shot in self.captured
        if not (is_leased and self.unanswered[shot]) and not is_retaken and image in self.aside.get(shot, ()):
            return "already"
        if shot in self.captured:
            return "replaced" if replace else "surplus" if self.unanswered[shot] else "conflict"
        has_room = self.room > 0 or self.lost.get(shot) == image
        return "captured" if is_leased or (shot not in self.rejected and has_room) else "surplus"

    def fail(self, shot: str, caller: str, *, retry: bool, exposed: bool) -> str:
        if not self.unanswered[shot]:
            if shot in self.captured:
                return "conflict"
            if retry or shot in self.rejected:
                return "unchanged"
        is_held_by_another = shot in self.leases and self.leases[shot].caller != caller
        if is_held_by_another and self.unanswered[shot] <= 1 and caller in self.askers.get(shot, ()):
            return "unchanged"
        is_of_another = is_held_by_another and self.unanswered[shot] > 1
        self.answer(shot, "0")
        self.exposures += exposed
        self.tries[shot] += 1
        if shot not in self.captured and shot not in self.rejected and not is_of_another:
            if shot in self.leases:
                self.give_back(shot, answered=False)
            if not retry or self.tries[shot] >= self.most_tries:
                self.reject(shot)
        self.watch()
        if shot in self.rejected:
            return "rejected"
        return "unchanged" if shot in self.captured or shot in self.leases else "retried"

    def watch(self, mark: str = "0") -> None:
        failed = self.answers.count(mark)
        if self.exhausted:
            return
        self.stopped |= len(self.answers) >= FEWEST_ANSWERS and failed > self.failure_limit * len(self.answers)

    def reject(self, shot: str) -> None:
        self.leases.pop(shot, None)
        self.queue.discard(shot)
        self.rejected.add(shot)

    def lose(self, shot: str) -> None:
        """Its image is gone: it counts as taken, and the shot is wanted again."""
        self.lost[shot] = self.captured.pop(shot)
        self.disk.discard((shot, self.lost[shot]))
        self.copied.discard(shot)
        del self.reached[shot]
        self.queue.add(shot)
        self.go_on()

    def restore(self, shot: str) -> None:
        self.rejected.remove(shot)
        self.queue.add(shot)
        self.tries[shot] = 0
        self.go_on()

    def go_on(self) -> None:
        """A campaign without shots goes on once one is queued."""
        self.exhausted &= all(self.is_barred(*self.known[shot]) for shot in self.queue)

    def plan(self, shots: dict[str, tuple[str, View]]) -> None:
        self.known |= shots
        self.queue = {shot for shot in shots if self.is_free(shot)}
        self.go_on()


def shot_name(name: str, view: View) -> str:
    return f"{name}_{view[0]:g}_{view[1]:g}"
