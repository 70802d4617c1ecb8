import html
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from acqplan.advice.sentences import advice_sentences
from acqplan.errors import OutputError
from acqplan.evaluate.headline import taking
from acqplan.evaluate.verdict import Validation
from acqplan.plan.plan import Plan
from acqplan.report.page import page_text, write_page
from acqplan.space import Objects
from tests.report.conftest import recommended, some_advice

VOID = {"meta", "br", "img", "hr", "link", "input"}


class Outline(HTMLParser):
    """Tags that were opened and closed in order, attributes, and text outside of style."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def outline(page: str) -> Outline:
    parsed = Outline()
    parsed.feed(page)
    parsed.close()
    assert parsed.open == []
    return parsed


@pytest.fixture(scope="module")
def toy_page(validation: Validation, sentences: list[str], request: pytest.FixtureRequest) -> str:
    from tests.report.conftest import PLANS

    return page_text(recommended(PLANS["toys"], validation, sentences, advice=some_advice()), facts={"rig": "toys"})


def test_page_says_the_recommendation_and_every_verdict_in_words(toy_page: str, sentences: list[str]) -> None:
    text = outline(toy_page).text
    assert "Take these 2,430 images: 97 or 98 of each of 25 objects." in text
    assert all(sentence in text for sentence in sentences)
    assert "conditional on these objects" in text
    assert "auto is better" in text
    assert "no difference found" in text


def test_page_says_how_it_was_made(toy_page: str, toy_plan: Plan) -> None:
    text = outline(toy_page).text
    for fact in ("seed", "toynet:pool@3f9a1c", toy_plan.shots.space.digest()[:16], "generator = 1-5-7", "rig"):
        assert fact in text


def test_page_advises_in_words_with_the_learning_curve(toy_plan: Plan) -> None:
    advice = some_advice()
    page = page_text(recommended(toy_plan, advice=advice))
    text = outline(page).text
    assert all(f"{sentence}." in text for sentence in advice_sentences(advice))
    assert 'id="advice-' in page
    assert 'id="factors-' in page
    assert "up to all 24,300 images" in text
    assert all(f"{point.images:,}" in text for point in advice.points)
    assert "Stop, or go on?" not in outline(page_text(recommended(toy_plan))).text


def test_advice_without_a_curve_is_words_alone(toy_plan: Plan) -> None:
    silent = some_advice(points=0)
    page = page_text(recommended(toy_plan, advice=silent))
    assert advice_sentences(silent)[0] in outline(page).text
    assert 'id="advice-' not in page
    assert 'id="factors-' not in page


def test_page_needs_no_network_and_no_script(toy_page: str) -> None:
    parsed = outline(toy_page)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in parsed.tags}
    for _, attributes in parsed.tags:
        for name in ("src", "href", "xlink:href", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
    assert not re.search(r"url\((?!#)|@import", toy_page)
    assert len(toy_page.encode()) < 2_000_000


def test_every_picture_has_words(toy_page: str) -> None:
    pictures = [attributes for tag, attributes in outline(toy_page).tags if tag == "svg"]
    assert len(pictures) == 2 + 5 + 3 + 3 + 3 + 2  # of views, classes, accuracy, advice, coverage, objects
    assert all(picture["role"] == "img" and picture["aria-label"] for picture in pictures)


def test_identifiers_are_unique(toy_page: str) -> None:
    identifiers = [attributes["id"] for _, attributes in outline(toy_page).tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


def test_every_variable_of_the_style_is_defined_for_light_and_dark(toy_page: str) -> None:
    for name in set(re.findall(r"var\(--([a-z0-9]+)\)", toy_page)):
        assert len(re.findall(rf"--{name}:#", toy_page)) == 2


def test_every_kind_of_space_has_a_page(any_plan: Plan) -> None:
    parsed = outline(page_text(recommended(any_plan)))
    assert taking(any_plan) in parsed.text
    assert "What it gains" not in parsed.text
    assert "is not measured" in parsed.text


def test_names_are_shown_not_obeyed(live_plan: Plan) -> None:
    objects = live_plan.shots.objects
    bad = "<script>alert('&')</script>\x00"
    named = Objects(names=(bad, *objects.names[1:]), labels=('a"b<i>$', *objects.labels[1:]))
    plan = replace(live_plan, shots=replace(live_plan.shots, objects=named), strategy="<b>", reason=(bad,) * 240)
    page = page_text(recommended(plan), facts={"<u>": "$title"})
    assert "<script" not in page
    assert "\x00" not in page
    text = outline(page).text
    assert "<script>alert('&')</script>" in text
    assert "$title" in text


def test_sentences_are_escaped(live_plan: Plan, validation: Validation) -> None:
    page = page_text(recommended(replace(live_plan, strategy="auto"), validation, ["5 < 6 & <b>'so'</b>"]))
    assert "5 &lt; 6 &amp; &lt;b&gt;" in page
    assert "5 < 6 & <b>'so'</b>" in outline(page).text


def test_strategy_that_lost_is_said_to_be_worse(live_plan: Plan, validation: Validation) -> None:
    plan = replace(live_plan, strategy="auto")
    lost = replace(validation.verdicts[0], difference=-0.04, ci95=(-0.06, -0.02), verdict="worse")
    parsed = outline(page_text(recommended(plan, Validation(records=validation.records, verdicts=[lost]))))
    assert "auto is worse" in parsed.text
    assert "−4.0" in parsed.text


def test_captured_images_are_told_apart(live_plan: Plan) -> None:
    assert "beside the 30 captured before" in taking(replace(live_plan, captured=30))


def test_same_arguments_same_page(live_plan: Plan, validation: Validation, tmp_path: Path) -> None:
    plan = replace(live_plan, strategy="auto")
    write_page(tmp_path / "report.html", page_text(recommended(plan, validation)))
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page_text(recommended(plan, validation))


def test_a_page_that_cannot_be_written_is_an_output_error(live_plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_page(tmp_path / "nowhere" / "report.html", page_text(recommended(live_plan)))


@pytest.mark.parametrize("width", [400, 1200])
def test_page_does_not_scroll_sideways_in_a_browser(toy_page: str, width: int, tmp_path: Path) -> None:
    sideways(toy_page, width, tmp_path)


def sideways(page: str, width: int, tmp_path: Path) -> None:
    """Check in a frame of that width, because headless windows are never narrower than 500 pixels."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium on this machine")
    frame = tmp_path / "frame.html"
    measure = "document.title = 'wide ' + this.contentDocument.documentElement.scrollWidth"
    inside = f'width={width} height=900 onload="{measure}" srcdoc="{html.escape(page)}"'
    frame.write_text(f"<title></title><iframe {inside}></iframe>", encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-component-update", "--disable-sync", "--hide-scrollbars"]
    flags += [f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", frame.as_uri()]
    done = subprocess.run([browser, *flags], capture_output=True, text=True, timeout=60)
    assert f"wide {width}<" in done.stdout, done.stderr[-500:]
