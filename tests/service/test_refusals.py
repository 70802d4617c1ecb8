"""What clients send that cannot be: refused with the right status, and nothing is written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from acqplan.errors import UsageError
from acqplan.service.refusals import ServiceSettings
from tests.service.serving import Served, made, png, serving

TOKEN = "0123456789abcdef-secret"
MOST = 100_000


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(made(tmp_path), most_upload=MOST, body_seconds=1.0) as one:
        yield one


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Served]:
    with serving(made(tmp_path), host="0.0.0.0", token=TOKEN) as one:
        yield one


@pytest.mark.parametrize("shown", [None, "Bearer ", "Bearer wrong", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN[:-1]])
def test_without_the_token_nothing_is_shown_or_done(guarded: Served, shown: str | None) -> None:
    (shot,) = guarded.ask()
    before = guarded.traces()
    for method, path in (
        ("GET", "/status"),
        ("GET", "/plan"),
        ("GET", "/events"),
        ("GET", "/stream"),
        ("POST", "/ask"),
    ):
        answer = guarded.request(method, path, {"n": 1} if method == "POST" else None, Authorization=shown)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert guarded.request("PUT", f"/shots/{shot}/image", png(1), Authorization=shown).status == 401
    assert guarded.traces() == before
    page = guarded.request("GET", "/", Authorization=shown)
    assert page.status == 200
    assert b"rig.db" not in page.body


def test_with_the_token_everything_is(guarded: Served) -> None:
    (shot,) = guarded.ask()
    assert guarded.tell(shot, png(1)).document == {"outcome": "captured"}
    assert guarded.request("GET", "/status").document["captured"] == 1


@pytest.mark.parametrize("token", ["short", "with a space in it, and long", "ümlaut-ümlaut-ümlaut-ümlaut"])
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused(token: str) -> None:
    with pytest.raises(UsageError, match="a token of"):
        ServiceSettings(token=token)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "lab.example", ""])
def test_other_addresses_need_a_token(host: str) -> None:
    with pytest.raises(UsageError, match="can be reached by others"):
        ServiceSettings(host=host)
    assert not ServiceSettings(host=host, token=TOKEN).is_local


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "::1", "[::1]", "localhost"])
def test_this_machine_needs_none(host: str) -> None:
    assert ServiceSettings(host=host).is_local


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "[", ""])
def test_a_name_that_only_points_here_is_refused(served: Served, host: str) -> None:
    before = served.traces()
    assert served.request("POST", "/ask", {"n": 1}, Host=host).status == 421
    assert served.request("GET", "/status", Host=host).status == 421
    assert served.traces() == before


def test_pages_of_other_sites_can_do_nothing(served: Served) -> None:
    before = served.traces()
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{served.port + 1}"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "navigate"},
    ):
        assert served.request("POST", "/ask", {"n": 1}, **headers).status == 403
    assert served.request("GET", "/status", Origin="http://evil.example").status == 403
    assert served.traces() == before
    assert served.request("GET", "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate").status == 200
    own = {"Origin": f"http://127.0.0.1:{served.port}", "Sec_Fetch_Site": "same-origin"}
    assert served.request("POST", "/ask", {"n": 1}, **own).status == 200


@pytest.mark.parametrize("says", [True, False])
def test_an_oversized_image_is_refused(served: Served, says: bool) -> None:
    (shot,) = served.ask()
    before = served.traces()
    content, path = bytes(MOST + 1), f"/shots/{shot}/image"
    if says:
        answer = served.request("PUT", path, content)
    else:  # in chunks, without saying how many there will be
        chunks = (
            b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (content[:MOST], content[MOST:])) + b"0\r\n\r\n"
        )
        head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        answer = served.raw(head.encode() + chunks)
    assert answer.status == 413
    assert "--max-upload" in answer.document["hint"]
    assert served.traces() == before


def test_an_oversized_document_is_refused(served: Served) -> None:
    before = served.traces()
    assert served.request("POST", "/forbid", {"where": "x" * 70_000}).status == 413
    assert served.traces() == before


@pytest.mark.parametrize("chunked", [False, True])
def test_a_truncated_upload_is_told_and_forgotten(served: Served, chunked: bool) -> None:
    (shot,) = served.ask()
    before = served.traces()
    content = png(1)
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(content)}"
    part = b"%x\r\n%b" % (len(content), content[:100]) if chunked else content[:100]
    head = f"PUT /shots/{shot}/image HTTP/1.1\r\nHost: localhost\r\n{length}\r\n\r\n"
    answer = served.raw(head.encode() + part, closes=True)
    assert answer.status == 400
    assert answer.document["hint"] == "send it again"
    assert served.traces() == before
    assert served.tell(shot, content).document == {"outcome": "captured"}


def test_an_image_that_is_not_whole_is_refused(served: Served) -> None:
    (shot,) = served.ask()
    before = served.traces()
    for content in (png(1)[:-30], b"", b"GIF89a", b"<html>", b"\x89PNG\r\n\x1a\n" + bytes(100)):
        assert served.tell(shot, content).status == 422
    assert served.traces() == before


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"PUT /shots/a/image HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_request_that_never_comes_is_given_up(served: Served, sent: bytes) -> None:
    assert served.raw(sent).status == 408


def test_a_client_that_is_too_slow_is_given_up(served: Served) -> None:
    (shot,) = served.ask()
    before = served.traces()
    head = f"PUT /shots/{shot}/image HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\n\r\n"
    answer = served.raw(head.encode() + png(1)[:100])
    assert (answer.status, answer.headers["connection"]) == (408, "close")
    assert "100 bytes arrived in 1 seconds" in answer.document["error"]
    assert served.traces() == before


@pytest.mark.parametrize(
    "path",
    [
        "/shots/../../etc/passwd/image",
        "/shots/..%2F..%2Fetc%2Fpasswd/image",
        "/shots/%2e%2e/%2e%2e/rig.db/image",
        "/shots/%2Fetc%2Fpasswd/image",
        "/shots/..%5C..%5Crig.db/image",
        "/shots/car-00_0_30_L0%00.png/image",
        "/shots/%FF%FE/image",
        "/shots//image",
        "/shots/car-99_0_30_L0/image",
        "/shots/" + 1500 * "a" + "/image",
    ],
)
def test_names_of_no_shot_are_not_found(served: Served, path: str) -> None:
    before = served.traces()
    assert served.request("PUT", path, png(1)).status == 404
    assert served.request("GET", path).status == 404
    assert served.request("GET", path.replace("/image", "/thumbnail")).status == 404
    assert served.request("POST", path.replace("/image", "/fail"), {"reason": "no"}).status == 404
    assert served.request("POST", path.replace("/image", "/release"), {}).status == 404
    assert served.traces() == before


def test_bodies_that_cannot_be_are_refused(served: Served) -> None:
    (shot,) = served.ask()
    before = served.traces()
    wrong: list[tuple[str, dict[str, object]]] = [
        ("/ask", {"n": 0}),
        ("/ask", {"n": 1001}),
        ("/ask", {"n": "1"}),
        ("/ask", {"m": 1}),
        ("/ask", {"caller": "\ud800"}),
        (f"/shots/{shot}/fail", {"reason": "x" * 501}),
        (f"/shots/{shot}/fail", {"reason": "\0"}),
        ("/forbid", {"where": "elevaton>65"}),
        ("/forbid", {"where": "elevation>"}),
        ("/allow", {"where": "elevation>65"}),
        ("/undo", {"event": 10**30}),
        ("/undo", {"event": 1}),
        ("/budget", {}),
        ("/budget", {"budget": 0}),
        ("/budget", {"time_budget": float("inf")}),
        ("/objects", {"object": "car-00", "label": "car"}),
        ("/objects", {"object": "car\x1b", "label": "car"}),
        ("/objects/remove", {"object": "nobody"}),
        ("/resume", {}),
    ]
    for path, body in wrong:
        answer = served.request("POST", path, body)
        assert answer.status == 422, (path, body, answer)
        assert set(answer.document) == {"error", "hint"}
    for content in (b"{", b"[" * 50_000, b"1" * 5_000, b"\xff"):
        assert served.request("POST", "/ask", content, Content_Type="application/json").status in (400, 422)
    assert "Content-Type: application/json" in served.request("POST", "/ask", b'{"n": 1}').document["hint"]
    assert served.traces() == before


def test_settings_that_cannot_be_reached_are_refused(served: Served) -> None:
    (shot,) = served.ask()
    before = served.traces()
    for query in (
        "?azimut=3",
        "?azimuth=ninety",
        "?azimuth=nan",
        "?azimuth=1&azimuth=2",
        "?lighting=L9",
        "?replace=x",
        "?azimuth=725",
        "?elevation=1e308",
        "?azimuth=%D9%A1%D9%A2",  # ١٢
        "?azimuth=True",
    ):
        assert served.tell(shot, png(1), query).status == 422
    assert served.traces() == before


def test_another_image_of_a_shot_is_refused(served: Served) -> None:
    (shot,) = served.ask()
    assert served.tell(shot, png(1)).document == {"outcome": "captured"}
    before = served.traces()
    assert served.tell(shot, png(1)).document == {"outcome": "already"}
    assert served.tell(shot, png(2)).status == 409
    assert served.traces() == before
    assert served.tell(shot, png(2), "?replace=true").document == {"outcome": "replaced"}


def test_a_plan_is_refused_where_nobody_plans(served: Served) -> None:
    assert served.request("POST", "/plan").status == 409
    assert served.request("POST", "/advise").status == 409


def test_a_store_that_went_away_is_told(served: Served, tmp_path: Path) -> None:
    for path in tmp_path.glob("rig.db*"):
        if path.is_file():
            path.write_bytes(b"not a database" * 1000)
    answer = served.request("GET", "/status")
    assert answer.status in (503, 507)
    assert answer.document["hint"]


def test_a_mistyped_name_is_not_found_whatever_the_size_of_the_image(served: Served) -> None:
    before = served.traces()
    assert served.tell("car-99_0_30_L0", bytes(MOST + 1)).status == 404
    answer = served.request("PUT", "/shot/car/image", bytes(MOST + 1))
    assert (answer.status, answer.document["hint"]) == (404, "see /docs")
    assert served.traces() == before


def test_what_was_meant_is_told(served: Served) -> None:
    (shot,) = served.ask()
    path = f"/shots/{shot}/image"
    assert "use PUT" in served.request("POST", path, png(1)).document["hint"]
    assert "use POST" in served.request("GET", "/ask").document["hint"]
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        assert "--upload-file" in served.request("PUT", path, b"--x\r\n" + png(1), Content_Type=kind).document["hint"]
    large = served.request("POST", f"/shots/{shot}/fail", png(1, size=200))
    assert (large.status, "PUT /shots/SHOT/image" in large.document["hint"]) == (413, True)
    assert "--max-upload" not in large.document["hint"]
