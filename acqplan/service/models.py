"""What requests and responses hold, and what routes depend on: the campaign, and the shot that a path names."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.convertors import PathConvertor, register_url_convertor

from acqplan.campaign.campaign import Campaign

MOST_LEASED = 1_000
"""Shots leased at once."""

MOST_NUMBER = 2**31 - 1
"""Of an event, and of a budget: what a database holds in a column."""

LONGEST_IDENTIFIER = 2_000


def _without_nul(text: str) -> str:
    """Refuse the character that PostgreSQL cannot keep."""
    if "\0" in text:
        raise ValueError("must not hold the character NUL")
    return text


Words = Annotated[str, Field(max_length=500), AfterValidator(_without_nul)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_without_nul)]


class RequestBody(BaseModel):
    """A body; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Ask(RequestBody):
    """Lease shots."""

    n: int = Field(default=1, ge=1, le=MOST_LEASED, description="How many shots at most.")
    caller: Name | None = Field(default=None, description="Who asks, e.g. a name of the arm; by default the address.")


class Fail(RequestBody):
    """A shot could not be taken."""

    reason: Words = Field(description="Why, in a few words; the same words for the same cause.")
    retry: bool = Field(default=True, description="Whether to try it again later.")
    exposed: bool = Field(default=False, description="Whether the rig took an image, which then counts.")
    caller: Name | None = Field(default=None, description="Who asked for it, as told then.")


class Release(RequestBody):
    """A leased shot will not be taken after all."""

    caller: Name | None = Field(default=None, description="Who asked for it, as told then.")


class ShotOutcome(BaseModel):
    """What a request changed."""

    outcome: str


class Error(BaseModel):
    """Why something cannot be done, and what to do."""

    error: str
    hint: str


def refusing(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Describe a route's refusals: statuses that all routes have, and these."""
    return {status: {"model": Error} for status in (400, 401, 403, 408, 413, 421, 422, 503, 507, *statuses)}


class ShotConvertor(PathConvertor):
    """Identifiers of shots hold names of objects, with any character but NUL: slashes and line breaks too."""

    regex = r"(?s:[^\0]*)"


register_url_convertor("shot", ShotConvertor())


def campaign_of(request: Request, caller: str | None = None) -> Campaign:
    """The campaign as this client uses it, by the name it gives or its address."""
    campaign: Campaign = request.app.state.campaign
    client = request.client.host if request.client else "somebody"
    return Campaign(campaign.store, campaign.images, caller=f"http:{caller or client}")


async def _campaign(request: Request) -> Campaign:
    return campaign_of(request)


ClientCampaign = Annotated[Campaign, Depends(_campaign)]
ShotName = Annotated[str, Path(description="Identifier of a shot, percent-encoded.", max_length=LONGEST_IDENTIFIER)]
