"""What becomes of an answer: of an image, or of the news that there is none."""

from __future__ import annotations

from collections.abc import Sequence

from acqplan.campaign.identifiers import ViewValue
from acqplan.campaign.images import Written
from acqplan.campaign.leases import watch_failures
from acqplan.campaign.record import CAPTURED, LEASED, PROPOSED, REJECTED, WITHDRAWN, Record
from acqplan.campaign.store_ledger import Ledger
from acqplan.errors import ConflictError, ShotError, nearest

CAPTURED_NOW, ALREADY, SURPLUS, REPLACED = "captured", "already", "surplus", "replaced"


def known_shot(ledger: Ledger, shot: str) -> Record:
    """The record of a shot.

    Raises:
        ShotError: If no plan holds it; names the nearest one that is leased.
    """
    record = ledger.get(shot)
    if record is None:
        leased = [one.shot for one in ledger.every(LEASED)][:200]
        hint = nearest(shot, leased) if 0 < len(leased) <= 20 else "ask for shots, and answer those"
        raise ShotError(f"no shot of this campaign is called '{shot}'", hint)
    return record


def outcome_of_image(ledger: Ledger, record: Record, digest: str, *, replace: bool) -> str:
    """What an image will be: captured, already (told before), surplus (kept and counted), or replaced.

    Raises:
        ConflictError: If the shot has another image, nobody else was to take it, and ``replace`` is not set.
    """
    if record.state == CAPTURED and record.digest == digest:
        return ALREADY
    if record.open == 0 or record.state != LEASED:
        aside = ledger.events(shot=record.shot, kinds=("surplus",))
        wanted = replace and record.state == CAPTURED
        if not wanted and any(event.body["digest"] == digest for event in aside):
            return ALREADY
    if record.state == CAPTURED:
        return _outcome_of_second(record, replace)
    has_room = ledger.standing.room > 0 or digest == record.lost
    if record.state == LEASED or (record.state in (PROPOSED, WITHDRAWN) and has_room):
        return CAPTURED_NOW
    return SURPLUS


def _outcome_of_second(record: Record, replace: bool) -> str:
    if replace:
        return REPLACED
    if record.open > 0:
        return SURPLUS
    raise ConflictError(
        f"'{record.shot}' has another image already ({record.digest[:12]}…)", "give replace=True (--replace) to take it"
    )


def take_image(
    ledger: Ledger,
    record: Record,
    written: Written,
    reached: Sequence[ViewValue],
    outcome: str,
    *,
    recovered: bool = False,
) -> None:
    """Write the event of an outcome that changes something; a recovered image answers nobody's lease."""
    if outcome == ALREADY:
        return
    kind = "surplus" if outcome == SURPLUS else "told"
    late = record.state != LEASED
    body = {"digest": written.digest, "image": written.name, "reached": list(reached), "late": late}
    if outcome == REPLACED:
        body["replaces"] = record.digest
        spoken = ledger.events(shot=record.shot, kinds=("told", "surplus"))
        if any(event.body["digest"] == written.digest for event in spoken):
            body["counted"] = True
    if recovered:
        body["recovered"] = True
    ledger.append(kind, record.shot, **body)


def _answered_before(ledger: Ledger, record: Record, caller: str) -> bool:
    """Whether somebody repeats an answer of before, while somebody else has the shot."""
    if record.state != LEASED or record.open > 1 or record.caller == caller:
        return False
    return any(event.body["caller"] == caller for event in ledger.events(shot=record.shot, kinds=("leased",)))


def take_failure(ledger: Ledger, record: Record, caller: str, *, reason: str, retry: bool, exposed: bool) -> str:
    """Write that a shot failed; ``retried``, ``rejected``, or ``unchanged`` where nobody was to take it.

    Whoever failed after the lease was over does not end that of who has the shot now, nor speak for them.

    Raises:
        ConflictError: If it is captured, and nobody else was to take it.
    """
    if record.open == 0 and record.state == CAPTURED:
        raise ConflictError(f"'{record.shot}' is captured already", "tell another image with replace=True (--replace)")
    if record.open == 0 and (retry or record.state == REJECTED):
        return "unchanged"
    if _answered_before(ledger, record, caller):
        return "unchanged"
    late = record.state == LEASED and record.open > 1 and record.caller != caller
    ledger.append("failed", record.shot, reason=reason, exposed=exposed, late=late)
    is_hopeless = not retry or record.tries + 1 >= ledger.terms.most_tries
    if is_hopeless and not late and record.state not in (CAPTURED, REJECTED):
        ledger.append("rejected", record.shot, reason=reason if not retry else f"failed {record.tries + 1} times")
    watch_failures(ledger)
    state = known_shot(ledger, record.shot).state
    return {REJECTED: "rejected", CAPTURED: "unchanged", LEASED: "unchanged"}.get(state, "retried")
