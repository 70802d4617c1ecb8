"""Headless Chromium, driven over its debugging port."""

import base64
import json
import os
import shutil
import socket
import struct
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.service.serving import SECONDS, until

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """A page of the browser: what DevTools can do with it, over a WebSocket."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection, self._number = connection, 0
        self._heard: list[dict[str, Any]] = []
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self._send(json.dumps({"id": self._number, "method": method, "params": parameters}).encode())
        while True:
            answer = json.loads(self._receive())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._heard.append(answer)

    def evaluate(self, expression: str) -> Any:
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def complaints(self) -> list[str]:
        """Exceptions, and whatever the browser logged as an error, such as what the policy forbids."""
        self.evaluate("0")
        thrown = [str(one["params"]) for one in self._heard if one["method"] == "Runtime.exceptionThrown"]
        logged = [one["params"]["entry"] for one in self._heard if one["method"] == "Log.entryAdded"]
        return thrown + [str(entry) for entry in logged if entry["level"] == "error"]

    def open(self, url: str, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", features=features)
        # the page of another server, which may be gone, is left first: what it complains of is not about this one
        self._load("Page.navigate", url="about:blank")
        self._heard.clear()
        self._load("Page.navigate", url=url)

    def reload(self) -> None:
        self._load("Page.reload")

    def _load(self, method: str, **parameters: Any) -> None:
        before = len(self._heard)
        self.call(method, **parameters)
        while all(one["method"] != "Page.loadEventFired" for one in self._heard[before:]):
            self._heard.append(json.loads(self._receive()))

    def choose(self, name: str, file: Path) -> None:
        """Choose a file in an input, as a person does in the dialog of the browser or by the camera."""
        found = self.call("Runtime.evaluate", expression=f"document.getElementById({json.dumps(name)})")
        self.call("DOM.setFileInputFiles", files=[str(file)], objectId=found["result"]["objectId"])

    def screenshot(self, path: Path) -> None:
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))

    def _send(self, content: bytes) -> None:
        mask = os.urandom(4)
        size = struct.pack("!BBQ", 0x81, 0x80 | 127, len(content))
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
        self._connection.sendall(size + mask + masked)

    def _receive(self) -> bytes:
        parts = []
        while True:
            first, second = self._exactly(2)
            size = second & 127
            if size > 125:
                size = int.from_bytes(self._exactly(2 if size == 126 else 8), "big")
            parts.append(self._exactly(size))
            if first & 0x80:
                return b"".join(parts)

    def _exactly(self, count: int) -> bytes:
        content = bytearray()
        while len(content) < count:
            part = self._connection.recv(count - len(content))
            assert part, "the browser has gone"
            content += part
        return bytes(content)


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """A browser with one empty page."""
    assert CHROMIUM is not None
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
    # it asks nobody but the page's own server
    options += ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command = [CHROMIUM, *options, "--remote-debugging-port=0", f"--user-data-dir={folder / 'browser'}", "about:blank"]
    with (folder / "browser.log").open("wb") as log:
        browser = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        port = _port(folder / "browser" / "DevToolsActivePort")
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
            _shake_hands(connection, port)
            yield Page(connection)
    finally:
        browser.terminate()
        browser.wait(SECONDS)


def _port(told: Path) -> int:
    until(lambda: told.is_file() and told.read_text().count("\n") > 0, 60.0)
    return int(told.read_text().splitlines()[0])


def _shake_hands(connection: socket.socket, port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=SECONDS) as answer:
        pages = [one for one in json.load(answer) if one["type"] == "page"]
    path = pages[0]["webSocketDebuggerUrl"].partition(str(port))[2]
    key = base64.b64encode(os.urandom(16)).decode()
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    connection.sendall(f"{head}Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += connection.recv(1)
    assert b" 101 " in answer.splitlines()[0]
