"""What makes a command quick to type: arguments, short flags, lists, completion, the environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest
import torch
from PIL import Image

from acqplan.features.networks import cut, make_network
from acqplan.features.pixels import parse_input
from acqplan.features.registry import ALIASES, NETWORKS, full_name
from acqplan.plan import MEANINGS, STRATEGIES
from tests.cli.conftest import Acqplan, complaint


@pytest.fixture
def store(tmp_path: Path, live: Path, acqplan: Acqplan, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "robot.db"
    assert acqplan("campaign", "create", "-r", live, "-s", path, "-b", 3).code == 0
    monkeypatch.setenv("ACQPLAN_STORE", str(path))
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red.png")
    return tmp_path / "red.png"


def test_a_campaign_of_the_environment_is_told_in_one_short_line(store: Path, picture: Path, acqplan: Acqplan) -> None:
    taken, failed, kept = json.loads(acqplan("campaign", "ask", "-n", 3).out)["shots"]
    assert datetime.fromisoformat(taken["expires_at"]).timestamp() == pytest.approx(taken["expires"], abs=1.0)
    told = acqplan("campaign", "tell", taken["id"], picture)
    assert json.loads(told.out) == {"shot": taken["id"], "outcome": "captured"}
    assert acqplan("campaign", "fail", failed["id"], "--reason", "too high").code == 0
    assert json.loads(acqplan("campaign", "release", kept["id"]).out)["released"] == 1
    # what is held comes first, so that a lost answer costs no shot
    first = json.loads(acqplan("campaign", "ask").out)["shots"]
    assert json.loads(acqplan("campaign", "ask", "--resume").out)["shots"][0]["id"] == first[0]["id"]
    # the option wins over the environment
    assert acqplan("campaign", "status", "-s", store.with_name("other.db")).code != 0


def test_what_is_given_twice_or_not_at_all_is_said(store: Path, picture: Path, acqplan: Acqplan) -> None:
    [shot] = json.loads(acqplan("campaign", "ask").out)["shots"]
    twice = acqplan("campaign", "tell", shot["id"], picture, "--shot", shot["id"])
    assert "the shot is given as an argument and as an option" in complaint(twice, 2)
    assert "the image is missing" in complaint(acqplan("campaign", "tell", shot["id"]), 2)
    assert "the shot is missing" in complaint(acqplan("campaign", "release"), 2)


def test_strategies_are_listed_with_what_they_do(acqplan: Acqplan) -> None:
    assert MEANINGS.keys() == STRATEGIES.keys()
    assert json.loads(acqplan("strategies", "--json").out) == MEANINGS
    shown = acqplan("strategies").out
    assert all(name in shown for name in STRATEGIES)


def test_backbones_are_listed_with_what_they_need(acqplan: Acqplan) -> None:
    found = json.loads(acqplan("backbones", "--json").out)
    assert found["backbones"].keys() == NETWORKS.keys()
    assert found["backbones"]["resnet18"]["layers"][-2:] == ["avgpool", "logits"]
    shown = acqplan("backbones").out
    assert all(name in shown for name in (*NETWORKS, *ALIASES, "553 MB, downloaded", "extra [caffe]"))


@pytest.mark.parametrize("name", NETWORKS)
def test_sizes_of_backbones_are_what_they_are(name: str) -> None:
    network = NETWORKS[name]
    with torch.device("meta"):
        net = make_network(name).eval()
        n_weights = sum(parameter.numel() for parameter in net.parameters())
        cut(net, network.layers[network.default])
        given = parse_input(network.input)
        if name != "histogram":  # which computes with numbers that a meta device has not
            shape = net(torch.zeros(1, given.channels, given.size, given.size)).shape
            assert shape[1] == network.n_features
    assert n_weights == network.n_weights


def test_an_alias_stands_for_a_network_of_timm_and_keeps_the_layer() -> None:
    assert full_name("clip:pool") == f"{ALIASES['clip']}:pool"
    assert full_name("mobilenet_v2") == "mobilenet_v2"
    timm = pytest.importorskip("timm")
    assert all(name.removeprefix("timm/") in timm.list_models(pretrained=True) for name in ALIASES.values())


def test_a_shell_completes_names() -> None:
    asked = {"_ACQPLAN_COMPLETE": "complete_bash", "COMP_WORDS": "acqplan recommend --strategy even", "COMP_CWORD": "3"}
    program = Path(sys.executable).with_name("acqplan")
    done = subprocess.run([program], env=os.environ | asked, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["even", "even-staggered"]


def test_help_says_ranges_and_defaults(acqplan: Acqplan) -> None:
    shown = " ".join(acqplan("campaign", "create", "--help").out.replace("│", " ").split())
    for words in ("[1 or more]", "[default: (10min)]", "[above 0, at most 1]", "[0 or more]", "ACQPLAN_STORE"):
        assert words in shown, words


def test_a_dry_run_of_a_campaign_plans_and_leaves_nothing(tmp_path: Path, live: Path, acqplan: Acqplan) -> None:
    made = acqplan("campaign", "create", "-r", live, "-s", tmp_path / "robot.db", "-b", 3, "--dry-run")
    assert json.loads(made.out) == {"dry_run": True, "budget": 3, "time_budget": None, "queued": 3, "objects": 4}
    assert not list(tmp_path.glob("robot.db*"))
    assert acqplan("campaign", "create", "-r", live, "-s", tmp_path / "robot.db", "-b", 3).code == 0
    again = acqplan("campaign", "create", "-r", live, "-s", tmp_path / "robot.db", "-b", 3, "--dry-run")
    assert "robot.db" in complaint(again, 2)


def test_a_dry_run_plans_as_the_run_does_and_captures_and_writes_nothing(
    tmp_path: Path, toys: Path, acqplan: Acqplan
) -> None:
    out, asked = tmp_path / "out", ("recommend", "-r", toys, "-b", 40, "--backbone", "histogram")
    shown = acqplan(*asked, "--out", out, "--dry-run")
    assert shown.code == 0
    assert shown.out.startswith("Take these 40 images")
    assert (
        shown.err.strip() == f"a dry run: nothing is captured, looked at or written; otherwise the result goes to {out}"
    )
    document = json.loads(acqplan(*asked, "--out", out, "--dry-run", "--json").out)
    assert (document["dry_run"], document["advice"], document["files"]) == (True, None, [])
    assert not out.exists()
    assert acqplan(*asked, "--out", out).code == 0
    planned = json.loads((out / "plan.json").read_text())
    assert document["plan"]["shots"] == planned["shots"]
    refused = acqplan(*asked, "--out", tmp_path / "no", "--dry-run", "--strategy", "variance")
    assert "learns from images" in complaint(refused, 2)
