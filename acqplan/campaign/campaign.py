"""The planner inside a capture script: ask for shots, take them, tell what happened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from acqplan.campaign import leases
from acqplan.campaign.check import check_after_restart
from acqplan.campaign.events import LEASED, Event
from acqplan.campaign.images import (
    ALREADY,
    ImageFolder,
    encoded,
    known_shot,
    outcome_of_image,
    take_failure,
    take_image,
)
from acqplan.campaign.leases import this_process
from acqplan.campaign.settings import CampaignSettings, Setup
from acqplan.campaign.shot import Shot
from acqplan.campaign.store import Clock, Store
from acqplan.campaign.store_database import is_url
from acqplan.errors import ConflictError, UsageError
from acqplan.files import digest_content, folder_for_result

if TYPE_CHECKING:
    from acqplan.campaign.images import Picture

IMAGES_SUFFIX = ".images"


class Campaign:
    """The ask/tell loop over one rig, kept in a store; any number of processes may use it at once.

    Every method is one transaction: when it has returned, its effect survives a loss of power; if it is killed or
    raises, there is none.

    Attributes:
        store: Where the events are.
        images: Where the images are.
    """

    def __init__(self, store: Store, images: ImageFolder, *, caller: str | None = None) -> None:
        self.store, self.images = store, images
        self._caller = caller

    @classmethod
    def create(
        cls,
        rig: Setup,
        *,
        budget: int,
        path: Path | str,
        time_budget: float | None = None,
        images: Path | None = None,
        caller: str | None = None,
        clock: Clock | None = None,
        **chosen: Any,
    ) -> Campaign:
        """Make a campaign, with a plan of the whole budget for a start.

        Args:
            rig: The rig, from `acqplan.open_rig`.
            budget: Images that may be taken; a repeated or failed exposure counts if the rig took it.
            path: A file that does not exist, or the URL of a PostgreSQL database.
            time_budget: Seconds that it may last from the first shot on, pauses not counted.
            images: Folder of the images; by default beside the file. On a database, all machines must see it.
            caller: Who asks; by default this process.
            clock: Says the time, seconds since 1970.
            chosen: Attributes of `acqplan.campaign.settings.Terms`: strategy, seed, lease_seconds, most_tries, ….

        Raises:
            BudgetError: If the budget is not within what can be had.
            UsageError: If a campaign is there already, or a setting cannot be. Other errors as of `Store.create`.
        """
        from acqplan.campaign.planning import first_question, planned, rule_of
        from acqplan.plan.base import History

        if time_budget is not None and not 0 < time_budget < float("inf"):
            raise UsageError(f"a time budget of {time_budget:g} seconds", "give a time above zero")
        settings = CampaignSettings.of(rig, **chosen)
        question = first_question(settings, budget)
        plan = planned(question, settings, rule_of(settings), History.empty(question.candidates))
        place = images_folder(path, images)
        created = {"budget": budget, "time_budget": time_budget, "images": str(place), "rig": str(rig.path or "")}
        founding = [("created", created), ("replanned", plan)]
        with folder_for_result(images_root(path, place)) as root:
            if ImageFolder(root=root).names() and (is_url(path) or not Path(path).exists()):
                raise UsageError(f"{root}: holds images of another campaign", "choose another folder, or move it away")
            store = Store.create(path, settings, founding, clock=clock)
        return cls(store, ImageFolder(root=root), caller=caller)

    @classmethod
    def open(
        cls, path: Path | str, *, caller: str | None = None, clock: Clock | None = None, check: bool = True
    ) -> Campaign:
        """Open a campaign that was created before.

        Args:
            path: Its file, or the URL of its database.
            caller: Who asks; by default this process.
            clock: Says the time, seconds since 1970.
            check: Whether to check, the first time after this machine was started, what was written last; see
                `acqplan.campaign.check.check_after_restart`.

        Raises:
            StoreError: If there is none, it is of a newer acqplan, or it is damaged.
        """
        store = Store.open(path, clock=clock)
        with store.reading() as ledger:
            place = ledger.events(until=1)[0].body["images"]
        campaign = cls(store, ImageFolder(root=images_root(path, Path(place))), caller=caller)
        if check:
            check_after_restart(campaign)
        return campaign

    def __enter__(self) -> Campaign:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the store; leases stay."""
        self.store.close()

    def ask(self, n: int = 1) -> list[Shot]:
        """Lease up to ``n`` shots, in an order that is quick to drive.

        Returns:
            The shots; none if the campaign is `finished` or paused, or if all that is left is leased to others.

        Raises:
            UsageError: If ``n`` is below 1.
        """
        if n < 1:
            raise UsageError(f"{n} shots asked for", "ask for 1 or more")
        with self.store.writing() as ledger:
            leases.take_back(ledger)
            leases.watch_failures(ledger)
            if leases.finished(self.settings, ledger.standing, ledger.now) or ledger.standing.paused_at is not None:
                return []
            found = leases.lease(ledger, n, self.caller)
            if not found:
                leases.stop_if_exhausted(ledger)
            return [Shot.of(record, self.settings) for record in found]

    def tell(
        self,
        shot: Shot | str,
        image: Picture,
        *,
        reached: Mapping[str, object] | None = None,
        replace: bool = False,
    ) -> str:
        """Hand in the image of a shot; telling the same again changes nothing.

        Args:
            shot: The shot, or its identifier.
            image: Bytes of an image file, a file, or an array, uint8, ``[height, width]`` or ``[height, width, 3]``.
            reached: Settings that the rig reached, where they differ from those commanded.
            replace: Whether to take it in place of another image of this shot.

        Returns:
            ``captured``; ``already`` if it was told before; ``replaced``; or ``surplus``: kept and counted, but not
            part of the data set, since somebody else captured the shot after the lease was over, it is not wanted
            any more, or the budget is spent.

        Raises:
            ShotError: If no plan holds the shot.
            ImageError: If the image is not whole.
            ConflictError: If the shot has another image, and ``replace`` is not set.
            SpaceError: If a setting cannot be.
            OutputError: If the image cannot be written; then nothing has happened.
        """
        name = shot if isinstance(shot, str) else shot.id
        content, suffix = encoded(image, name)
        with self.store.reading() as ledger:
            record = known_shot(ledger, name)
            where = self.settings.reached(record.view, reached or {})
            outcome = outcome_of_image(ledger, record, digest_content(content), replace=replace)
        written = self.images.keep(name, content, suffix)  # also of one told before, in case it was damaged
        if outcome == ALREADY:
            return ALREADY
        with self.store.writing() as ledger:
            record = known_shot(ledger, name)
            try:
                outcome = outcome_of_image(ledger, record, written.digest, replace=replace)
            except ConflictError:
                if written.fresh:
                    self.images.forget(written.name)
                raise
            if not self.images.has(written.name):  # refused from somebody else meanwhile, and taken away
                self.images.keep(name, content, suffix)
            take_image(ledger, record, written, where, outcome)
        return outcome

    def fail(self, shot: Shot | str, *, reason: str, retry: bool = True, exposed: bool = False) -> str:
        """Say that a shot could not be taken.

        Args:
            shot: The shot, or its identifier.
            reason: Why, in a few words; the same words for the same cause make a better summary.
            retry: Whether to try it again later, up to the campaign's ``most_tries``.
            exposed: Whether the rig took an image, which then counts.

        Returns:
            ``retried``, ``rejected`` (never again), or ``unchanged`` where nobody was to take it, or, after the lease
            was over, somebody else took it or is about to.

        Raises:
            ShotError: If no plan holds the shot.
            ConflictError: If it is captured already.
        """
        with self.store.writing() as ledger:
            record = known_shot(ledger, shot if isinstance(shot, str) else shot.id)
            return take_failure(ledger, record, self.caller, reason=reason, retry=retry, exposed=exposed)

    def release(self, shots: Iterable[Shot | str]) -> int:
        """Give leased shots back that will not be taken after all; says how many were this caller's."""
        count = 0
        with self.store.writing() as ledger:
            for shot in shots:
                record = known_shot(ledger, shot if isinstance(shot, str) else shot.id)
                if record.state == LEASED and record.caller == self.caller:
                    ledger.append("expired", record.shot, given_back=True, reason="given back")
                    count += 1
        return count

    def adopt(self, plan: Mapping[str, Any]) -> str:
        """Make a plan the queue; what has been leased, captured or rejected meanwhile stays what it is.

        Args:
            plan: From `acqplan.campaign.planning.planned`.

        Returns:
            Why it was dropped; empty if it was adopted.
        """
        with self.store.writing() as ledger:
            if plan["round"] != ledger.standing.rounds:
                return f"plan {ledger.standing.rounds} was adopted while this one was being made"
            there = [row for row in plan["shots"] if row[1] in ledger.standing.objects]  # not taken away meanwhile
            ledger.append("replanned", **{**plan, "shots": there})
        return ""

    @property
    def caller(self) -> str:
        """Who asks, by default this process; its leases come back at once if it is killed on this machine."""
        return self._caller or this_process()

    @property
    def settings(self) -> CampaignSettings:
        """What the campaign was created with."""
        return self.store.settings

    @property
    def finished(self) -> str:
        """Why no shot will be handed out any more; empty while some may be."""
        with self.store.reading() as ledger:
            return leases.finished(self.settings, ledger.standing, ledger.now)

    def status(self) -> dict[str, Any]:
        """How the campaign stands, fit for JSON; see `acqplan.campaign.status.status_of`."""
        from acqplan.campaign.status import status_of

        return status_of(self.store)

    def report(self) -> str:
        """How the campaign stands, in a few lines for people."""
        from acqplan.campaign.status import status_sentences

        return "\n".join(status_sentences(self.status()))

    def events(self, *, after: int = 0) -> list[Event]:
        """What happened, after the event of this number."""
        with self.store.reading() as ledger:
            return ledger.events(after=after)


def images_folder(path: Path | str, images: Path | None) -> Path:
    """Folder of the images as the store keeps it: relative where it lies beside the store, so that both can move."""
    if images is not None:
        return images.absolute()
    if is_url(path):
        raise UsageError("no folder for the images of a campaign on a database", "give one that all machines see")
    return Path(Path(path).name + IMAGES_SUFFIX)


def images_root(path: Path | str, place: Path) -> Path:
    """Where that folder is."""
    return place if place.is_absolute() else Path(path).parent / place
