"""What requests are given: the campaign, under the client's name, and shots by identifiers as clients write them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Request
from starlette.convertors import Convertor, register_url_convertor

from acqplan.campaign.campaign import Campaign
from acqplan.campaign.record import Event
from acqplan.errors import ShotError
from acqplan.service.questions import Error

LONGEST_NAME = 2_000


class ShotConvertor(Convertor[str]):
    """Identifiers of shots hold names of objects, which may hold anything: slashes and line breaks too."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


register_url_convertor("shot", ShotConvertor())


async def the_campaign(request: Request) -> Campaign:
    """The campaign, as used by the client of a request."""
    return as_caller(request, None)


def as_caller(request: Request, name: str | None) -> Campaign:
    """The campaign as used by whoever a client says it is."""
    campaign: Campaign = request.app.state.campaign
    client = request.client.host if request.client else "somebody"
    return Campaign(campaign.store, campaign.images, caller=f"http:{name or client}")


async def the_shot(
    shot: Annotated[str, Path(description="Identifier of a shot, percent-encoded.", max_length=LONGEST_NAME)],
) -> str:
    """The identifier of a shot.

    Raises:
        ShotError: If no database could hold it.
    """
    if "\0" in shot:
        raise ShotError("no shot of this campaign has NUL in its name", "ask for shots, and answer those")
    return shot


Camp = Annotated[Campaign, Depends(the_campaign)]
ShotName = Annotated[str, Depends(the_shot)]


def refusing(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Statuses for the description of a route, beside those that all have."""
    return {status: {"model": Error} for status in (400, 401, 403, 408, 413, 421, 422, 503, 507, *statuses)}


def event_document(event: Event) -> dict[str, Any]:
    """An event for JSON; of a plan, how many shots it has in place of all of them."""
    body = event.body
    if "shots" in body and event.kind == "replanned":
        body = {**body, "shots": len(body["shots"])}
    return {"number": event.number, "at": round(event.at, 3), "kind": event.kind, "shot": event.shot, "body": body}
