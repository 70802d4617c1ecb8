"""Each command has a twin of the same name in the library, which takes a rig or the path of its rig.toml."""

from pathlib import Path

import pytest

from acqplan.errors import UsageError
from acqplan.evaluate.benchmark import benchmark, prepare
from acqplan.evaluate.compare import compare
from acqplan.evaluate.recommend import advise, recommend
from acqplan.rig.spec import open_rig
from tests.cli.conftest import TOYS, written


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "cache"))
    return written(tmp_path / "rig.toml", TOYS)


def test_a_benchmark_takes_a_path_and_a_number_of_seeds(toys: Path, tmp_path: Path) -> None:
    few = {"strategies": ("lattice", "random-shots"), "budgets": (10,), "backbone": "histogram"}
    findings = benchmark(toys, tmp_path / "out", seeds=2, splits=1, workers=1, **few)  # type: ignore[arg-type]
    prepared = prepare(open_rig(toys), seeds=range(2), n_splits=1, **few)  # type: ignore[arg-type]
    assert findings.results.design == prepared.design
    assert [verdict.b for verdict in findings.verdicts] == ["random-shots"]
    assert findings.validation.verdicts == findings.verdicts
    assert (tmp_path / "out" / "design.json").exists()
    again = prepared.run(tmp_path / "out", workers=1)
    assert again.to_dict() == findings.to_dict()


def test_a_recommendation_and_advice_take_a_path(toys: Path) -> None:
    of_path, of_rig = (recommend(rig, 20, backbone="histogram", validate=False) for rig in (str(toys), open_rig(toys)))
    assert of_path.plan.to_csv() == of_rig.plan.to_csv()
    few = {"budget": 20, "backbone": "histogram", "accuracies": ()}
    assert advise(toys, **few) == advise(open_rig(toys), **few)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no captured images to advise from"):
        advise(toys)


def test_a_comparison_takes_paths_as_text(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "image,object,label,predicted\n1,o,x,x\n2,p,y,x\n")
    assert compare(str(path), path).verdict == "no difference found"
