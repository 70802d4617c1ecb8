"""Options that cannot be: each told in one message, before any work, and nothing is written."""

from inspect import signature
from pathlib import Path

import pytest

from acqplan.cli.evaluate import recommend
from acqplan.evaluate.task import TEST_VIEWS
from tests.cli.conftest import QUICK, Acqplan, complaint, contents, untouched, written

BUDGETS = {
    0: "a budget of 0 images for 10 objects\n  give at least 10",
    -3: "a budget of -3 images for 10 objects\n  give at least 10",
    9: "a budget of 9 images for 10 objects\n  give at least 10",
    241: "a budget of 241 images, where 10 objects can be shot 240 times\n  give at most 240",
}


@pytest.mark.parametrize("budget", BUDGETS)
def test_a_budget_that_cannot_be_is_refused_before_anything_is_rendered(
    budget: int, acqplan: Acqplan, toys: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "unused"))
    with untouched(out):
        done = acqplan("recommend", "--rig", toys, "--budget", budget, "--out", out, *QUICK)
    assert complaint(done, 2).strip() == BUDGETS[budget]
    assert not (tmp_path / "unused").exists()


def test_a_budget_beyond_what_a_validation_leaves_is_told_of_the_plan_without(
    acqplan: Acqplan, toys: Path, out: Path
) -> None:
    done = acqplan("recommend", "--rig", toys, "--budget", 121, "--out", out, *QUICK[:2])
    said = "a budget of 121 images, where 5 objects can be shot 120 times give at most 120, or plan without validation"
    message = " ".join(complaint(done, 2).split())
    assert message.startswith(said)
    assert "(--no-validate), which keeps nothing aside" in message


@pytest.mark.parametrize("views", [1, 0, -4])
def test_too_few_test_views_are_refused(views: int, acqplan: Acqplan, toys: Path, out: Path) -> None:
    with untouched(out):
        done = acqplan("recommend", "--rig", toys, "--budget", 20, "--out", out, "--test-views", views)
    assert (
        complaint(done, 2).strip()
        == f"{views} {'shot' if views == 1 else 'shots'} to judge each test object by\n  give at least 2"
    )


def test_the_command_judges_by_as_many_shots_as_the_library() -> None:
    assert signature(recommend).parameters["test_views"].default == str(TEST_VIEWS)


@pytest.mark.parametrize("budget", ["ten", "2.5", "1e3", ""])
def test_a_budget_that_is_no_whole_number_is_repeated(budget: str, acqplan: Acqplan, toys: Path, out: Path) -> None:
    with untouched(out):
        done = acqplan("recommend", "--rig", toys, "--budget", budget, "--out", out)
    assert (done.code, done.out) == (2, "")
    assert "--budget" in done.err
    assert f"'{budget}' is not a whole number" in done.err


NAMES = {
    "strategy": ("--strategy", "latice", "no strategy is called 'latice'", "did you mean 'lattice'?"),
    "strategy of nobody": ("--strategy", "nowhere:Rule", "No module named 'nowhere'", "its module must be found"),
    "backbone": ("--backbone", "resnet81", "no backbone is called 'resnet81'", "did you mean 'resnet18'?"),
    "layer": ("--backbone", "vgg16:fc16", "vgg16 has no layer 'fc16'", "did you mean 'fc6'?"),
    "layer of toynet": ("--backbone", "toynet:pol", "toynet has no layer 'pol'", "did you mean 'pool'?"),
}


@pytest.mark.parametrize("case", NAMES)
def test_an_unknown_name_is_told_with_the_nearest(case: str, acqplan: Acqplan, toys: Path, out: Path) -> None:
    option, name, said, advice = NAMES[case]
    with untouched(out):
        done = acqplan("recommend", "--rig", toys, "--budget", 20, "--out", out, option, name)
    message = complaint(done, 2)
    assert said in message
    assert advice in message


def test_a_device_that_is_not_there_is_missing(acqplan: Acqplan, toys: Path, out: Path) -> None:
    with untouched(out):
        done = acqplan("recommend", "--rig", toys, "--budget", 20, "--out", out, "--device", "abacus")
    assert "device 'abacus' is not available\n  found:" in complaint(done, 4)


def test_a_cluster_that_does_not_answer_is_missing(
    acqplan: Acqplan, toys: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acqplan.features.devices.PATIENCE_SECONDS", 0.5)
    uncached = (*QUICK, "--seed", 77)
    done = acqplan(
        "recommend", "--rig", toys, "--budget", 20, "--out", out, "--dask", "tcp://127.0.0.1:1", *QUICK, *uncached
    )
    assert done.code == 4
    assert f"the plan is kept in {out}, without what it gains" in done.err
    assert len((out / "plan.csv").read_text().splitlines()) == 21
    assert "no dask scheduler answers at 'tcp://127.0.0.1:1'" in done.err
    assert "start one by `dask scheduler`, or correct it" in done.err


def test_weights_that_cannot_be_downloaded_are_named_with_size_source_and_place(
    acqplan: Acqplan, photographs: Path, out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with untouched(out):
        done = acqplan(
            "recommend", "--rig", photographs, "--budget", 4, "--out", out, "--backbone", "resnet18", "--json"
        )
    message = complaint(done, 4)
    assert "resnet18-f37072fd.pth (45 MB) is not here and cannot be downloaded" in message
    assert "get it from https://download.pytorch.org/models/resnet18-f37072fd.pth" in message
    assert f"put it at {tmp_path / 'torch/hub/checkpoints/resnet18-f37072fd.pth'}" in message
    assert contents(tmp_path / "torch") == {}


def test_an_output_folder_below_a_file_is_refused_before_any_work(acqplan: Acqplan, tmp_path: Path) -> None:
    file = written(tmp_path / "file", "")
    for out in (file, file / "deeper" / "still"):
        done = acqplan("recommend", "--rig", tmp_path / "no such rig", "--budget", 20, "--out", out)
        assert complaint(done, 2).strip() == f"{out}: cannot be a folder, as {file} is a file\n  choose another place"


def test_an_output_folder_that_cannot_be_made_is_refused(acqplan: Acqplan, toys: Path) -> None:
    if not Path("/proc/self").exists():
        pytest.skip("there is no /proc, the one place where even root cannot make a folder")
    done = acqplan("recommend", "--rig", toys, "--budget", 20, "--out", "/proc/acqplan/out")
    assert "/proc/acqplan/out: cannot be written" in complaint(done, 2)


def test_a_folder_in_the_place_of_a_file_is_told_and_nothing_is_moved(acqplan: Acqplan, live: Path, out: Path) -> None:
    (out / "report.html").unlink()
    (out / "report.html").mkdir()
    with untouched(out):
        done = acqplan("recommend", "--rig", live, "--budget", 8, "--out", out)
    assert f"{out / 'report.html'}: a folder is where a file shall be written" in complaint(done, 2)


def test_a_failed_run_leaves_no_new_folder(acqplan: Acqplan, toys: Path, tmp_path: Path) -> None:
    done = acqplan("recommend", "--rig", toys, "--budget", 0, "--out", tmp_path / "new" / "deep", *QUICK)
    assert done.code == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["recomend"], "recommend"),
        (["recommend"], "--budget"),
        (["recommend", "--budgte", "3"], "--budget"),
        (["compare", "a.csv"], "B.csv"),
        (["doctor", "--jso"], "--json"),
    ],
)
def test_wrong_use_is_told(arguments: list[str], said: str, acqplan: Acqplan) -> None:
    done = acqplan(*arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


OUTLAYS = {
    "--money 30": "30 of money, without costs",
    "--more 5 --time 1h": "images and time to be spent",
    "--more 0": "nothing to be spent",
    "--more 5 --image-cost 1": "costs in money beside images",
    "--money 30 --image-cost -1": "an image at -1",
    "--worth much": "--worth 'much' cannot be read",
}


@pytest.mark.parametrize("asked", OUTLAYS)
def test_an_outlay_that_cannot_be_meant_is_refused(
    asked: str, acqplan: Acqplan, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACQPLAN_CACHE", str(tmp_path / "unused"))
    done = acqplan("advise", "--rig", toys, "--budget", 40, "--backbone", "histogram", *asked.split())
    assert OUTLAYS[asked] in complaint(done, 2)
    assert not (tmp_path / "unused").exists()
