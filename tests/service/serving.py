"""A campaign that is served on a real socket, and clients that behave badly."""

import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from acqplan import Campaign
from acqplan.service.planner import Planner
from acqplan.service.refusals import ServiceSettings
from acqplan.service.server import Server, bound, make_app
from tests.campaign.rigs import live_rig

SECONDS = 20.0


def png(number: int, size: int = 16) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 255, (size, size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def made(folder: Path, budget: int = 20, **settings: Any) -> Campaign:
    return Campaign.create(live_rig(folder), budget=budget, path=folder / "rig.db", **settings)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Served:
    campaign: Campaign
    port: int
    token: str = ""

    def request(
        self, method: str, path: str, body: bytes | dict[str, Any] | None = None, **headers: str | None
    ) -> Answer:
        """One request on a connection of its own; a header that is None is left out."""
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if isinstance(body, dict):
            body, sent["Content-Type"] = json.dumps(body).encode(), "application/json"
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            chosen = {name: value for name, value in {**sent, **more}.items() if value is not None}
            connection.request(method, path, body, chosen)
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def ask(self, n: int = 1) -> list[str]:
        return [shot["id"] for shot in self.request("POST", "/ask", {"n": n}).document["shots"]]

    def tell(self, shot: str, image: bytes, query: str = "") -> Answer:
        return self.request("PUT", f"/shots/{quote(shot, safe='')}/image{query}", image)

    def raw(self, content: bytes, *, closes: bool = False) -> Answer:
        """Bytes as they are, then nothing more; what comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as connection:
            connection.sendall(content)
            if closes:
                connection.shutdown(socket.SHUT_WR)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())

    def traces(self) -> tuple[object, ...]:
        """Everything that a request could have changed: the fold, the events, the files."""
        with self.campaign.store.reading() as ledger:
            records = {record.shot: record for record in ledger.every()}
            standing = ledger.state.to_dict()
        files = sorted(str(path) for path in self.campaign.images.root.rglob("*"))
        return standing, records, self.campaign.events(), files


@contextmanager
def serving(
    campaign: Campaign, *, host: str = "127.0.0.1", port: int = 0, planner: Planner | None = None, **settings: Any
) -> Iterator[Served]:
    chosen = ServiceSettings(host=host, **settings)
    listening = bound("127.0.0.1", port)
    server = Server(make_app(campaign, chosen, planner), chosen)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    port = listening.getsockname()[1]
    thread.start()
    try:
        until(lambda: server.started)
        yield Served(campaign, port, chosen.token)
    finally:
        server.should_exit = True
        thread.join(SECONDS)
        assert not thread.is_alive()
        campaign.close()


def until(holds: Any, seconds: float = SECONDS) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.01)
