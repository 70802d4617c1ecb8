"""Routes that change something, and their bodies: rigs ask and tell, operators act, plans and advice are asked for."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model
from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor

from acqplan.campaign.campaign import Campaign
from acqplan.campaign.images import known_shot
from acqplan.campaign.operators import ACTIONS, SHOT, Action, event_document
from acqplan.errors import ConflictError, ImageError, SpaceError
from acqplan.service.refusals import Refusal

MOST_LEASED = 1_000  # shots leased at once
MOST_NUMBER = 2**31 - 1  # of an event, and of a budget: what a database holds in a column
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
    resume: bool = Field(default=False, description="Whether to begin with the shots that it holds already.")


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


class ImageOutcome(ShotOutcome):
    """What became of an image, and what people should know of it."""

    notes: list[str] = []


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


async def client_campaign(request: Request) -> Campaign:
    """The campaign as this client uses it by its address."""
    return campaign_of(request)


ClientCampaign = Annotated[Campaign, Depends(client_campaign)]
ShotName = Annotated[str, Path(description="Identifier of a shot, percent-encoded.", max_length=LONGEST_IDENTIFIER)]

rigs = APIRouter(tags=["rigs"])

IMAGE_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Bytes of a PNG, JPEG, BMP, TIFF, WebP or PPM file.",
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}}
            for kind in ("application/octet-stream", "image/png", "image/jpeg")
        },
    }
}


@rigs.post("/ask", responses=refusing())
def ask(request: Request, body: Ask) -> dict[str, Any]:
    """Lease shots, in an order that is quick to drive; none while paused, and none once ``finished`` says why."""
    campaign = campaign_of(request, body.caller)
    shots = campaign.ask(body.n, resume=body.resume)
    return {"shots": [shot.to_dict() for shot in shots], "finished": "" if shots else campaign.finished}


@rigs.put(
    "/shots/{shot:shot}/image",
    responses=refusing(404, 409),
    openapi_extra=IMAGE_BODY,
    response_model_exclude_defaults=True,
)
async def tell(
    request: Request,
    campaign: ClientCampaign,
    shot: ShotName,
    replace: Annotated[bool, Query(description="Whether to take it in place of another image.")] = False,
) -> ImageOutcome:
    """Hand in the image of a shot; ``captured``, ``already``, ``surplus`` or ``replaced``.

    Under ``notes`` it says once what has to be converted, and of each image that repeats that of another shot.

    All further parameters of the query are settings that the rig reached where they differ from those commanded,
    e.g. ``?azimuth=40.3``.
    """
    # Names of axes are not known when the app is made, so that FastAPI cannot read these parameters.
    reached: dict[str, object] = {}
    for name, value in request.query_params.multi_items():
        if name in reached:
            raise SpaceError(f"'{name}' is given twice", "give each setting once")
        reached[name] = value
    reached.pop("replace", None)
    try:
        content = await request.body()
        async with request.app.state.decoding:
            outcome = await run_in_threadpool(campaign.tell, shot, content, reached=reached, replace=replace)
    except Refusal:
        await run_in_threadpool(_check_known, campaign, shot)  # a mistyped name explains more than the size of a body
        raise
    except ImageError as error:
        is_form = "form" in request.headers.get("content-type", "")  # curl -d and -F send one
        hint = "send the file itself, e.g. curl --upload-file image.png URL" if is_form else error.hint
        raise ImageError(error.message, hint) from error
    return ImageOutcome(outcome=outcome, notes=list(outcome.notes))


def _check_known(campaign: Campaign, shot: str) -> None:
    with campaign.store.reading() as transaction:
        known_shot(transaction, shot)


@rigs.post("/shots/{shot:shot}/fail", responses=refusing(404, 409))
def fail(request: Request, shot: ShotName, body: Fail) -> ShotOutcome:
    """Say that a shot could not be taken; ``retried``, ``rejected`` (never again) or ``unchanged``."""
    campaign = campaign_of(request, body.caller)
    return ShotOutcome(outcome=campaign.fail(shot, reason=body.reason, retry=body.retry, exposed=body.exposed))


@rigs.post("/shots/{shot:shot}/release", responses=refusing(404))
def release(request: Request, shot: ShotName, body: Annotated[Release, Body(default_factory=Release)]) -> ShotOutcome:
    """Give a leased shot back; ``released``, or ``unchanged`` where it was not leased to this caller."""
    count = campaign_of(request, body.caller).release([shot])
    return ShotOutcome(outcome="released" if count else "unchanged")


operators = APIRouter(tags=["operators"])

# Type of each kind of parameter in a body.
TYPES: dict[str, Any] = {
    "text": Words,
    "name": Name,
    "region": Name,
    "event": Annotated[int, Field(ge=1, le=MOST_NUMBER)],
    "images": Annotated[int, Field(ge=1, le=MOST_NUMBER)],
    "seconds": Annotated[float, Field(gt=0, le=1e9)],
}


def _endpoint(action: Action) -> Callable[..., dict[str, Any]]:
    """Make the function of an action's route, which answers the event; FastAPI reads the body from its signature."""

    def endpoint(campaign: ClientCampaign, body: RequestBody | None = None, **path: str) -> dict[str, Any]:
        given = path if body is None else {**path, **body.model_dump()}
        return event_document(action.function(campaign.store, *(given[one.name] for one in action.parameters)))

    keyword = partial(inspect.Parameter, kind=inspect.Parameter.KEYWORD_ONLY)
    found = [keyword("campaign", annotation=ClientCampaign)]
    fields: dict[str, Any] = {}
    for one in action.parameters:
        if one is SHOT:
            found.append(keyword("shot", annotation=ShotName))
        elif one.is_required:
            fields[one.name] = (TYPES[one.kind], Field(description=one.help))
        else:
            kind = TYPES[one.kind] if one.default is not None else TYPES[one.kind] | None
            fields[one.name] = (kind, Field(default=one.default, description=one.help))
    # As with other bodies, unknown keys are errors; one whose keys all have values by default may be left out.
    if fields:
        name = action.name.title().replace("-", "")
        model = create_model(name, __base__=RequestBody, __doc__=_about(action), **fields)
        has_defaults = all(one.default is not None for one in action.parameters if one is not SHOT)
        body = Annotated[model, Body(default_factory=model)] if has_defaults else model
        found.append(keyword("body", annotation=body))
    endpoint.__signature__ = inspect.Signature(found, return_annotation=dict[str, Any])  # type: ignore[attr-defined]
    return endpoint


def _about(action: Action) -> str:
    """What an action does, with other actions named as routes."""
    return re.sub(r"`(.+?)`", r"``/\1``", action.help)


for _action in ACTIONS:
    operators.add_api_route(
        _action.path,
        _endpoint(_action),
        methods=["POST"],
        name=_action.name.replace("-", "_"),
        description=_about(_action),
        responses=refusing(404) if SHOT in _action.parameters else refusing(),
    )

background = APIRouter(tags=["background"])


@background.post("/plan", status_code=202, responses=refusing(409))
def plan_now(request: Request) -> ShotOutcome:
    """Plan the next round; its event is the result, and ``/status`` says under ``background`` what failed."""
    return _asked(request, "plan")


@background.post("/advise", status_code=202, responses=refusing(409))
def advise_now(request: Request) -> ShotOutcome:
    """Advise whether to go on; its event is the result, and ``/status`` says under ``background`` what failed."""
    return _asked(request, "advice")


def _asked(request: Request, what: str) -> ShotOutcome:
    planner = request.app.state.planner
    if planner is None:
        raise ConflictError(f"no {what} in the background here", "start acqplan serve without --no-plan")
    planner.want(what)
    return ShotOutcome(outcome="asked")
