import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from acqplan.advice.sentences import advice_sentences
from acqplan.errors import OutputError
from acqplan.evaluate.findings import Findings
from acqplan.evaluate.results import BENCHMARK_FILES
from acqplan.report.compared import Compared
from acqplan.report.page import benchmark_page_text, write_page
from acqplan.report.plot import benchmark_drawings
from acqplan.report.result import save_benchmark
from acqplan.report.terminal import benchmark_summary, budget_ranks
from acqplan.space import Category, Circle, Interval, Objects, Space
from tests.report.benchmarks import Make, some_findings
from tests.report.conftest import drawn, live_space, some_objects
from tests.report.test_report_page import outline, sideways

FLAT = Space(
    axes=(
        Interval(name="x", unit="mm", values=tuple(range(0, 60, 10))),
        Interval(name="height", unit="mm", values=(10.0, 20.0, 40.0)),
        Category(name="lamp", values=("left", "right")),
    )
)
LINE = Space(axes=(Circle(name="turn", values=tuple(range(0, 360, 12))),))
LONG = ("a-strategy-of-a-very-long-name-indeed:" + "X" * 60, "my_package.my_rules:AnotherStrategyOfLongName", "even")
BAD = "<script>alert('&')</script>\x00"
KINDS: dict[str, tuple[Space, Make]] = {
    "usual": (live_space(), Make()),
    "one fails always": (live_space(), Make(fails=(("even", -1),))),
    "one fails once": (live_space(), Make(fails=(("random-shots", 2),))),
    "primary fails in the first block": (live_space(), Make(fails=(("lattice", 0),))),
    "one seed": (live_space(), Make(n_seeds=1)),
    "one budget": (FLAT, Make(budgets=(48,))),
    "one budget, one seed, no swap": (LINE, Make(budgets=(48,), n_seeds=1, swap=False)),
    "no swap": (FLAT, Make(swap=False)),
    "two strategies": (LINE, Make(strategies=("even", "random"))),
    "copies that agree": (LINE, Make(strategies=("same", "same#2"))),
    "long names": (FLAT, Make(strategies=LONG)),
    "sixty strategies": (LINE, Make(strategies=tuple(f"rule-{n:02d}" for n in range(60)), n_seeds=2)),
    "many budgets": (live_space(), Make(budgets=tuple(range(12, 60, 2)), n_seeds=2)),
    "bad names": (FLAT, Make(strategies=(BAD, "$x^$", "even"), fails=(("even", 1),), reason=BAD)),
}
MADE: dict[str, Findings] = {}


def made(kind: str) -> Findings:
    if kind not in MADE:
        space, make = KINDS[kind]
        MADE[kind] = some_findings(space, some_objects(12, ("car", "truck", "bus")), make)
    return MADE[kind]


def shown(findings: Findings, width: int, *, verbose: bool = False) -> str:
    console = Console(width=width, file=None, quiet=False, force_terminal=False, color_system=None)
    with console.capture() as capture:
        console.print(benchmark_summary(findings, width=width, verbose=verbose))
    return capture.get()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_benchmark_has_a_page_that_says_every_verdict(kind: str) -> None:
    findings = made(kind)
    page = benchmark_page_text(findings, facts={"rig": "toys"})
    text = outline(page).text
    clean = [" ".join(sentence.replace("\x00", "\N{REPLACEMENT CHARACTER}").split()) for sentence in findings.sentences]
    assert all(sentence in text for sentence in clean)
    assert findings.results.design.digest in text
    assert "conditional on these objects" in text
    assert "nan" not in text.split()
    assert len(page.encode()) < 3_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_page_needs_no_network_no_script_and_its_pictures_have_words(kind: str) -> None:
    page = benchmark_page_text(made(kind))
    parsed = outline(page)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in parsed.tags}
    assert not re.search(r"url\((?!#)|@import", page)
    for tag, attributes in parsed.tags:
        for name in ("src", "href", "xlink:href", "srcset"):
            assert attributes.get(name, "#").startswith(("#", "data:"))
        assert tag != "svg" or (attributes["role"] == "img" and attributes["aria-label"])
    identifiers = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    for name in set(re.findall(r"var\(--([a-z0-9]+)\)", page)):
        assert len(re.findall(rf"--{name}:#", page)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_table_fits_the_terminal_and_keeps_the_primary_budget(kind: str) -> None:
    findings = made(kind)
    for width in (80, 120):
        text = shown(findings, width)
        assert max(map(len, text.splitlines())) <= width
        head = next(line for line in text.splitlines() if line.startswith("strategy"))
        assert f"{findings.results.design.primary_budget}" in head.split()
        assert head.rstrip().endswith("difference")


@pytest.mark.parametrize("kind", ["usual", "one fails always", "one budget, one seed, no swap", "sixty strategies"])
def test_every_kind_of_benchmark_can_be_drawn(kind: str, tmp_path: Path) -> None:
    written = drawn(tmp_path, benchmark_drawings(made(kind)))
    assert {path.name for path in written} <= set(BENCHMARK_FILES)
    assert {"curves.png", "verdicts.png", "objects.png", "views.png"} <= {path.name for path in written}


def test_the_advice_at_every_budget_stands_on_the_page() -> None:
    findings = made("usual")
    page = benchmark_page_text(findings)
    text = outline(page).text
    assert list(findings.advice) == [12, 24, 48]
    assert all(f"{images} go on +2.1 +0.4 to +3.8 more objects" in " ".join(cells(page)) for images in findings.advice)
    assert all(f"{sentence}." in text for sentence in advice_sentences(findings.advice[48]))
    told = json.loads(json.dumps(findings.to_dict(), allow_nan=False))["advice"]
    assert [(advice["budget"], advice["images"]) for advice in told] == [(12, 12), (24, 24), (48, 48)]
    block = replace(findings.results.blocks[0], advice={})
    silent = replace(findings, results=replace(findings.results, blocks=[block, *findings.results.blocks[1:]]))
    assert "Stop, or go on?" not in outline(benchmark_page_text(silent)).text


def cells(page: str) -> list[str]:
    return re.findall(r"<td[^>]*>([^<]*)</td>", page)


def test_headline_says_who_is_better_by_how_much() -> None:
    losing = made("two strategies")
    verdict = Compared.of_findings(losing).verdicts[0]
    assert verdict.verdict == "worse"
    assert (
        losing.headline.sentence == f"even is worse than random by {-100 * verdict.difference:.1f} points at 48 images."
    )
    assert "95 % interval" in losing.headline.about
    assert made("long names").headline.sentence.startswith(
        f"No difference found between {LONG[0]} and {LONG[1]} at 48 images"
    )


def test_a_failed_cell_is_named_with_its_reason() -> None:
    text = outline(benchmark_page_text(made("one fails once"))).text
    assert "What failed" in text
    assert "random-shots at 48 images, seeds 2, 2 swapped: ValueError: it raised" in text
    assert "6 cells failed" in text
    assert "What failed" not in outline(benchmark_page_text(made("usual"))).text


def test_names_and_reasons_are_shown_not_obeyed() -> None:
    page = benchmark_page_text(made("bad names"), facts={"<u>": "$title"})
    assert "<script" not in page
    assert "\x00" not in page
    text = outline(page).text
    assert "<script>alert('&')</script>" in text
    assert "$title" in text


def test_where_images_and_objects_differ_the_page_says_whom_and_why() -> None:
    findings = made("usual")
    text = outline(benchmark_page_text(findings)).text
    assert "Images of one object are not" in text
    assert "another conclusion" in text or "same conclusions" in text


def test_folder_holds_everything_and_keeps_the_design_and_the_cells(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    (tmp_path / "design.json").write_text("{}", encoding="utf-8")
    (tmp_path / "ideas.png").write_bytes(b"of an earlier benchmark")
    findings = made("one budget")
    written = save_benchmark(findings, tmp_path)
    assert [path.name for path in written] == [name for name in BENCHMARK_FILES if (tmp_path / name).exists()]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in written} | {"cells", "design.json"}
    assert json.loads((tmp_path / "validation.json").read_text(encoding="utf-8"))["design"]


def test_same_findings_same_bytes(tmp_path: Path) -> None:
    first = {path.name: path.read_bytes() for path in save_benchmark(made("one seed"), tmp_path)}
    MADE.pop("one seed")
    again = {path.name: path.read_bytes() for path in save_benchmark(made("one seed"), tmp_path)}
    assert first == again


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "ranks.png").mkdir()
    (tmp_path / "report.html").write_text("before", encoding="utf-8")
    with pytest.raises(OutputError):
        save_benchmark(made("usual"), tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "before"
    assert {path.name for path in tmp_path.iterdir()} == {"ranks.png", "report.html"}


def test_a_page_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError):
        write_page(tmp_path / "nowhere" / "report.html", benchmark_page_text(made("usual")))


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("kind", ["usual", "long names"])
def test_page_does_not_scroll_sideways_in_a_browser(kind: str, width: int, tmp_path: Path) -> None:
    sideways(benchmark_page_text(made(kind)), width, tmp_path)


def test_primary_and_baseline_come_first_then_the_more_accurate() -> None:
    order = Compared.of_findings(made("usual")).order
    assert order[:2] == ["lattice", "random-shots"]
    assert order[-1] == "even"


def test_budgets_are_kept_from_the_ends_inwards() -> None:
    assert budget_ranks([5]) == [5]
    assert budget_ranks([1, 2, 3, 4, 5])[:3] == [5, 1, 3]
    assert sorted(budget_ranks(range(40))) == list(range(40))


def test_objects_keep_their_names_in_pictures() -> None:
    objects = Objects(names=tuple(f"thing-{n}" for n in range(8)), labels=("a", "b") * 4)
    page = benchmark_page_text(some_findings(LINE, objects, Make(n_seeds=1)))
    assert re.search(r">thing-\d<", page)
