"""Settings of the service: who may use it, and how much of it."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from acqplan.errors import UsageError

PORT = 8765
MEGABYTE = 1_000_000
MOST_UPLOAD = 32 * MEGABYTE
MOST_JSON = 64_000
"""Bytes of a body that is no image."""

FEWEST_TOKEN = 16
"""Characters of a token: fewer can be guessed."""

TOKEN = re.compile(r"[!-~]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the service behaves.

    Attributes:
        host: Address that it is bound to.
        token: What clients must show; empty for none, which only a loopback address allows.
        most_upload: Bytes of an image.
        body_seconds: Time in which a request has to arrive; more for large images, see `SLOWEST` of `bodies`.
        poll_seconds: How often the store is looked at for what other processes did.
        heartbeat_seconds: Silence after which a stream of events says that it is alive.
    """

    host: str = "127.0.0.1"
    token: str = ""
    most_upload: int = MOST_UPLOAD
    body_seconds: float = 30.0
    poll_seconds: float = 0.3
    heartbeat_seconds: float = 15.0

    def __post_init__(self) -> None:
        if self.most_upload < 1:
            raise UsageError(f"images of at most {self.most_upload} bytes", "give a size above zero")
        if self.token and (len(self.token) < FEWEST_TOKEN or not TOKEN.fullmatch(self.token)):
            raise UsageError(
                f"a token of {len(self.token)} characters",
                f"give at least {FEWEST_TOKEN} letters, digits and signs without spaces, e.g. of: openssl rand -hex 16",
            )
        if not self.is_local and not self.token:
            raise UsageError(
                f"no token, although '{self.host}' can be reached by others",
                "set ACQPLAN_TOKEN (or give --token), or stay on --host 127.0.0.1",
            )

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine can reach it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a name or address is this machine's own."""
    name = host.strip().removeprefix("[").removesuffix("]").lower().removesuffix(".")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
