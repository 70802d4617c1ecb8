"""The live page in headless Chromium: what an operator sees, and that it is there in time."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from acqplan import Campaign, open_rig
from acqplan.campaign import operators
from tests.service.browser import CHROMIUM, Page, chromium
from tests.service.serving import Served, made, png, serving, until

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

EVIL = '<img src=x onerror="window.evil=1">'
LISTENING = "document.getElementById('alive').className === 'dot on'"
N_PICTURES = "document.querySelectorAll('#latest img').length"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as one:
        yield one


def words(page: Page, name: str) -> str:
    return str(page.evaluate(f"document.getElementById({json.dumps(name)}).textContent"))


def shown(page: Page, served: Served, **size: Any) -> None:
    page.open(f"http://127.0.0.1:{served.port}/", **size)
    until(lambda: page.evaluate(LISTENING))


def test_a_shot_told_over_http_appears_within_two_seconds(page: Page, tmp_path: Path) -> None:
    with serving(made(tmp_path)) as served:
        shown(page, served)
        for number, shot in enumerate(served.ask(5)):
            assert served.tell(shot, png(number)).status == 200
            told = time.monotonic()
            until(lambda: page.evaluate(N_PICTURES) == number + 1, 2.0)  # noqa: B023 - called at once
            until(lambda: words(page, "tiles").startswith(f"{number + 1}of 20 images"), told + 2.0 - time.monotonic())  # noqa: B023
        drawn = page.evaluate("[...document.querySelectorAll('#latest img')].every((one) => one.naturalWidth > 0)")
        assert drawn
        assert page.evaluate("document.querySelectorAll('#dial [class*=heat]').length") >= 3
        assert page.complaints() == []


def test_a_click_shows_the_whole_picture(page: Page, tmp_path: Path) -> None:
    with serving(made(tmp_path)) as served:
        (shot,) = served.ask()
        served.tell(shot, png(1, size=700))
        shown(page, served, width=400)
        until(lambda: page.evaluate(N_PICTURES) == 1)
        assert page.evaluate("document.querySelector('#latest img').naturalWidth") == 200
        page.evaluate("document.querySelector('#latest button').click()")
        until(lambda: page.evaluate("document.getElementById('enlarged').naturalWidth") == 700)
        assert page.evaluate("document.getElementById('enlarging').open")
        assert "azimuth" in words(page, "enlarged-words")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        page.evaluate("document.querySelector('#enlarging button').click()")
        until(lambda: not page.evaluate("document.getElementById('enlarging').open"))
        assert page.complaints() == []


def test_an_operator_pauses_forbids_and_sees_it_finish(page: Page, tmp_path: Path) -> None:
    with serving(made(tmp_path, budget=8)) as served:
        shown(page, served)
        page.evaluate("document.getElementById('pause').click()")
        until(lambda: words(page, "state") == "Paused")
        assert served.request("POST", "/ask", {"n": 1}).document["shots"] == []
        page.evaluate("document.getElementById('resume').click()")
        until(lambda: words(page, "state") == "Waiting for a rig to ask")
        page.evaluate("document.getElementById('where').value = 'elevaton>65'")
        page.evaluate("document.getElementById('forbid').requestSubmit()")
        until(lambda: "did you mean 'elevation'" in words(page, "trouble"))
        page.evaluate("document.getElementById('where').value = 'elevation>65'")
        page.evaluate("document.getElementById('forbid').requestSubmit()")
        until(lambda: "elevation>65" in words(page, "regions"))
        until(lambda: page.evaluate("document.querySelectorAll('#dial .barred').length") >= 6)
        (first,) = served.ask()
        served.request("POST", f"/shots/{first}/fail", {"reason": EVIL})
        until(lambda: EVIL in words(page, "failures") and f"{first} failed: {EVIL}" in words(page, "log"))
        assert page.evaluate("document.querySelectorAll('#dial .failed').length") == 1
        while shots := served.ask(4):
            for number, shot in enumerate(shots):
                served.tell(shot, png(number))
        until(lambda: words(page, "state") == "Finished: the budget of 8 images is spent")
        assert page.evaluate("window.evil") is None


def test_a_phone_shows_names_as_they_are_and_nothing_beside_the_page(page: Page, tmp_path: Path) -> None:
    axes = '[[axis]]\nname = "height"\nkind = "interval"\nvalues = [0, 50]\n'
    objects = f"[objects.labels]\n{json.dumps(EVIL)} = [{json.dumps(EVIL)}, {json.dumps('w' * 190)}]\n"
    (tmp_path / "rig.toml").write_text(f'source = "live"\n{axes}{objects}', encoding="utf-8")
    campaign = Campaign.create(open_rig(tmp_path / "rig.toml"), budget=4, path=tmp_path / "evil.db")
    for number, shot in enumerate(campaign.ask(3)):
        campaign.tell(shot, png(number))
    operators.forbid(campaign.store, f"object={'w' * 190}")
    with serving(campaign) as served:
        for dark in (False, True):
            shown(page, served, width=400, dark=dark)
            until(lambda: page.evaluate(N_PICTURES) == 3)
            until(lambda: EVIL in words(page, "objects"))
            assert page.evaluate("document.documentElement.scrollWidth") <= 400
        assert page.evaluate("window.evil") is None
        assert page.evaluate("document.querySelectorAll('main img[src=x]').length") == 0


def test_with_a_token_the_page_asks_for_it(page: Page, tmp_path: Path) -> None:
    token = "0123456789abcdef-secret"
    with serving(made(tmp_path), token=token) as served:
        page.open(f"http://127.0.0.1:{served.port}/")
        until(lambda: page.evaluate("!document.getElementById('token').hidden"))
        for typed in ("wrong", token):
            page.evaluate(f"document.getElementById('secret').value = {json.dumps(typed)}")
            page.evaluate("document.getElementById('token').requestSubmit()")
            until(lambda: "token" in words(page, "trouble") if typed == "wrong" else page.evaluate(LISTENING))  # noqa: B023
        (shot,) = served.ask()
        served.tell(shot, png(1))
        until(lambda: page.evaluate("document.querySelector('#latest img')?.naturalWidth > 0"), 3.0)
        page.evaluate("sessionStorage.clear()")


def test_a_page_finds_its_server_again(page: Page, tmp_path: Path) -> None:
    campaign = made(tmp_path)
    with serving(campaign) as served:
        shown(page, served)
    until(lambda: "connection lost" in words(page, "alive-words"))
    again = Campaign.open(tmp_path / "rig.db")
    (shot,) = again.ask()
    again.tell(shot, png(1))
    with serving(again, port=served.port):
        until(lambda: page.evaluate(LISTENING) and page.evaluate(N_PICTURES) == 1)
