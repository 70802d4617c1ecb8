"""The dome of the live page, turned in headless Chromium by pointer and by keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.browser import CHROMIUM, Page, chromium
from tests.service.serving import made, png, serving, until

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

DOTS = "document.querySelectorAll('figure svg circle').length"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as one:
        yield one


def place(page: Page, words: str) -> tuple[float, float]:
    """Where a label of the dome is, in its own units."""
    x, y = page.evaluate(
        f"(() => {{ const found = [...document.querySelectorAll('figure svg text')].find((one) => one.textContent === "
        f"'{words}'); return [+found.getAttribute('x'), +found.getAttribute('y')]; }})()"
    )
    return x, y


@pytest.mark.parametrize("width", [1200, 390])
def test_a_dome_turns_by_dragging_and_by_keys(page: Page, tmp_path: Path, width: int) -> None:
    with serving(made(tmp_path)) as served:
        page.open(f"http://127.0.0.1:{served.port}/", width=width)
        until(lambda: page.evaluate(DOTS))
        before = place(page, "0°"), place(page, "90°")
        assert before[1][0] < before[0][0] < 0  # the front is turned away to the left; the table's 90° further
        # to the right and down by 60 pixels: what is near goes with the pointer
        page.evaluate("document.querySelector('figure svg').scrollIntoView({ block: 'center' })")
        box = page.evaluate("(({ x, y }) => [x, y])(document.querySelector('figure svg').getBoundingClientRect())")
        x, y = box[0] + 120, box[1] + 120
        for kind, dx in (("mousePressed", 0), ("mouseMoved", 60), ("mouseReleased", 60)):
            page.call("Input.dispatchMouseEvent", type=kind, x=x + dx, y=y + dx, button="left", buttons=1, clickCount=1)
        after = place(page, "0°")
        assert after[0] > before[0][0] + 30
        assert after[1] > before[0][1]
        page.evaluate(
            "document.querySelector('figure svg').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft' }))"
        )
        assert place(page, "0°")[0] < after[0]
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.complaints() == []


def test_the_dome_shows_what_is_captured_and_planned(page: Page, tmp_path: Path) -> None:
    with serving(made(tmp_path)) as served:
        page.open(f"http://127.0.0.1:{served.port}/")
        until(lambda: page.evaluate(DOTS))
        assert not page.evaluate("document.querySelectorAll('figure svg circle.heat5').length")
        for number, shot in enumerate(served.campaign.ask(20)):
            served.campaign.tell(shot, png(number))
        until(lambda: page.evaluate(f"{DOTS} === document.querySelectorAll('figure svg circle.heat5').length"))
        page.screenshot(tmp_path / "page.png")
