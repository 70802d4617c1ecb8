"""A small live rig for tests of campaigns, and a caller that is gone."""

from pathlib import Path

from acqplan.campaign.machine import this_process
from acqplan.rig.spec import Rig, open_rig

LIVE = """
source = "live"
[[axis]]
name = "azimuth"
kind = "circle"
unit = "deg"
values = "0:300:60"
seconds_per_unit = 0.05
[[axis]]
name = "elevation"
kind = "interval"
unit = "deg"
values = [30, 50, 70]
seconds_per_unit = 0.1
[[axis]]
name = "lighting"
kind = "category"
values = ["L0", "L1"]
seconds_per_change = 0.2
[shot]
seconds = 0.4
[objects]
seconds_per_change = 0
[objects.labels]
car = ["car-00", "car-01"]
truck = ["truck-00", "truck-01"]
"""
N_CANDIDATES = 6 * 3 * 2 * 4


def live_rig(folder: Path) -> Rig:
    path = folder / "rig.toml"
    path.write_text(LIVE, encoding="utf-8")
    return open_rig(path)


def named_process(*, number: int, started: str = "1") -> str:
    """The name of another process of this machine, as this one is named."""
    host, _, _, machine = this_process().split("/")
    return f"{host}/{number}/{started}/{machine}"


GONE = named_process(number=999_999_999)
"""A process of this machine that does not run any more."""
