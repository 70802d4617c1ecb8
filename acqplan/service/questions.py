"""What clients may ask: bodies, checked at the door."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MOST_SHOTS = 1_000
"""Shots leased at once."""

MOST_NUMBER = 2**31 - 1
"""Of an event, and of a budget: what a database holds in a column."""


def _is_plain(text: str) -> str:
    """Refuse what PostgreSQL cannot keep."""
    if "\0" in text:
        raise ValueError("must not hold the character NUL")
    return text


Words = Annotated[str, Field(max_length=500), AfterValidator(_is_plain)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_is_plain)]


class Question(BaseModel):
    """A body; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


class Ask(Question):
    """Lease shots."""

    n: int = Field(default=1, ge=1, le=MOST_SHOTS, description="How many shots at most.")
    caller: Name | None = Field(default=None, description="Who asks, e.g. a name of the arm; by default the address.")


class Fail(Question):
    """A shot could not be taken."""

    reason: Words = Field(description="Why, in a few words; the same words for the same cause.")
    retry: bool = Field(default=True, description="Whether to try it again later.")
    exposed: bool = Field(default=False, description="Whether the rig took an image, which then counts.")
    caller: Name | None = Field(default=None, description="Who asked for it, as told then.")


class Release(Question):
    """A leased shot will not be taken after all."""

    caller: Name | None = Field(default=None, description="Who asked for it, as told then.")


class Because(Question):
    """A deed and why."""

    reason: Words = Field(default="", description="Why, in a few words.")


class Where(Question):
    """A region of the space."""

    where: Name = Field(description="E.g. 'elevation>65', 'azimuth in 350..10 and lighting=L2', 'object=car-01'.")


class Undo(Question):
    """Undo what an operator did."""

    event: int = Field(ge=1, le=MOST_NUMBER, description="Number of the event.")


class Budget(Question):
    """A new budget of images, of time, or both."""

    budget: int | None = Field(default=None, ge=1, le=MOST_NUMBER, description="Images.")
    time_budget: float | None = Field(default=None, gt=0, le=1e9, description="Seconds from the first shot on.")


class NewObject(Question):
    """Another object on the turntable."""

    object: Name = Field(description="Its name.")
    label: Name = Field(description="Its class.")


class OldObject(Question):
    """An object that is taken away."""

    object: Name = Field(description="Its name.")


class Outcome(BaseModel):
    """What became of an answer."""

    outcome: str


class Error(BaseModel):
    """Why something cannot be done, and what to do."""

    error: str
    hint: str
