"""What every benchmark says about itself: date, commit, hardware, versions; and how its results are kept."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from acqplan.runtime import available_cores

RESULTS = Path(__file__).parent / "results"


def options(description: str | None, *extra: tuple[str, Mapping[str, object]]) -> argparse.Namespace:
    """Command line of a benchmark: ``--device``, ``--quick``, ``--out``, and its own options."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; the numbers say nothing")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON")
    for name, settings in extra:
        parser.add_argument(name, **settings)  # type: ignore[arg-type]
    return parser.parse_args()


def machine(device: str = "cpu") -> dict[str, object]:
    """Date, commit, hardware and versions."""
    on_gpu = device.startswith("cuda")
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": available_cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "gpu": torch.cuda.get_device_name(device) if on_gpu else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("acqplan", "torch", "numpy", "scikit-learn")},
    }


def write(name: str, asked: argparse.Namespace, about: Mapping[str, object], results: object) -> None:
    """Keep the results as ``NAME-DEVICE.json`` (``-quick`` apart, so that it never replaces a measurement)."""
    kind = asked.device.split(":")[0] + ("-quick" if asked.quick else "")
    asked.out.mkdir(parents=True, exist_ok=True)
    path = asked.out / f"{name}-{kind}.json"
    settings = {key: value for key, value in vars(asked).items() if key != "out"}
    document = {"benchmark": name, "machine": about, "options": settings, "results": results}
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {path}")


def say(about: Mapping[str, object]) -> None:
    """Print the machine's description."""
    print(" · ".join(f"{key} {value}" for key, value in about.items() if value is not None), flush=True)


def seconds(work: Callable[[], object], device: str = "cpu") -> float:
    """Wall-clock time of some work, all of the device's included."""
    _wait(device)
    started = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - started


def in_turn(works: Mapping[str, Callable[[], object]], rounds: int, device: str = "cpu") -> dict[str, list[float]]:
    """Times of several works, one after the other in each round, so that all meet the same machine."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds):
        # every other round backwards: the first may find another clock rate than the last
        for name in list(works) if number % 2 == 0 else reversed(list(works)):
            times[name].append(seconds(works[name], device))
    return times


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Median over rounds of the ratio within a round."""
    ratios = sorted(one / other for one, other in zip(above, below, strict=True))
    middle = len(ratios) // 2
    return ratios[middle] if len(ratios) % 2 else (ratios[middle - 1] + ratios[middle]) / 2


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _commit() -> str:
    here = Path(__file__).parent
    shown = subprocess.run(
        ["git", "-C", str(here), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip() or "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
