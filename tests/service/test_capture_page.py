"""The page for telephones in headless Chromium, 390 pixels wide: from the first shot to the last, by a real server."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acqplan import Campaign, open_rig
from acqplan.campaign.events import CAPTURED, LEASED, ShotRecord
from acqplan.campaign.wording import sentence, steps_of
from tests.service.browser import CHROMIUM, Page, chromium
from tests.service.serving import made, serving, until
from tests.service.test_process import process

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

UPRIGHT = 0x0112


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as one:
        yield one


class Telephone:
    """A person with a telephone: what they see, tap, and photograph."""

    def __init__(
        self, page: Page, port: int, *, width: int = 390, height: int = 844, dark: bool = False, path: str = "capture"
    ) -> None:
        self.page, self.width = page, width
        page.open(f"http://127.0.0.1:{port}/{path}", width=width, height=height, dark=dark)

    def reads(self, name: str) -> str:
        return str(self.page.evaluate(f"document.getElementById({json.dumps(name)}).textContent.trim()"))

    def sees(self, name: str) -> bool:
        element = f"document.getElementById({json.dumps(name)})"
        found = self.page.evaluate(f"{element}.checkVisibility() && !{element}.closest('[inert]')")
        assert self.page.evaluate("document.documentElement.scrollWidth") <= self.width
        return bool(found)

    def taps(self, name: str) -> None:
        until(lambda: self.sees(name))
        size = self.page.evaluate(f"document.getElementById({json.dumps(name)}).offsetHeight")
        assert size >= 40, f"{name} is {size} pixels high: too small for a thumb"
        self.page.evaluate(f"document.getElementById({json.dumps(name)}).click()")

    def is_to(self, shot: ShotRecord, campaign: Campaign) -> bool:
        """Whether it is told to take a shot, with what has changed in words of its own."""
        steps = steps_of(campaign.settings.axes, shot.object, shot.view)
        said = self.reads("say")
        is_said = all(step["do"].lower() in said.lower() or step["still"].lower() in said.lower() for step in steps)
        return is_said and self.sees("camera")

    def photographs(self, file: Path) -> None:
        until(lambda: self.sees("camera"))
        self.page.choose("camera", file)
        until(lambda: self.sees("send") and "pixels" in self.reads("preview-words"))


def photograph(folder: Path, number: int, size: tuple[int, int] = (640, 480)) -> Path:
    """A photograph as a telephone writes it: a JPEG that lies on its side."""
    path = folder / f"IMG_{number:04}.jpg"
    noise = np.random.default_rng(number).integers(0, 255, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[UPRIGHT] = 6
    Image.fromarray(noise).resize(size).save(path, quality=90, exif=exif)
    return path


def held(campaign: Campaign) -> ShotRecord:
    """The shot that the telephone holds, as soon as it has one."""

    def leased() -> list[ShotRecord]:
        with campaign.store.reading() as ledger:
            return list(ledger.every(LEASED))

    until(leased)
    (found,) = leased()
    assert "telephone-" in found.caller
    return found


def n_captured(campaign: Campaign) -> int:
    with campaign.store.reading() as ledger:
        return ledger.state.captured


def test_a_telephone_captures_from_the_first_shot_to_the_last(browser: Page, tmp_path: Path) -> None:
    """With a reload, an undo, a skip that is undone, a skip for later, and a server that is away for a while."""
    made(tmp_path, budget=7).close()
    photographs = [photograph(tmp_path, number, (4000, 3000) if number == 0 else (640, 480)) for number in range(9)]
    taken: dict[str, Path] = {}
    with process(tmp_path, "--no-plan") as (server, served):
        campaign, port = served.campaign, served.port
        phone = Telephone(browser, port)
        until(lambda: phone.sees("camera"))
        first = held(campaign)
        assert phone.reads("say") == sentence(steps_of(campaign.settings.axes, first.object, first.view))
        assert phone.reads("pace") == "0 of 7"
        # a reload costs no shot, and another telephone gets another one
        browser.reload()
        until(lambda: phone.reads("say").startswith("Put ") and phone.sees("camera"))
        (other,) = served.request("POST", "/ask", {"caller": "another"}).document["shots"]
        with campaign.store.reading() as ledger:
            callers = {record.shot: record.caller for record in ledger.every(LEASED)}
        assert set(callers) == {first.shot, other["id"]}
        served.request("POST", f"/shots/{other['id']}/release", {"caller": "another"})
        # the first photograph, of 12 million pixels; the next sentence says what has changed
        phone.photographs(photographs[0])
        assert "3000 × 4000 pixels" in phone.reads("preview-words")
        phone.taps("send")
        until(lambda: n_captured(campaign) == 1 and phone.sees("camera"))
        assert browser.evaluate("document.querySelectorAll('#say .still').length") > 0
        assert phone.reads("pace").startswith("1 of 7")
        # undo: the first shot once more, with its photograph shown; the one that is held comes again
        second = held(campaign)
        phone.taps("undo")
        until(lambda: "taken already" in phone.reads("about"))
        assert phone.is_to(first, campaign)
        until(lambda: browser.evaluate("document.querySelector('#nearest img')?.naturalWidth > 0"))
        phone.photographs(photographs[1])
        phone.taps("send")
        until(lambda: phone.reads("note").startswith("The first photograph is replaced.") and phone.sees("camera"))
        assert held(campaign).shot == second.shot
        taken[first.shot] = photographs[1]
        # skipped for good, and taken back; then skipped for now
        phone.taps("skip")
        browser.evaluate("document.getElementById('reason').value = 'a lamp is in the way'")
        phone.taps("never")
        until(lambda: "given up" in phone.reads("note") and phone.sees("camera"))
        with campaign.store.reading() as ledger:
            given_up = ledger.get(second.shot)
        assert given_up is not None
        assert (given_up.state, given_up.tries) == ("rejected", 1)
        phone.taps("undo")
        until(lambda: "wanted again" in phone.reads("note") and phone.sees("camera"))
        third = held(campaign)
        assert third.shot != second.shot
        phone.taps("skip")
        browser.evaluate("document.querySelector('#reasons button').click()")
        phone.taps("later")
        until(lambda: "again later" in phone.reads("note") and phone.sees("camera"))
        # paused by the telephone, and resumed
        phone.taps("pause")
        until(lambda: phone.reads("say") == "Paused")
        phone.taps("resume")
        until(lambda: phone.sees("camera"))
        complaints = browser.complaints()
        # the server goes away with a photograph on its way
        fourth = held(campaign)
        phone.photographs(photographs[2])
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 0
        phone.taps("send")
        until(lambda: "kept on this telephone" in phone.reads("offline-words"))
    with process(tmp_path, "--no-plan", "--port", str(port)) as (_, served):
        campaign = served.campaign
        browser.reload()  # the photograph survives that, too
        until(lambda: n_captured(campaign) == 2 and phone.sees("camera"))
        taken[fourth.shot] = photographs[2]
        for number in range(3, 7):
            shot = held(campaign)
            until(lambda: phone.is_to(shot, campaign))  # noqa: B023 - called at once
            phone.photographs(photographs[number])
            phone.taps("send")
            until(lambda: n_captured(campaign) == number and not phone.sees("send"))  # noqa: B023
            taken[shot.shot] = photographs[number]
        until(lambda: phone.reads("say") == "Finished: the budget of 7 images is spent")
        assert phone.reads("pace") == "6 of 7"
        with campaign.store.reading() as ledger:
            captured = list(ledger.every(CAPTURED))
            reasons = [event.body["reason"] for event in ledger.events(kinds=("failed",))]
        assert {one.shot: campaign.images.read(one.image) for one in captured} == {
            shot: path.read_bytes() for shot, path in taken.items()
        }
        assert reasons == ["a lamp is in the way", "cannot be set so"]
        assert campaign.status()["exposures"] == 7  # one was taken twice
    away = [one for one in browser.complaints() if "net::ERR_CONNECTION" not in one]
    assert complaints == away == []


def test_what_cannot_be_taken_is_explained_and_the_shot_stays(browser: Page, tmp_path: Path) -> None:
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(2000))
    with serving(made(tmp_path, budget=3), most_upload=100_000) as served:
        phone = Telephone(browser, served.port, dark=True)
        until(lambda: phone.sees("camera"))
        shot = held(served.campaign)
        browser.choose("file", tmp_path / "IMG_1.HEIC")
        until(lambda: "cannot show it" in phone.reads("preview-words"))
        phone.taps("send")
        until(lambda: "Most Compatible" in phone.reads("trouble"))
        phone.taps("again")
        browser.choose("file", photograph(tmp_path, 1, (4000, 3000)))
        until(lambda: "more than 100 kB" in phone.reads("trouble"))
        phone.photographs(photograph(tmp_path, 2, (200, 150)))
        phone.taps("send")
        until(lambda: n_captured(served.campaign) == 1 and phone.sees("camera"))
        assert held(served.campaign).shot != shot.shot


@pytest.mark.parametrize("size", [(320, 568), (390, 844), (844, 390)], ids=str)
def test_any_name_fits_on_any_telephone(browser: Page, tmp_path: Path, size: tuple[int, int]) -> None:
    evil = '<img src=x onerror="window.evil=1">/../?&#%25'
    names = ", ".join(map(json.dumps, (evil, "w" * 190)))
    height = '[[axis]]\nname = "height"\nkind = "interval"\nunit = "cm"\nvalues = [0, 50, 75]\n'
    lamp = f'[[axis]]\nname = "lighting"\nkind = "category"\nvalues = ["off", {json.dumps("v" * 90)}]\n'
    text = f'source = "live"\n{height}{lamp}[objects.labels]\nodd = [{names}]\n'
    (tmp_path / "rig.toml").write_text(text, encoding="utf-8")
    campaign = Campaign.create(open_rig(tmp_path / "rig.toml"), budget=12, path=tmp_path / "odd.db")
    with serving(campaign) as served:
        page = Telephone(browser, served.port, width=size[0], height=size[1])
        for number in range(12):
            shot = held(campaign)
            until(lambda: page.is_to(shot, campaign))  # noqa: B023 - called at once
            page.photographs(photograph(tmp_path, number, (64, 48)))
            page.taps("send")
            until(lambda: n_captured(campaign) == number + 1)  # noqa: B023
        until(lambda: page.reads("say").startswith("Finished"))
        assert browser.evaluate("window.evil") is None


def test_a_link_may_carry_the_token(browser: Page, tmp_path: Path) -> None:
    token = "0123456789abcdef-secret"
    with serving(made(tmp_path), token=token) as served:
        phone = Telephone(browser, served.port)
        until(lambda: phone.sees("secret"))
        browser.open("about:blank")
        phone = Telephone(browser, served.port, path=f"capture#token={token}")
        until(lambda: phone.sees("camera"))
        assert token not in browser.evaluate("location.href")
        browser.evaluate("sessionStorage.clear()")
