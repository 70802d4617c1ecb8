"""What a person sees at a Python prompt: results are told apart in a line, whatever they hold."""

import re
from pathlib import Path

import numpy as np
import pytest

from acqplan import Choice, History, open_rig, recommend
from acqplan.evaluate.benchmark import benchmark
from acqplan.evaluate.compare import compare
from tests.cli.conftest import LIVE, TOYS, manifest, written

LONGEST = 1000


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "cache"))


def test_what_the_package_returns_is_shown_in_a_few_words(tmp_path: Path) -> None:
    rig = open_rig(str(written(tmp_path / "toys.toml", TOYS.replace("instances = 2", "instances = 4"))))
    result = recommend(rig, 120, backbone="histogram")
    rows = ["image,label,object,predicted", *(f"{n}.png,car,car-{n % 9},car" for n in range(900))]
    table = written(tmp_path / "a.csv", "\n".join(rows) + "\n")
    small = open_rig(written(tmp_path / "small.toml", TOYS))
    findings = benchmark(
        small, tmp_path / "out", strategies=("even", "lattice"), budgets=(40,), seeds=2, backbone="histogram", workers=1
    )
    shots = rig.source.shots()
    features = np.zeros((len(shots), 9), dtype=np.float32)
    choice = Choice(rows=np.arange(99), gain=np.zeros(99), reason=("drawn by lot",) * 99)
    shown = [
        *(rig, result, result.plan, result.candidates, result.validation, result.advice, findings, findings.results),
        *(shots, shots.space, shots.objects, History(shots=shots, features=features), choice, compare(table, table)),
    ]
    for thing in shown:
        text = repr(thing)
        assert type(thing).__name__ in text
        assert len(text) <= LONGEST, text
    assert repr(result.plan.shots) == "Shots(120 of 10 objects)"
    assert repr(result) == f"Recommendation({result.headline.sentence})"
    assert "strategy='auto', seed=0, budget=120" in repr(result.plan)
    assert "answer=" in repr(result.advice)


def test_a_notebook_shows_the_headline_the_cards_and_the_dial(tmp_path: Path) -> None:
    result = recommend(written(tmp_path / "live.toml", LIVE), 8)
    shown = result._repr_html_()
    assert result.headline.finding in shown
    assert "<svg" in shown
    assert "<script" not in shown
    assert ":root" not in shown, "the notebook keeps its own colours"
    assert all(selector.strip().startswith(".acqplan") for selector in re.findall(r"^([^<{\n]*?)\{", shown, re.M))
    rows = result.table()
    assert [row["object"] for row in rows] == result.plan.shots.names
    assert list(rows[0]) == result.plan.to_csv().splitlines()[0].split(",")


def test_paths_may_be_text_everywhere(tmp_path: Path) -> None:
    rig = str(written(tmp_path / "toys.toml", TOYS))
    captured = manifest(tmp_path, "captured.csv", ["car-00"], range(0, 360, 60))
    lines = captured.read_text().splitlines()
    captured.write_text("\n".join([f"{lines[0]},elevation,lighting", *(f"{line},30,L0" for line in lines[1:])]) + "\n")
    of_text = recommend(rig, 40, captured=str(captured), backbone="histogram", validate=False)
    of_path = recommend(Path(rig), 40, captured=captured, backbone="histogram", validate=False)
    assert of_text.plan.to_csv() == of_path.plan.to_csv()
