"""What every benchmark says about itself: date, commit, hardware, versions; and how its results are kept."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from threading import Thread

import torch

from acqplan.runtime import available_cores

RESULTS = Path(__file__).parent / "results"
PAUSE_SECONDS = 0.25
PROGRAM = "from acqplan.cli.app import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A run of the program, seen from outside.

    Attributes:
        seconds: Wall-clock time.
        first_seconds: When its first words on standard output were there.
        cpu_seconds: Processor time of its whole tree of processes, as last seen.
        peak_gb: Peak memory of its whole tree of processes (proportional set size: shared pages count once).
        shown: What it printed.
    """

    seconds: float
    first_seconds: float
    cpu_seconds: float
    peak_gb: float
    shown: str


QUICK_TOYS = """source = "toys"
[[axis]]
name = "azimuth"
kind = "circle"
values = "0:300:60"
[[axis]]
name = "elevation"
kind = "interval"
values = [30, 60]
[[axis]]
name = "lighting"
kind = "category"
values = ["L0", "L3"]
[render]
instances = 4
size = 32
"""


def quick_rig(folder: Path) -> Path:
    """rig.toml of few small toys, for ``--quick``."""
    path = folder / "rig.toml"
    path.write_text(QUICK_TOYS, encoding="utf-8")
    return path


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
    # of a file or folder its name: where it lies here says nothing elsewhere
    settings = {
        key: value.name if isinstance(value, Path) else value for key, value in vars(asked).items() if key != "out"
    }
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


def watch_acqplan(arguments: Sequence[str], *, cache: Path) -> Watched:
    """Run ``acqplan`` as a user does, in a process of its own, and watch time and memory."""
    return watch([sys.executable, "-c", PROGRAM, *arguments], cache=cache)


def watch(command: Sequence[str], *, cache: Path) -> Watched:
    """Run any command that uses this cache, and watch time and memory."""
    began, peak, first, cpu = time.perf_counter(), 0.0, list[float](), dict[int, float]()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as log:
        program = subprocess.Popen(command, env={**os.environ, "ACQPLAN_CACHE": str(cache)}, stdout=out, stderr=log)

        def look() -> None:  # in a thread of its own: what a process that maps files has in memory is told late
            while program.poll() is None and not os.fstat(out.fileno()).st_size:
                time.sleep(0.02)
            first.append(time.perf_counter() - began)

        looking = Thread(target=look)
        looking.start()
        while program.poll() is None:
            tree = _tree(program.pid)
            peak = max(peak, sum(map(_bytes, tree)))
            cpu |= {process: _cpu_seconds(process, cpu.get(process, 0.0)) for process in tree}
            _pause(program)
        took = time.perf_counter() - began
        looking.join()
        out.seek(0)
        log.seek(0)
        shown = out.read() + log.read()
    if program.returncode:
        raise SystemExit(f"{command[-1]} ended with code {program.returncode}:\n{shown}")
    spent = sum(cpu.values())
    return Watched(seconds=took, first_seconds=first[0], cpu_seconds=spent, peak_gb=peak / 1e9, shown=shown)


def _cpu_seconds(process: int, before: float) -> float:
    """Processor time of a process so far; what it was before once it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return before
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pause(program: subprocess.Popen[bytes]) -> None:
    """A pause that ends with the program."""
    try:
        program.wait(PAUSE_SECONDS)
    except subprocess.TimeoutExpired:
        return


def _tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # the name, in parentheses, may hold anything
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        children.setdefault(parent, []).append(int(stat.parent.name))
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def _bytes(process: int) -> int:
    """Memory of a process, its share of shared pages; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


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
