"""Whatever clients send by the description of the routes, or against it: never a defect."""

import io
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck
from hypothesis import strategies as st
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from acqplan import Campaign
from acqplan.campaign.events import Fold
from acqplan.campaign.images import encoded
from acqplan.errors import ImageError
from acqplan.images import SUFFIXES
from acqplan.service.refusals import ServiceSettings
from acqplan.service.server import make_app
from tests.service.serving import made, png

EXAMPLES = 400 if os.environ.get("ACQPLAN_SLOW") else 20
FEW = hypothesis.settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
TOKEN = "a token of the tests".replace(" ", "-")


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FastAPI]:
    campaign = made(tmp_path_factory.mktemp("fuzz"), budget=100, failure_limit=1.0)
    for number, shot in enumerate(campaign.ask(4)):
        campaign.tell(shot, png(number))
    with campaign:
        yield make_app(campaign, ServiceSettings(host="0.0.0.0", token=TOKEN, heartbeat_seconds=0.1, poll_seconds=0.05))


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_is_a_defect(app: FastAPI, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    fuzzed = [one for one in operations if one.path != "/stream"]  # which does not end; see test_routes
    assert len(fuzzed) == len(operations) - 1 > 15
    for operation in fuzzed:
        if mode is GenerationMode.POSITIVE or {"parameters", "requestBody"} & set(operation.definition.raw):
            _fuzz(operation.as_strategy(generation_mode=mode), app.state.campaign)


def _fuzz(cases: st.SearchStrategy[Any], campaign: Campaign) -> None:
    with campaign.store.reading() as ledger:
        shots = sorted(record.shot for record in ledger.every())

    @FEW
    @hypothesis.given(case=cases, shot=st.none() | st.sampled_from(shots))
    def answered(case: Any, shot: str | None) -> None:
        if shot is not None and "shot" in case.path_parameters:
            case.path_parameters["shot"] = quote(shot, safe="")
        answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"})
        case.validate_response(answer, checks=CHECKS)

    answered()
    fold = Fold.replay(campaign.settings, campaign.events())
    with campaign.store.reading() as ledger:
        assert fold.state == ledger.state


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    if kind == "HEIF":
        pytest.importorskip("pillow_heif", reason="the extra heic is not installed").register_heif_opener()
    Image.open(io.BytesIO(png(7))).save(file, format=kind)
    return file.getvalue()


@hypothesis.settings(FEW, max_examples=20 * EXAMPLES)
@hypothesis.given(
    kind=st.sampled_from(sorted(SUFFIXES)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    kept=st.floats(0.01, 1),
)
def test_no_image_is_a_defect(kind: str, changes: list[tuple[float, int]], kept: float) -> None:
    content = bytearray(picture(kind))
    for place, byte in changes:
        content[int(place**3 * len(content))] = byte  # most of them in the head
    with suppress(ImageError):
        assert encoded(bytes(content[: round(kept * len(content))]), "shot")[1].kind in SUFFIXES
