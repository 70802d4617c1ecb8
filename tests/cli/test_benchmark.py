"""``acqplan benchmark``: what it writes, what it refuses, and what it says of strategies that fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Acqplan, complaint, contents, untouched, written

SMALL = (
    "--backbone", "histogram", "--strategies", "lattice,random-shots", "--budgets", "10,20", "--workers", "1",
    "--seeds", "2",
)  # fmt: skip
EXAMPLES = Path(__file__).parents[2] / "examples"
BROKEN = "tests.evaluate.benchmark.conftest"


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}


def test_it_writes_results_and_a_second_run_computes_nothing(acqplan: Acqplan, toys: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    done = acqplan("benchmark", "--rig", toys, *SMALL, "--out", out)
    assert done.code == 0
    assert "lattice" in done.out
    first, finished = contents(out), times(out)
    assert {"design.json", "results.csv", "validation.json", "report.html"} <= set(first)
    assert len(finished) == 2 * 2
    assert json.loads(first["validation.json"])["design"] == json.loads(first["design.json"])["digest"]

    again = acqplan("benchmark", "--rig", toys, *SMALL, "--out", out)
    assert (again.code, again.out) == (0, done.out)
    assert times(out) == finished
    for name in ("design.json", "results.csv", "validation.json"):
        assert contents(out)[name] == first[name]


def test_json_is_one_document_with_all_that_was_found(acqplan: Acqplan, toys: Path, tmp_path: Path) -> None:
    done = acqplan("benchmark", "--rig", toys, *SMALL, "--out", tmp_path / "new", "--json")
    assert done.code == 0
    document = json.loads(done.out)
    kept = json.loads((tmp_path / "new" / "validation.json").read_text())
    assert {key: document[key] for key in kept} == kept
    assert all(Path(file).exists() for file in document["files"])


def test_a_plan_registers_the_design_that_the_later_run_carries(acqplan: Acqplan, toys: Path, tmp_path: Path) -> None:
    out = tmp_path / "new"
    planned = acqplan("benchmark", "--rig", toys, *SMALL, "--out", out, "--plan-only")
    assert planned.code == 0
    assert set(contents(out)) == {"design.json"}
    digest = json.loads((out / "design.json").read_text())["digest"]
    assert planned.out.strip() == f"design {digest}"
    as_json = acqplan("benchmark", "--rig", toys, *SMALL, "--out", out, "--plan-only", "--json")
    assert json.loads(as_json.out) == json.loads((out / "design.json").read_text())
    assert acqplan("benchmark", "--rig", toys, *SMALL, "--out", out).code == 0
    assert json.loads((out / "validation.json").read_text())["design"] == digest


def test_results_of_another_design_are_refused_with_both_digests(acqplan: Acqplan, toys: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    other = (*SMALL[:-1], "3")
    acqplan("benchmark", "--rig", toys, *SMALL, "--out", ours, "--plan-only")
    acqplan("benchmark", "--rig", toys, *other, "--out", theirs, "--plan-only")
    with untouched(ours):
        done = acqplan("benchmark", "--rig", toys, *other, "--out", ours)
    message = complaint(done, 3)
    for folder in (ours, theirs):
        assert json.loads((folder / "design.json").read_text())["digest"][:16] in message


REFUSED = {
    "no seeds": (("--seeds", "0"), "--seeds 0 cannot be", "give at least 1"),
    "no workers": (("--workers", "0"), "--workers 0 cannot be", "give at least 1"),
    "a budget in letters": (("--budgets", "5,x"), "budget 'x' is not a whole number", "give numbers"),
    "a budget too large": (("--budgets", "10,500"), "a budget of 500 images, where 5 objects", "give at most 120"),
    "a budget too small": (("--budgets", "3"), "a budget of 3 images for 5 objects", "give at least 5"),
    "a strategy of nobody": (("--strategies", "latice,even"), "no strategy is called 'latice'", "'lattice'?"),
    "one strategy": (("--strategies", "lattice"), "strategies lattice", "give two or more"),
    "one strategy twice": (("--strategies", "even,even"), "strategies even, even", "each once"),
    "no copy": (("--strategies", "even,even#x"), "'even#x' names no copy of 'even'", "write even#2"),
    "a baseline that is absent": (("--baseline", "sobol"), "'sobol' is not among the strategies", ""),
    "a primary budget that is absent": (("--primary-budget", "15"), "15 is not among the budgets", "known: 10, 20"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_written(
    case: str, acqplan: Acqplan, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, said, advice = REFUSED[case]
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "unused"))
    message = complaint(acqplan("benchmark", "--rig", toys, "--out", tmp_path / "new", *SMALL, *options), 2)
    assert said in message
    assert advice in message
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "unused").exists()


def test_a_live_rig_is_refused(acqplan: Acqplan, live: Path, tmp_path: Path) -> None:
    done = acqplan("benchmark", "--rig", live, "--out", tmp_path / "new", *SMALL)
    assert "a live rig cannot be benchmarked: its images do not exist" in complaint(done, 2)
    assert not (tmp_path / "new").exists()


def test_a_cluster_that_does_not_answer_is_missing(
    acqplan: Acqplan, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acqplan.features.devices.PATIENCE_SECONDS", 0.5)
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "unused"))
    done = acqplan("benchmark", "--rig", toys, "--out", tmp_path / "new", *SMALL, "--dask", "tcp://127.0.0.1:1")
    assert done.code == 4
    assert "no dask scheduler answers at 'tcp://127.0.0.1:1'" in done.err
    assert not (tmp_path / "new").exists()
    assert not list(tmp_path.rglob("*.features"))


FAILURES = {
    "Twice": "chose a shot twice",
    "TooFew": "chose 9 of 10 shots",
    "Unknown": "chose a row outside 0..119",
    "NoNumber": "gave a gain that is not a number",
    "Raises": "ZeroDivisionError: division by zero",
}


def test_strategies_that_fail_are_named_and_the_others_go_on(acqplan: Acqplan, toys: Path, tmp_path: Path) -> None:
    names = ",".join(("lattice", "random-shots", *(f"{BROKEN}:{rule}" for rule in FAILURES)))
    out = tmp_path / "new"
    done = acqplan("benchmark", "--rig", toys, *SMALL, "--strategies", names, "--out", out, "--json")
    assert done.code == 1
    assert f"40 cells failed, the first {BROKEN}:Twice at 10 images, seed 0" in done.err
    document, page = json.loads(done.out), (out / "report.html").read_text()
    assert {cell["strategy"] for cell in document["failed"]} == {f"{BROKEN}:{rule}" for rule in FAILURES}
    for rule, reason in FAILURES.items():
        reasons = {cell["reason"] for cell in document["failed"] if cell["strategy"] == f"{BROKEN}:{rule}"}
        assert any(reason in told for told in reasons), reasons
        assert rule in page
    assert [verdict["b"] for verdict in document["verdicts"]] == ["random-shots"]
    assert f"{BROKEN}:Twice" in (out / "results.csv").read_text()


def test_the_example_of_ones_own_strategy_runs_where_it_lies(shared_cache: Path, toys: Path, tmp_path: Path) -> None:
    """From the real console script, in the folder of the example."""
    small = (*SMALL, "--strategies", "own_strategy:Poles,random-shots")
    environment = {**os.environ, "ACQPLAN_CACHE": str(shared_cache)}
    done = subprocess.run(
        [Path(sys.executable).with_name("acqplan"), "benchmark", "--rig", toys, *small, "--out", tmp_path / "new"],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "own_strategy:Poles" in (tmp_path / "new" / "results.csv").read_text()


def test_the_example_is_as_short_as_promised_and_keeps_the_contract() -> None:
    lines = (EXAMPLES / "own_strategy.py").read_text().partition("class Poles")[2].splitlines()
    assert len([line for line in lines if line.strip()]) <= 15


def test_a_strategy_is_found_by_the_name_of_its_entry_point(
    acqplan: Acqplan, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "site"
    about = place / "own_strategy-1.0.dist-info"
    about.mkdir(parents=True)
    written(place / "own_strategy_of_entry_point.py", (EXAMPLES / "own_strategy.py").read_text())
    written(about / "METADATA", "Metadata-Version: 2.1\nName: own-strategy\nVersion: 1.0\n")
    written(about / "entry_points.txt", "[acqplan.strategies]\npoles = own_strategy_of_entry_point:Poles\n")
    monkeypatch.syspath_prepend(place)
    options = (*SMALL, "--strategies", "poles,random-shots")
    done = acqplan("benchmark", "--rig", toys, *options, "--out", tmp_path / "new", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["verdicts"][0]["a"] == "poles"
    mistyped = acqplan("benchmark", "--rig", toys, *SMALL, "--strategies", "poless,even", "--out", tmp_path / "new")
    assert "did you mean 'poles'?" in complaint(mistyped, 2)
