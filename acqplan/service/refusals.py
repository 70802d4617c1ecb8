"""What a client is told when something cannot be done: a status, and ``{"error", "hint"}``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from acqplan.errors import AcqplanError, ConflictError, ImageError, InputError, MissingError, OutputError, ShotError

STATUSES: Mapping[type[AcqplanError], int] = {
    ShotError: 404,
    ConflictError: 409,
    ImageError: 422,
    OutputError: 507,
    InputError: 503,  # the store, or files that planning needs: nothing that the client sent
    MissingError: 503,
    AcqplanError: 422,
}
"""The first that an error is an instance of holds."""


class Document(JSONResponse):
    """JSON in ASCII: names from elsewhere may hold what UTF-8 cannot."""

    def render(self, content: Any) -> bytes:
        """The bytes of the document."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


class Refusal(Exception):  # noqa: N818 - it is an answer
    """An answer in place of the one that was asked for.

    Args:
        status: HTTP status.
        error: What was asked and found.
        hint: What to do.
    """

    def __init__(self, status: int, error: str, hint: str = "") -> None:
        super().__init__(error)
        self.status, self.error, self.hint = status, error, hint

    def document(self, **headers: str) -> Document:
        """The answer."""
        return Document({"error": self.error, "hint": self.hint}, status_code=self.status, headers=headers or None)


def status_of_error(error: AcqplanError) -> int:
    """The HTTP status of an error."""
    return next(status for kind, status in STATUSES.items() if isinstance(error, kind))


def add_refusals(app: FastAPI) -> None:
    """Let an app answer errors as `Refusal` does."""
    app.add_exception_handler(AcqplanError, _of_acqplan)
    app.add_exception_handler(Refusal, _of_refusal)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _of_defect)


async def _of_acqplan(request: Request, error: Exception) -> Document:
    assert isinstance(error, AcqplanError)
    return Refusal(status_of_error(error), error.message, error.hint).document()


async def _of_refusal(request: Request, error: Exception) -> Document:
    assert isinstance(error, Refusal)
    return error.document()


async def _of_validation(request: Request, error: Exception) -> Document:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    hint = "see /docs"
    if request.headers.get("content-type", "").split(";")[0] != "application/json" and first["loc"][0] == "body":
        hint = "send JSON, with the header 'Content-Type: application/json'; see /docs"
    return Refusal(422, f"{place}: {first['msg']}", hint).document()


async def _of_http(request: Request, error: Exception) -> Document:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return Refusal(error.status_code, f"{request.method} {request.url.path}: {error.detail}", "see /docs").document(
        **headers
    )


async def _of_defect(request: Request, error: Exception) -> Document:
    return Refusal(500, f"a defect of acqplan: {type(error).__name__}", "see the log of acqplan serve").document()
