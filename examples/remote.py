"""A campaign behind `acqplan serve` from Python, for a robot's machine where acqplan is not installed.

from remote import Remote

campaign = Remote("http://lab:8765", token="…")
while shots := campaign.ask(n=12): ...  # as in robot_capture.py
"""

import json
from dataclasses import dataclass
from types import SimpleNamespace
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen


@dataclass
class Remote:
    url: str
    token: str = ""

    def ask(self, n: int = 1) -> list[SimpleNamespace]:
        """Shots with id, object, label, view; none once the campaign is finished, or while it is paused."""
        return [SimpleNamespace(**shot) for shot in self.call("POST", "ask", {"n": n})["shots"]]

    def tell(self, shot: SimpleNamespace, image: bytes, reached: dict[str, float] | None = None) -> str:
        """Hand in the bytes of an image file; telling the same again changes nothing."""
        return self.call("PUT", f"shots/{quote(shot.id, safe='')}/image?{urlencode(reached or {})}", image)["outcome"]

    def fail(self, shot: SimpleNamespace, reason: str, retry: bool = True) -> str:
        """Say that a shot could not be taken."""
        return self.call("POST", f"shots/{quote(shot.id, safe='')}/fail", {"reason": reason, "retry": retry})["outcome"]

    def report(self) -> str:
        status = self.call("GET", "status")
        return f"{status['captured']} images captured, {status['failed']} failed tries; {status['finished']}"

    def call(self, method: str, path: str, body: object = None):
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = "application/octet-stream" if content is body else "application/json"
        headers = {"Content-Type": kind, "Authorization": f"Bearer {self.token}"}
        with urlopen(Request(f"{self.url}/{path}", content, headers, method=method)) as answer:
            return json.load(answer)
