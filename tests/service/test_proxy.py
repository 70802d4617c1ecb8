"""Behind a real nginx, configured as examples/README.md says."""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from acqplan.campaign import operators
from acqplan.errors import UsageError
from acqplan.service.refusals import ServiceSettings
from tests.service.serving import SECONDS, Served, made, png, serving, until

TOKEN = "0123456789abcdef-secret"
README = Path(__file__).parent.parent.parent / "examples" / "README.md"
NGINX = next((found for name in ("nginx", "/usr/sbin/nginx") if (found := shutil.which(name))), None)


@contextmanager
def proxied(folder: Path, service: int, port: int, *, without: str = "ssl_") -> Iterator[None]:
    """Run nginx in front of a service, without lines that hold some words: those of the certificate."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    found = re.search(r"```nginx\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    lines = [line for line in found[1].splitlines() if "ssl_" not in line and without not in line]
    block = "\n".join(lines).replace("443 ssl", f"127.0.0.1:{port}").replace("127.0.0.1:8765", f"127.0.0.1:{service}")
    places = "\n".join(f"{name}_temp_path {folder};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if hasattr(os, "getuid") and os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\nerror_log stderr;\npid {folder}/pid;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}\n{block}\n}}\n",
        encoding="utf-8",
    )
    with subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")]) as process:
        try:
            until(lambda: is_listening(port) or process.poll() is not None)
            assert process.poll() is None
            yield
        finally:
            process.terminate()


def is_listening(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def behind(tmp_path: Path, port: int) -> Iterator[Served]:
    address = f"http://lab.example:{port}"
    with serving(made(tmp_path), token=TOKEN, public_url=address) as served, proxied(tmp_path, served.port, port):
        yield replace(served, port=port)


@pytest.fixture
def own(port: int) -> dict[str, Any]:
    """What a browser sends of the page at the public address."""
    address = f"lab.example:{port}"
    return {"Host": address, "Origin": f"http://{address}", "Sec_Fetch_Site": "same-origin"}


def test_people_and_rigs_use_it_by_its_public_address(behind: Served, own: dict[str, Any]) -> None:
    assert behind.request("GET", "/", Host=own["Host"]).status == 200
    shots = behind.request("POST", "/ask", {"n": 2}, **own).document["shots"]
    large = png(1, size=900)  # more than the megabyte that nginx takes by default
    assert len(large) > 2_000_000
    for number, shot in enumerate(shots):
        path, content = f"/shots/{quote(shot['id'], safe='')}/image", large if number else png(number)
        assert behind.request("PUT", path, content, Host=own["Host"]).document == {"outcome": "captured"}
    assert behind.request("POST", "/pause", {"reason": "lunch"}, **own).status == 200
    assert behind.request("GET", "/status", **own).document["paused"]


def test_names_of_shots_pass_as_they_are(behind: Served, own: dict[str, Any]) -> None:
    name = "a//b%2F_0_30_L0"
    answer = behind.request("GET", f"/shots/{quote(name, safe='')}/image", Host=own["Host"])
    assert (answer.status, name in answer.document["error"]) == (404, True)


@pytest.mark.parametrize("without", ["ssl_", "proxy_http_version"])  # nginx itself asks by HTTP/1.0, and buffers that
def test_events_come_at_once(tmp_path: Path, own: dict[str, Any], port: int, without: str) -> None:
    public = f"http://lab.example:{port}"
    with (
        serving(made(tmp_path), token=TOKEN, public_url=public) as served,
        proxied(tmp_path, served.port, port, without=without),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS / 2)
        connection.request("GET", "/stream?after=0", headers={"Host": own["Host"], "Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        assert b"replanned" in next(line for line in iter(answer.readline, b"") if b"replanned" in line)
        operators.pause(served.campaign.store, "lunch")
        line = next(line for line in iter(answer.readline, b"") if line.startswith(b"data: "))
        assert json.loads(line[6:])["kind"] == "paused"
        connection.close()


def test_a_rig_is_known_by_its_own_address_and_not_by_that_of_the_proxy(
    behind: Served, own: dict[str, Any], port: int
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS, source_address=("127.0.0.9", 0))
    headers = {"Host": own["Host"], "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    # what a client says of itself is not believed
    connection.request("POST", "/ask", b"{}", {**headers, "X-Forwarded-For": "10.0.0.1"})
    assert connection.getresponse().status == 200
    connection.close()
    (leased,) = [event for event in behind.campaign.events() if event.kind == "leased"]
    assert leased.body["caller"] == "http:127.0.0.9"


def test_a_proxy_that_asks_by_the_name_of_the_service_does_as_well(
    tmp_path: Path, port: int, own: dict[str, Any]
) -> None:
    with (
        serving(made(tmp_path), token=TOKEN, public_url=f"http://lab.example:{port}") as served,
        proxied(tmp_path, served.port, port, without="Host"),
    ):
        assert replace(served, port=port).request("POST", "/pause", {}, **own).status == 200


def test_other_names_and_sites_are_refused_as_before(behind: Served, own: dict[str, Any]) -> None:
    assert behind.request("GET", "/status", Host="evil.example").status == 421
    for origin in ("http://evil.example", "null", "http://lab.example"):
        refused = behind.request("POST", "/pause", {}, **{**own, "Origin": origin})
        assert refused.status == 403
        assert "--public-url" in refused.document["hint"]
    assert behind.request("POST", "/pause", {}, **own, Authorization=None).status == 401


def test_the_way_to_the_option_is_told(tmp_path: Path, port: int, own: dict[str, Any]) -> None:
    with serving(made(tmp_path)) as served, proxied(tmp_path, served.port, port):
        refused = replace(served, port=port).request("POST", "/pause", {}, **own)
        assert (refused.status, "--public-url" in refused.document["hint"]) == (421, True)


@pytest.mark.parametrize("address", ["lab.example", "ftp://lab.example", "https://", "https://[", "//lab.example"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="public address"):
        ServiceSettings(public_url=address, token=TOKEN)


def test_a_public_address_needs_a_token() -> None:
    with pytest.raises(UsageError, match=r"'lab.example' can be reached by others"):
        ServiceSettings(public_url="https://lab.example")
    ServiceSettings(public_url="http://localhost:8080")
