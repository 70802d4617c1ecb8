"""A campaign over HTTP: what rigs, operators and observers do."""

import http.client
import io
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from PIL import Image

from acqplan import Campaign, open_rig
from acqplan.campaign.events import Fold
from acqplan.service import views
from tests.service.serving import Served, made, png, serving, until

ODD = [
    "a/b\\c",
    "../../etc/passwd",
    "<img src=x onerror=alert(1)>",
    "nut 2?&#%25",
    "line\u2028break",
    "Größe·😀",
    "-rf",
    "x/image",
]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(made(tmp_path), heartbeat_seconds=0.5, poll_seconds=0.1) as one:
        yield one


def assert_fold_is_state(campaign: Campaign) -> None:
    fold = Fold.replay(campaign.settings, campaign.events())
    with campaign.store.reading() as ledger:
        assert fold.state == ledger.state
        assert {one.shot: one for one in ledger.every()} == {one.shot: one for one in fold.records.every()}


def test_a_rig_spends_exactly_the_budget(served: Served) -> None:
    taken = 0
    while shots := served.ask(6):
        for shot in shots:
            assert served.tell(shot, png(taken), "?azimuth=40.3").document == {"outcome": "captured"}
            taken += 1
    assert taken == 20
    over = served.request("POST", "/ask", {"n": 3})
    assert (over.status, over.document) == (200, {"shots": [], "finished": "the budget of 20 images is spent"})
    status = served.request("GET", "/status").document
    assert (status["captured"], status["remaining"], status["background"]["on"]) == (20, 0, False)
    assert_fold_is_state(served.campaign)


def test_a_shot_says_what_to_do_and_is_leased_to_who_asked(served: Served) -> None:
    (shot,) = served.request("POST", "/ask", {"n": 1, "caller": "arm-1"}).document["shots"]
    times, words = {"expires", "expires_at", "round"}, {"reason", "say", "steps"}
    assert set(shot) == {"id", "object", "label", "view", *times, *words}
    assert set(shot["view"]) == {"azimuth", "elevation", "lighting"}
    assert shot["say"].startswith(
        f"Put {shot['object']} on the table, turn it to {shot['view']['azimuth']:g}°, camera at "
    )
    assert [step["of"] for step in shot["steps"]] == ["object", *shot["view"]]
    path = f"/shots/{quote(shot['id'])}/release"
    assert served.request("POST", path, {}).document == {"outcome": "unchanged"}
    assert served.request("POST", path).document == {"outcome": "unchanged"}
    assert served.request("POST", path, {"caller": "arm-1"}).document == {"outcome": "released"}


def test_a_caller_that_resumes_gets_what_it_holds(served: Served) -> None:
    def held(caller: str, n: int) -> list[str]:
        body = {"n": n, "caller": caller, "resume": True}
        return [shot["id"] for shot in served.request("POST", "/ask", body).document["shots"]]

    first = held("telephone-1", 2)
    assert held("telephone-1", 2) == first  # an answer was lost, or a page loaded again
    assert held("telephone-1", 1) == first[:1]
    assert len(held("telephone-1", 3)) == 3
    assert not {*held("telephone-2", 2)} & {*held("telephone-1", 3)}
    served.tell(first[0], png(1))
    assert held("telephone-1", 1) == first[1:]


def test_the_nearest_capture_of_an_object_is_known(served: Served) -> None:
    shots = served.request("POST", "/ask", {"n": 20}).document["shots"]
    same = [shot for shot in shots if shot["object"] == shots[0]["object"]]
    path = f"/shots/{quote(same[0]['id'])}/nearest"
    assert served.request("GET", path).document == {"shot": None, "say": ""}
    for number, shot in enumerate(same[1:]):
        served.tell(shot["id"], png(number))
    found = served.request("GET", path).document["shot"]

    def away(shot: dict[str, Any]) -> float:
        a, b = shot["view"], same[0]["view"]
        turn = abs(a["azimuth"] - b["azimuth"])
        tilt = (a["elevation"] - b["elevation"]) / 30
        return float((min(turn, 360 - turn) / 30) ** 2 + tilt**2 + (a["lighting"] != b["lighting"]))

    (chosen,) = (shot for shot in same if shot["id"] == found)
    assert away(chosen) == min(map(away, same[1:]))
    axes = served.request("GET", "/rig").document["axes"]
    assert [axis["kind"] for axis in axes] == ["circle", "interval", "category"]


def test_where_the_rig_went_is_kept(served: Served) -> None:
    (shot,) = served.ask()
    served.tell(shot, png(1), "?azimuth=-0.5&lighting=L1&replace=false")
    with served.campaign.store.reading() as ledger:
        record = ledger.get(shot)
    assert record is not None
    assert (record.reached[0], record.reached[2]) == (359.5, "L1")


def test_failures_are_told(served: Served) -> None:
    first, second = served.ask(2)
    answer = served.request("POST", f"/shots/{first}/fail", {"reason": "unreachable", "retry": False})
    assert answer.document == {"outcome": "rejected"}
    assert served.request("POST", f"/shots/{second}/fail", {"reason": "blurred", "exposed": True}).document == {
        "outcome": "retried"
    }
    status = served.request("GET", "/status").document
    assert status["failures"]["by_reason"] == {"unreachable": 1, "blurred": 1}
    assert (status["failed"], status["rejected"], status["exposures"]) == (2, 1, 1)


def test_operators_do_and_undo(served: Served) -> None:
    forbidden = served.request("POST", "/forbid", {"where": "elevation>65"}).document
    assert (forbidden["kind"], forbidden["body"]) == ("forbidden", {"where": "elevation>65", "shots": 48, "left": 96})
    assert all("_70_" not in shot for shot in served.ask(10))
    assert served.request("POST", "/undo", {"event": forbidden["number"]}).document["kind"] == "allowed"
    assert served.request("POST", "/pause", {"reason": "lunch"}).document["kind"] == "paused"
    assert served.request("POST", "/ask", {"n": 1}).document == {"shots": [], "finished": ""}
    assert served.request("POST", "/resume").document["kind"] == "resumed"
    assert served.request("POST", "/stop").document["kind"] == "stopped"
    assert served.request("POST", "/ask", {"n": 1}).document["finished"] == "stopped by an operator"
    assert served.request("POST", "/resume").document["kind"] == "continued"
    assert served.request("POST", "/budget", {"budget": 25, "time_budget": 3600.0}).document["body"]["budget"] == 25
    assert served.request("POST", "/objects", {"object": "car-02", "label": "car"}).document["kind"] == "object added"
    assert served.request("POST", "/objects/remove", {"object": "car-02"}).document["kind"] == "object removed"
    (shot,) = served.ask()
    assert served.request("POST", f"/shots/{shot}/reject", {"reason": "no"}).document["kind"] == "rejected"
    events = served.request("GET", "/events?after=2").document["events"]
    assert [event["number"] for event in events] == list(range(3, 3 + len(events)))
    assert_fold_is_state(served.campaign)


def test_events_come_in_pages_and_plans_without_all_their_shots(served: Served) -> None:
    first = served.request("GET", "/events?limit=1").document["events"]
    second = served.request("GET", "/events?after=1&limit=1").document["events"]
    assert [event["kind"] for event in (*first, *second)] == ["created", "replanned"]
    assert second[0]["body"]["shots"] == 20
    assert served.request("GET", "/events?after=2000000000").document == {"events": []}


def test_images_and_thumbnails_are_served(served: Served) -> None:
    (shot,) = served.ask()
    assert served.request("GET", f"/shots/{shot}/image").status == 404
    content = png(1, size=500)
    served.tell(shot, content)
    whole = served.request("GET", f"/shots/{shot}/image")
    assert (whole.status, whole.headers["content-type"], whole.body) == (200, "image/png", content)
    assert served.request("GET", f"/shots/{shot}/image", If_None_Match=whole.headers["etag"]).status == 304
    small = served.request("GET", f"/shots/{shot}/thumbnail")
    with Image.open(io.BytesIO(small.body)) as image:
        assert (image.format, max(image.size)) == ("JPEG", 200)
    for path in served.campaign.images.root.rglob("*.png"):
        path.unlink()
    lost = served.request("GET", f"/shots/{shot}/image")
    assert lost.status == 404
    assert "cannot be read" in lost.document["error"]


def test_answers_carry_what_keeps_browsers_safe(served: Served) -> None:
    page = served.request("GET", "/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for own in (page, served.request("GET", "/capture")):
        assert b"http" not in own.body.replace(b"http://www.w3.org/2000/svg", b"")
    for path in ("/", "/capture", "/docs", "/status", "/nowhere"):
        answer = served.request("GET", path)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
    assert "sandbox" in served.request("GET", "/status").headers["content-security-policy"]
    assert served.request("HEAD", "/").status == 200
    assert b"/shots/{shot}/image" in served.request("GET", "/docs").body


def test_names_of_objects_may_be_anything(tmp_path: Path) -> None:
    names = ", ".join(json.dumps(name, ensure_ascii=False) for name in ODD)
    axis = '[[axis]]\nname = "height"\nkind = "interval"\nvalues = [0, 50]\n'
    (tmp_path / "rig.toml").write_text(f'source = "live"\n{axis}[objects.labels]\nodd = [{names}]\n', encoding="utf-8")
    campaign = Campaign.create(open_rig(tmp_path / "rig.toml"), budget=16, path=tmp_path / "odd.db")
    with serving(campaign) as served:
        shots = served.ask(16)
        assert len(shots) == 16
        for number, shot in enumerate(shots):
            assert served.tell(shot, png(number)).document["outcome"] == "captured"
            assert served.request("GET", f"/shots/{quote(shot, safe='')}/image").body == png(number)
            assert served.request("GET", f"/shots/{quote(shot, safe='')}/thumbnail").status == 200
        root = campaign.images.root.resolve()
        files = [path for path in tmp_path.rglob("*.png") if path.is_file()]
        assert len(files) == 16
        assert all(path.resolve().parent.parent == root for path in files)
        assert {name for name, _ in served.request("GET", "/plan").document["objects"]} == set(ODD)


def test_many_clients_at_once_get_no_shot_twice(tmp_path: Path) -> None:
    with serving(made(tmp_path, budget=120)) as served:

        def rig(number: int) -> list[str]:
            taken: list[str] = []
            while shots := served.ask(3):
                for shot in shots:
                    assert served.tell(shot, png(1000 * number + len(taken))).document == {"outcome": "captured"}
                    assert served.request("GET", "/status").status == 200
                    taken.append(shot)
            return taken

        with ThreadPoolExecutor(12) as crew:
            taken = [shot for shots in crew.map(rig, range(12)) for shot in shots]
        assert len(taken) == len(set(taken)) == 120
        assert_fold_is_state(served.campaign)


class Listener:
    """Hears events on a stream."""

    def __init__(self, served: Served, path: str = "/stream", **headers: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=10)
        self._connection.request("GET", path, headers={name.replace("_", "-"): one for name, one in headers.items()})
        self._answer = self._connection.getresponse()
        assert self._answer.headers["content-type"].startswith("text/event-stream")
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()
        until(lambda: self.lines)

    def _listen(self) -> None:
        with self._connection.sock, self._answer, suppress(OSError, http.client.IncompleteRead):
            while line := self._answer.readline():
                self.lines.append(line.decode())

    @property
    def events(self) -> list[dict[str, object]]:
        return [json.loads(line[6:]) for line in list(self.lines) if line.startswith("data: ")]

    def close(self) -> None:
        with suppress(OSError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        assert self.has_ended()

    def has_ended(self) -> bool:
        return not self._thread.is_alive()


Listen = Callable[..., Listener]


@pytest.fixture
def listen() -> Iterator[Listen]:
    with ExitStack() as all_of_them:
        yield lambda *what, **headers: all_of_them.enter_context(closing(Listener(*what, **headers)))


def test_a_stream_tells_of_what_other_processes_do(served: Served, listen: Listen, tmp_path: Path) -> None:
    listener = listen(served)
    with Campaign.open(tmp_path / "rig.db") as other:
        (shot,) = other.ask()
        other.tell(shot, png(1))
    until(lambda: len(listener.events) == 3)
    assert [event["kind"] for event in listener.events] == ["asked", "leased", "told"]
    until(lambda: ": still here\n" in listener.lines)


@pytest.mark.parametrize("kept", [views.KEPT, 3])
def test_a_broken_stream_goes_on_where_it_ended(
    kept: int, listen: Listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "PAGE", 7)
    monkeypatch.setattr(views, "KEPT", kept)
    with serving(made(tmp_path), poll_seconds=0.1) as served:
        served.ask(15)
        numbers = [event.number for event in served.campaign.events()]
        early, late = listen(served, "/stream?after=0"), listen(served, Last_Event_ID="5")
        until(lambda: len(early.events) == len(numbers) and len(late.events) == len(numbers) - 5)
        served.request("POST", "/pause")
        until(lambda: late.events[-1]["kind"] == early.events[-1]["kind"] == "paused")
        assert [event["number"] for event in early.events] == [*numbers, numbers[-1] + 1]
        assert [event["number"] for event in late.events] == [*numbers[5:], numbers[-1] + 1]
        early.close()
        late.close()
        served.request("POST", "/resume")
        again = listen(served, f"/stream?after={numbers[-1]}")
        until(lambda: [event["kind"] for event in again.events] == ["paused", "resumed"])


def test_one_look_at_the_store_serves_all_listeners(
    served: Served, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    look = views.read_events

    def counted(*arguments: object) -> object:
        looks.append(time.monotonic())
        return look(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(views, "read_events", counted)
    listeners = [listen(served) for _ in range(20)]
    served.ask(5)
    until(lambda: all(len(one.events) == 6 for one in listeners))
    until(lambda: sum(one.lines.count(": still here\n") for one in listeners) >= 20)
    gaps = [b - a for a, b in itertools.pairwise(looks)]
    assert min(gaps) > 0.05  # of 20 pollers at 0.1 s each, some would follow at once


def test_the_end_is_prompt_with_streams_open(listen: Listen, tmp_path: Path) -> None:
    with serving(made(tmp_path)) as served:
        listeners = [listen(served) for _ in range(5)]
        began = time.monotonic()
    assert time.monotonic() - began < 2.5
    assert all(one.has_ended() for one in listeners)


def test_an_answer_to_a_lease_that_has_ended_is_no_error(tmp_path: Path) -> None:
    with serving(made(tmp_path, lease_seconds=0.05)) as served:
        slow = served.request("POST", "/ask", {"caller": "slow", "n": 2}).document["shots"]
        time.sleep(0.1)
        quick = served.request("POST", "/ask", {"caller": "quick", "n": 2}).document["shots"]
        first, second = (shot["id"] for shot in slow)
        assert {shot["id"] for shot in quick} == {first, second}
        outcomes = [served.tell(first, png(number)).document["outcome"] for number in (0, 1, 1)]
        assert outcomes == ["captured", "surplus", "already"]
        assert served.tell(second, png(2)).status == 200
        late = served.request("POST", f"/shots/{quote(second, safe='')}/fail", {"reason": "arm", "caller": "slow"})
        assert (late.status, late.document) == (200, {"outcome": "unchanged"})
