"""Routes that make the background work: a plan or advice now, not when it is due."""

from __future__ import annotations

from fastapi import APIRouter, Request

from acqplan.service.doors import refusing
from acqplan.service.questions import Outcome

router = APIRouter(tags=["background"])


@router.post("/plan", status_code=202, responses=refusing(409))
def plan_now(request: Request) -> Outcome:
    """Plan the next round; its event is the result, and ``/status`` says under ``background`` what failed."""
    request.app.state.planner.want("plan")
    return Outcome(outcome="asked")


@router.post("/advise", status_code=202, responses=refusing(409))
def advise_now(request: Request) -> Outcome:
    """Advise whether to go on; its event is the result, and ``/status`` says under ``background`` what failed."""
    request.app.state.planner.want("advice")
    return Outcome(outcome="asked")
