"""Planning and advice beside the server: in time, without anybody waiting, and never a reason to end."""

import os
import signal
from pathlib import Path

from acqplan.service.planner import Planner
from tests.service.serving import Served, made, png, serving, until

SECONDS = 90.0
LEARNS = {"strategy": "benchmarks.ideas:Difficulty", "backbone": "histogram"}


def kinds(served: Served) -> list[str]:
    return [event.kind for event in served.campaign.events()]


def background(served: Served) -> dict[str, object]:
    found: dict[str, object] = served.request("GET", "/status").document["background"]
    return found


def test_plans_and_advice_come_by_themselves_and_when_asked_for(tmp_path: Path) -> None:
    planner = Planner(tmp_path / "rig.db")
    with serving(made(tmp_path, budget=40, **LEARNS), planner=planner) as served:
        for number, shot in enumerate(served.ask(20)):
            served.tell(shot, png(number))
        until(lambda: kinds(served).count("replanned") == 2 and "advised" in kinds(served), SECONDS)
        assert served.request("GET", "/status").document["advice"]["sentences"]
        for path, kind in (("/plan", "replanned"), ("/advise", "advised")):
            before = kinds(served).count(kind)
            asked = served.request("POST", path)
            assert (asked.status, asked.document) == (202, {"outcome": "asked"})
            until(lambda: kinds(served).count(kind) == before + 1, SECONDS)  # noqa: B023 - called at once
        until(lambda: background(served) == {"on": True, "doing": "", "failed": None}, SECONDS)
        assert served.ask(3)


def test_what_cannot_be_planned_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    lost = str(tmp_path / "nowhere.safetensors")
    campaign = made(tmp_path, budget=40, strategy="benchmarks.ideas:Difficulty", backbone="mobilenet_v2", weights=lost)
    with serving(campaign, planner=Planner(tmp_path / "rig.db")) as served:
        for number, shot in enumerate(served.ask(20)):
            served.tell(shot, png(number))
        until(lambda: background(served)["failed"] is not None, SECONDS)
        assert "nowhere.safetensors" in str(background(served)["failed"])
        assert len(served.ask(3)) == 3


def test_a_planner_that_was_killed_is_told_and_nobody_waits(tmp_path: Path) -> None:
    planner = Planner(tmp_path / "rig.db")
    with serving(made(tmp_path), planner=planner) as served:
        until(lambda: planner._process is not None and planner._process.pid)
        assert planner._process is not None
        os.kill(planner._process.pid or 0, signal.SIGKILL)
        until(lambda: "exit code -9" in str(background(served)["failed"]), SECONDS)
        assert served.request("POST", "/plan").status == 409
        assert served.ask(1)
