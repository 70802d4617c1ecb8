"""The names that people import; each command has a twin of the same name, options and defaults."""

import inspect
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

import acqplan
from acqplan.cli.commands import app

COMMANDS = get_command(app).commands  # type: ignore[attr-defined]
# What is an option at a shell, and what it is called in Python; None for what only a shell needs.
NAMES: dict[str, str | None] = {
    "as_json": None,
    "verbose": None,
    "plan_only": None,
    "store": None,
    "device": "runtime",
    "precision": "runtime",
    "transfer": None,  # acqplan.study.transfer_advice.advise_transfer
    "fine_tune": None,
    "no_validate": "validate",
    "no_swap": "swap",
    "accuracy": "accuracies",
    "manifest": "captured",
}


def twin(name: str, option: str) -> str | None:
    if option == "dask" and name == "recommend":
        return "runtime"
    if name == "advise" and option in ("more", "hours", "money", "image_cost", "object_cost"):
        return "outlay"
    if option in ("out", "poses") and name in ("recommend", "plan_test"):
        return None  # result.save(folder), result.save_poses(file)
    return NAMES.get(option, option)


@pytest.mark.parametrize("name", acqplan.__all__)
def test_every_public_name_is_there_and_described(name: str) -> None:
    assert inspect.getdoc(getattr(acqplan, name)), name
    assert name in dir(acqplan)


@pytest.mark.parametrize("name", ["recommend", "benchmark", "advise", "plan_test", "compare", "convert"])
def test_a_command_has_a_twin_with_its_options(name: str) -> None:
    parameters = inspect.signature(getattr(acqplan, name)).parameters
    wanted = {
        twin(name, option.name) for option in COMMANDS[name.replace("_", "-")].params if option.name != "help"
    } - {None}
    assert wanted <= set(parameters)


@pytest.mark.parametrize("name", ["recommend", "benchmark", "advise"])
def test_a_twin_has_the_defaults_of_its_command(name: str) -> None:
    parameters = inspect.signature(getattr(acqplan, name)).parameters
    defaults: dict[str, Any] = {option.name: option.default for option in COMMANDS[name].params}
    for option in ("budget", "time_budget", "strategy", "seed", "captured", "primary", "baseline", "seeds", "splits"):
        if option in defaults and option in parameters:
            # A seed that is not given is 0; a campaign has one of its own.
            assert (defaults[option] or 0) == (parameters[option].default or 0), option


def test_a_result_saves_itself(tmp_path: Path) -> None:
    result = acqplan.recommend(acqplan.open_rig(str(live(tmp_path))), 6)
    written = result.save(str(tmp_path / "out"))
    assert {path.name for path in written} >= {"plan.csv", "plan.json", "report.html"}
    assert all(path.exists() for path in written)


def live(folder: Path) -> Path:
    path = folder / "rig.toml"
    axis = '[[axis]]\nname = "azimuth"\nkind = "circle"\nvalues = "0:300:60"\n'
    path.write_text(f'source = "live"\n{axis}[objects.labels]\ncup = ["cup-0", "cup-1"]\n', encoding="utf-8")
    return path


def test_commands_are_those_of_readme() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    assert all(f"`acqplan {name}" in readme for name in COMMANDS)
    assert isinstance(app, typer.Typer)
