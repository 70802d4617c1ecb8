"""How long a large campaign takes to answer, without numpy or torch.

``python -m tests.crash.speed --store FILE --captured 50000 --asks 100`` captures so many images in bulk, small ones
and without waiting for the disk, then asks and tells as a capture script does, and prints what it measured as JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.crash.capturing import MOST_NUMBERS
from tests.crash.pictures import picture
from tests.crash.rush import AT_ONCE, PIXELS, milliseconds

if TYPE_CHECKING:
    from acqplan.campaign.campaign import Campaign
    from acqplan.campaign.leases import Shot

BULK = 1000


def measured(store: Path, n_captured: int, n_asks: int) -> dict[str, object]:
    """Fill a campaign that nobody has begun, then measure.

    Args:
        store: Its file.
        n_captured: Images that are told in bulk.
        n_asks: How often 12 shots are asked for, each of which is told.
    """
    from acqplan.campaign.campaign import Campaign
    from acqplan.campaign.check import check_campaign
    from acqplan.campaign.events import Fold

    filled = _seconds(lambda: _fill(store, n_captured))
    _forget_this_start(store)
    first = _seconds(lambda: Campaign.open(store).close())
    opened = [_seconds(lambda: Campaign.open(store).close()) for _ in range(10)]
    with Campaign.open(store) as campaign:
        asks, tells = _captured(campaign, n_asks)
        status = [_seconds(campaign.status) for _ in range(3)]
        found = {
            "captured": _told(campaign),
            "events": len(campaign.events()),
            "fill_seconds": round(filled, 1),
            "open_after_a_restart_seconds": round(first, 3),
            "open_seconds": round(sorted(opened)[len(opened) // 2], 4),
            "ask_12_ms": milliseconds(asks),
            "tell_ms": milliseconds(tells),
            "status_seconds": round(min(status), 3),
            "check_seconds": round(_seconds(lambda: check_campaign(campaign, mend=False)), 1),
            "fold_seconds": round(_seconds(lambda: Fold.replay(campaign.settings, campaign.events())), 2),
            "write_and_sync_ms": milliseconds([_seconds(_synced(store.parent / "probe")) for _ in range(200)]),
        }
    return {**found, "database_mb": round(store.stat().st_size / 1e6, 1), "heavy_modules": _heavy()}


def _forget_this_start(store: Path) -> None:
    """As if the machine had been started since the campaign was checked."""
    from acqplan.campaign.store import Store

    name, kept = f"checked on {socket.gethostname()}", Store.open(store)
    kept.note(name, f"earlier-{kept.noted(name)}")
    kept.close()


def _told(campaign: Campaign) -> int:
    with campaign.store.reading() as ledger:
        return ledger.state.captured


def _heavy() -> list[str]:
    return sorted({"numpy", "torch", "scipy"} & set(sys.modules))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _synced(path: Path) -> Callable[[], object]:
    """What no durable answer can be quicker than: as many bytes as an image has, on the disk."""
    import os

    def work() -> None:
        with path.open("wb") as handle:
            handle.write(bytes(PIXELS * PIXELS))
            handle.flush()
            os.fsync(handle.fileno())

    return work


def _fill(store: Path, n_captured: int) -> None:
    from acqplan.campaign.campaign import Campaign
    from acqplan.campaign.leases import lease

    with Campaign.open(store) as campaign:
        for start in range(0, n_captured, BULK):
            with campaign.store.writing() as ledger:
                records = lease(ledger, min(BULK, n_captured - start), campaign.caller)
                for place, record in enumerate(records):
                    name, digest = _file(campaign.images.root, record.shot, start + place)
                    ledger.append("told", record.shot, digest=digest, image=name, reached=list(record.view), late=False)


def _file(root: Path, shot: str, number: int) -> tuple[str, str]:
    from acqplan.campaign.images import named
    from acqplan.files import digest_content

    content = picture(number)
    digest = digest_content(content)
    path = root / named(shot, digest, ".png")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path.relative_to(root).as_posix(), digest


def _captured(campaign: Campaign, n_asks: int) -> tuple[list[float], list[float]]:
    draw, asks, tells = random.Random(0), list[float](), list[float]()
    for _ in range(n_asks):
        shots: list[Shot] = []
        asks.append(_seconds(lambda shots=shots: shots.extend(campaign.ask(AT_ONCE))))  # type: ignore[misc]
        for shot in shots:
            content = picture(draw.randrange(MOST_NUMBERS), PIXELS)
            tells.append(_seconds(lambda shot=shot, content=content: campaign.tell(shot, content)))  # type: ignore[misc]
    return asks, tells


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--captured", type=int, default=50_000)
    parser.add_argument("--asks", type=int, default=100)
    asked = parser.parse_args()
    json.dump(measured(asked.store, asked.captured, asked.asks), sys.stdout)


if __name__ == "__main__":
    main()
