"""The planner inside a capture script: ask for shots, take them, tell what happened."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from acqplan.campaign import leases
from acqplan.campaign.check import check_after_restart, check_log
from acqplan.campaign.events import EXHAUSTED, LEASED, Event, ShotRecord
from acqplan.campaign.images import (
    ALREADY,
    ImageFolder,
    Outcome,
    encoded,
    known_shot,
    outcome_of_image,
    take_failure,
    take_image,
)
from acqplan.campaign.leases import Shot
from acqplan.campaign.machine import this_process
from acqplan.campaign.settings import CampaignRig, CampaignSettings
from acqplan.campaign.store import Clock, Store
from acqplan.campaign.store_database import is_url
from acqplan.campaign.wording import sentence, steps_of
from acqplan.errors import ConflictError, OutputError, UsageError
from acqplan.files import digest_bytes, digest_content, folder_for_result
from acqplan.numbers import name_fault

if TYPE_CHECKING:
    from acqplan.campaign.images import Picture

IMAGES_SUFFIX = ".images"
MARKED = "images"  # note of a store whose folder of images is marked
SERVED = "served"  # note of the address at which a store is served


class Campaign(AbstractContextManager["Campaign"]):
    """The ask/tell loop over one rig, kept in a store.

    A capture script leases shots with `ask`, takes them, and answers each with `tell` or `fail`, until `finished` says
    why no more will come::

        with Campaign.create(open_rig("rig.toml"), budget=600, path="robot.db") as campaign:
            while shots := campaign.ask(8):
                for shot in shots:
                    robot.move(**shot.view)
                    campaign.tell(shot, camera.read())
            print(campaign.report())

    Any number of processes, also on several machines, may use one campaign at once: a shot is leased to one caller at a
    time. Every method is one transaction. Once it has returned, its effect survives a loss of power; if it raises, or
    its process is killed, it has no effect. Shots that a killed process had leased come back by themselves.

    Asking and telling load neither numpy nor torch. `acqplan.evaluate.campaign` plans the next rounds from the images
    told so far, and `acqplan.campaign.operators` holds what people do to a campaign: pause, forbid, change the budget.

    Attributes:
        store: Keeps the events, and the records folded from them.
        images: Keeps the images.
        settings: What the campaign was created with.
    """

    def __init__(self, store: Store, images: ImageFolder, *, caller: str | None = None) -> None:
        self.store, self.images, self.settings = store, images, store.settings
        _check_caller(caller)
        self._caller = caller

    @classmethod
    def create(
        cls,
        rig: CampaignRig,
        *,
        budget: int,
        path: Path | str,
        time_budget: float | None = None,
        images: Path | None = None,
        caller: str | None = None,
        clock: Clock | None = None,
        **chosen: Any,
    ) -> Campaign:
        """Make a campaign, with a plan of the whole budget to begin with.

        Args:
            rig: The rig, from `acqplan.open_rig`.
            budget: Images that may be taken; a repeated or failed exposure counts if the rig took it.
            path: A file that does not exist, or the URL of a PostgreSQL database.
            time_budget: Seconds that it may last from the first lease on, pauses not counted; ``None`` for no limit.
            images: Folder of the images; by default ``<path>.images``. With a database, all machines must see it.
            caller: Name of the caller that asks; by default this process.
            clock: Returns the time in seconds since 1970; by default the machine's, or that of the PostgreSQL server.
            chosen: Attributes of `acqplan.campaign.settings.CampaignSettings`: ``strategy``, ``seed``, ``backbone``,
                ``lease_seconds``, ``most_tries``, ``failure_limit``, ….

        Returns:
            The campaign, open.

        Raises:
            BudgetError: If the budget is below 1, or above the number of shots of the rig.
            UsageError: If a campaign is there already, or a setting cannot be.
            OutputError: If it cannot be written.
            MissingError: If a driver of the database is missing.
        """
        from acqplan.campaign.planning import first_request, planned, rule_of
        from acqplan.plan.base import History

        _check_caller(caller)
        if time_budget is not None and not 0 < time_budget < float("inf"):
            raise UsageError(f"a time budget of {time_budget:g} seconds", "give a time above zero")
        settings = CampaignSettings.of(rig, **chosen)
        request = first_request(settings, budget)
        plan = planned(request, settings, rule_of(settings), History.empty(request.candidates))
        place = images_folder(path, images)
        folder = ImageFolder(root=images_root(path, place), owner=uuid.uuid4().hex)
        created = {"budget": budget, "time_budget": time_budget, "images": str(place), "rig": str(rig.path or "")}
        created["id"] = folder.owner
        with folder_for_result(folder.root) as root:
            if folder.is_anothers() and (is_url(path) or not Path(path).exists()):
                raise UsageError(f"{root}: holds images of another campaign", "choose another folder, or move it away")
            store = Store.create(path, settings, [("created", created), ("replanned", plan)], clock=clock)
            mark_images(store, folder)
        return cls(store, folder, caller=caller)

    @classmethod
    def open(
        cls, path: Path | str, *, caller: str | None = None, clock: Clock | None = None, check: bool = True
    ) -> Campaign:
        """Open a campaign that was created before.

        Args:
            path: Its file, or the URL of its database.
            caller: Name of the caller that asks; by default this process.
            clock: Returns the time in seconds since 1970; by default as in `create`.
            check: Whether to check, the first time after this machine was started, what was written last; see
                `acqplan.campaign.check.check_after_restart`.

        Raises:
            StoreError: If there is none, it is of a newer acqplan, or it is damaged.
        """
        if not is_url(path):
            check_log(Path(path).absolute())
        store = Store.open(path, clock=clock)
        with store.reading() as transaction:
            created = transaction.events(until=1)[0]
        # campaigns of earlier versions have no identifier of their own
        own = created.body.get("id") or digest_bytes(repr((created.at, sorted(created.body.items()))).encode())
        images = ImageFolder(root=images_root(path, Path(created.body["images"])), owner=own)
        campaign = cls(store, images, caller=caller)
        if not store.database.is_readonly:
            adopt_images(store, images)
            if check:
                check_after_restart(campaign)
        return campaign

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; leases stay."""
        self.store.close()

    def ask(self, n: int = 1, *, resume: bool = False) -> list[Shot]:
        """Lease up to ``n`` shots, in an order that is quick to drive.

        A lease ends after ``lease_seconds``; then the shot may be leased to another caller.

        Args:
            n: How many shots at most.
            resume: Whether to begin with those that this caller holds already: then an answer that was lost on its
                way, or a page that was loaded again, costs no shot.

        Returns:
            The shots; none if the campaign is `finished` or paused, or if all that is left is leased to others.

        Raises:
            UsageError: If ``n`` is below 1.
        """
        if n < 1:
            raise UsageError(f"{n} shots asked for", "ask for 1 or more")
        with self.store.writing() as transaction:
            state = transaction.state
            leases.take_back(transaction)
            leases.watch_failures(transaction)
            if leases.finished(self.settings, state, transaction.now) or state.paused_at is not None:
                return []
            held = [one for one in transaction.every(LEASED) if one.caller == self.caller][:n] if resume else []
            found = [*held, *leases.lease(transaction, n - len(held), self.caller)] if len(held) < n else held
            # there is room, but no shot is queued, leased, or left to draw
            is_stuck = not found and state.room and not state.queued and not state.counts[LEASED]
            if is_stuck and not leases.draw_spares(transaction, 1):
                transaction.append("stopped", reason=EXHAUSTED)
            return [self._shot(one) for one in found]

    def tell(
        self,
        shot: Shot | str,
        image: Picture,
        *,
        reached: Mapping[str, object] | None = None,
        replace: bool = False,
    ) -> Outcome:
        """Hand in the image of a shot; telling the same image again changes nothing.

        Args:
            shot: The shot, or its identifier.
            image: Bytes of an image file, its path, or an array, uint8, ``[height, width]`` or
                ``[height, width, 3]``.
            reached: Settings that the rig reached, by axis, where they differ from those commanded.
            replace: Whether to take the image in place of another image of this shot.

        Returns:
            ``captured``; ``already`` if it was told before; ``replaced``; or ``surplus``: kept and counted, but not
            part of the data set, because another caller captured the shot after the lease had ended, the shot is not
            wanted any more, or the budget is spent. Its ``notes`` say, in sentences, what is converted when a kind of
            conversion first appears, and that the same bytes were told for another shot.

        Raises:
            ShotError: If no plan holds the shot.
            ImageError: If the image is not whole, or cannot be used; see `acqplan.images`.
            ConflictError: If the shot has another image, and ``replace`` is not set.
            SpaceError: If a setting cannot be.
            OutputError: If the image cannot be written; then nothing has happened.
        """
        name = _identifier(shot)
        content, header = encoded(image, name)
        digest = digest_content(content)
        with self.store.reading() as transaction:
            record = known_shot(transaction, name)
            where = self.settings.reached(record.view, reached or {})
            outcome = outcome_of_image(transaction, record, digest, replace=replace)
        # the image is on the disk before its event; one told before is written again, in case it was damaged
        before = record.image if record.digest == digest else ""
        written = self.images.keep(name, content, header, name=before)
        if outcome == ALREADY:
            return Outcome(ALREADY)
        is_repeated = self.images.is_repeated(written)
        with self.store.writing() as transaction:
            record = known_shot(transaction, name)
            try:
                outcome = outcome_of_image(transaction, record, written.digest, replace=replace)
            except ConflictError:
                if written.fresh:
                    self.images.forget(written.name)
                raise
            if not self.images.has(written.name):  # another caller was refused meanwhile, and has deleted it
                self.images.keep(name, content, header)
            notes = take_image(
                transaction, record, written, where, outcome, conversions=header.conversions, is_repeated=is_repeated
            )
        return Outcome(outcome, notes)

    def fail(self, shot: Shot | str, *, reason: str, retry: bool = True, exposed: bool = False) -> str:
        """Say that a shot could not be taken.

        Args:
            shot: The shot, or its identifier.
            reason: Why, in a few words; the same words for the same cause make a better summary.
            retry: Whether to try it again later, up to the campaign's ``most_tries``.
            exposed: Whether the rig took an image, which then counts towards the budget.

        Returns:
            ``retried``; ``rejected``: never tried again; or ``unchanged``: no caller was to take the shot, or another
            caller holds or captured it since the lease has ended.

        Raises:
            ShotError: If no plan holds the shot.
            ConflictError: If it is captured already.
        """
        with self.store.writing() as transaction:
            record = known_shot(transaction, _identifier(shot))
            return take_failure(transaction, record, self.caller, reason=reason, retry=retry, exposed=exposed)

    def release(self, shots: Iterable[Shot | str]) -> int:
        """Give back leased shots that will not be taken after all.

        Args:
            shots: The shots, or their identifiers.

        Returns:
            How many of them were leased to this caller; the others are left as they are.

        Raises:
            ShotError: If no plan holds a shot; then none is given back.
        """
        count = 0
        with self.store.writing() as transaction:
            for shot in shots:
                record = known_shot(transaction, _identifier(shot))
                if record.state == LEASED and record.caller == self.caller:
                    transaction.append("expired", record.shot, given_back=True, reason="given back")
                    count += 1
        return count

    def adopt(self, plan: Mapping[str, Any]) -> str:
        """Make a plan the queue; shots that were leased, captured or rejected meanwhile stay what they are.

        Args:
            plan: From `acqplan.campaign.planning.planned`.

        Returns:
            Why it was dropped; empty if it was adopted.
        """
        with self.store.writing() as transaction:
            state = transaction.state
            if plan["round"] != state.rounds:
                return f"plan {state.rounds} was adopted while this one was being made"
            present = [row for row in plan["shots"] if row[1] in state.objects]  # others were removed meanwhile
            transaction.append("replanned", **{**plan, "shots": present})
        return ""

    @property
    def caller(self) -> str:
        """Name of the caller that asks, by default this process.

        Leases of a process come back at once if it is killed on this machine; those of a caller with a name of its own
        come back when they expire.
        """
        return self._caller or this_process()

    @property
    def finished(self) -> str:
        """Why no shot will be leased any more; empty while some may be."""
        with self.store.reading() as transaction:
            return leases.finished(self.settings, transaction.state, transaction.now)

    def status(self) -> dict[str, Any]:
        """Progress, pace, failures and limits, fit for JSON; see `acqplan.campaign.status.status_of`."""
        from acqplan.campaign.status import status_of

        return status_of(self.store)

    def report(self) -> str:
        """The status in a few lines for people, the most important first."""
        from acqplan.campaign.status import status_sentences

        return "\n".join(status_sentences(self.status()))

    def events(self, *, after: int = 0) -> list[Event]:
        """What happened, in order.

        Args:
            after: Only events of greater numbers.
        """
        with self.store.reading() as transaction:
            return transaction.events(after=after)

    def _shot(self, record: ShotRecord) -> Shot:
        same = {name: getattr(record, name) for name in ("object", "label", "expires", "round", "reason")}
        steps = steps_of(self.settings.axes, record.object, record.view)
        return Shot(
            id=record.shot, view=self.settings.view(record.view), say=sentence(steps), steps=tuple(steps), **same
        )


def images_folder(path: Path | str, images: Path | None) -> Path:
    """Folder of the images as the store keeps it: relative if it is beside the store, so that both can move."""
    if images is not None:
        return Path(images).absolute()
    if is_url(path):
        raise UsageError("no folder for the images of a campaign on a database", "give one that all machines see")
    return Path(Path(path).name + IMAGES_SUFFIX)


def images_root(path: Path | str, place: Path) -> Path:
    """Where that folder is, wherever the program goes later."""
    return (Path(path).parent / place).absolute()


def mark_images(store: Store, images: ImageFolder) -> None:
    """Mark a folder as that of a campaign, and note that it is."""
    images.mark(store.place)
    store.note(MARKED, images.owner)


def adopt_images(store: Store, images: ImageFolder) -> None:
    """Mark the folder of a campaign of an earlier version, unless it is another's, or empty in place of its own."""
    if store.noted(MARKED) or not images.root.is_dir() or images.marked()[0] not in ("", images.owner):
        return
    with store.reading() as transaction:
        captured = transaction.state.captured
    with contextlib.suppress(OutputError):  # its disk may be read only
        if images.names() or not captured:
            mark_images(store, images)


def _identifier(shot: Shot | str) -> str:
    return shot if isinstance(shot, str) else shot.id


def _check_caller(caller: str | None) -> None:
    if caller is not None and (fault := name_fault(caller)):
        raise UsageError(f"a caller cannot be called so: {fault}", "write text", asked=caller)
