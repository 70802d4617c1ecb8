"""How time grows with size, over two decades each: ``python benchmarks/scale.py``.

Planning in candidates and in budget, exact heads in images and in classes, advice in objects, and the answers of a
campaign in images told. Each size is measured in a process of its own, with its peak of memory without imports; the
exponent is the slope of log seconds against log size over the sizes of the upper decade and a half, where what does not
grow no longer hides what does. ``--peers`` installs BayBE, scikit-activeml, apricot-select and optuna into a virtual
environment of their own, and times what they do for the same end.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, options, say, seconds, write

ROOT = Path(__file__).parent.parent
FEATURES, VIEWS_SEEN = 256, 20
PEERS = ("baybe", "scikit-activeml", "apricot-select", "optuna", "setuptools<81")
# Sizes of each part; --quick takes the first two.
SIZES: Mapping[str, tuple[int, ...]] = {
    "lattice in candidates": (10_000, 30_000, 100_000, 300_000, 1_000_000),
    "herding in candidates": (10_000, 30_000, 100_000, 300_000, 1_000_000),
    "variance in candidates": (3_000, 10_000, 30_000, 100_000, 300_000),
    "lattice in budget": (1_000, 3_000, 10_000, 30_000, 100_000),
    "herding in budget": (1_000, 3_000, 10_000, 30_000, 100_000),
    "variance in budget": (300, 1_000, 3_000, 10_000, 30_000),
    "heads in images": (300, 1_000, 3_000, 10_000, 30_000),
    "heads in classes": (10, 30, 100, 300, 1_000),
    "advice in objects": (50, 150, 500, 1_500, 5_000),
    "campaign in images told": (1_000, 3_000, 10_000, 30_000, 100_000),
}
PEER_SIZES = {"core-set": (1_000, 3_000, 10_000), "optuna": (300, 1_000, 3_000)}


def main() -> None:
    """Measure, print, write JSON."""
    asked = options(
        __doc__,
        ("--one", {"nargs": 2, "help": argparse.SUPPRESS}),
        ("--parts", {"nargs": "+", "choices": list(SIZES), "default": list(SIZES)}),
        ("--peers", {"action": "store_true", "help": "measure the peers as well; installs them"}),
    )
    if asked.one:
        name, size = asked.one
        print(json.dumps(_measured(name, int(size))))
        return
    about = machine("cpu")
    say(about)
    results: dict[str, Any] = {}
    for part in asked.parts:
        sizes = SIZES[part][:2] if asked.quick else SIZES[part]
        found = [_apart([sys.executable, __file__, "--one", part, str(size)]) for size in sizes]
        results[part] = {"sizes": sizes, "found": found, "exponents": _exponents(sizes, found)}
        print(f"{part}: {results[part]['exponents']}", flush=True)
        for size, one in zip(sizes, found, strict=True):
            print(f"  {size:>9,}: " + ", ".join(f"{key} {value:.3g}" for key, value in one.items()), flush=True)
    peers = _peers(asked.quick) if asked.peers else None
    write("scale", asked, about, {"parts": results, "peers": peers})


def _apart(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _exponents(sizes: tuple[int, ...], found: list[dict[str, float]]) -> dict[str, float]:
    """Slopes of log seconds over the largest sizes, of everything that is counted in seconds."""
    last = slice(max(0, len(sizes) - 4), None)
    return {
        key: round(float(np.polyfit(np.log(sizes[last]), np.log([one[key] for one in found[last]]), 1)[0]), 2)
        for key in found[0]
        if key.endswith("seconds")
    }


def _measured(part: str, size: int) -> dict[str, float]:
    """Seconds and memory of one size; what is made for it is not counted."""
    what, axis = part.split(" in ")
    if what == "campaign":
        return _campaign(size)
    work = {"heads": _heads, "advice": _advice}.get(what, _planning)(what, axis, size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took = seconds(work)
    added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"seconds": took, "added_gb": added * 1024 / 1e9}


def _planning(name: str, axis: str, size: int) -> Callable[[], object]:
    """1,000 candidates an object, 100 shots of each; or a budget of a million candidates."""
    from acqplan.plan import find_strategy
    from acqplan.plan.base import History
    from acqplan.space import Category, Circle, Interval, Objects, Shots, Space

    space = Space(
        axes=(
            Circle(name="azimuth", values=tuple(range(0, 360, 15))),
            Interval(name="elevation", values=tuple(float(value) for value in range(10, 80, 10)), unit="deg"),
            Category(name="lighting", values=tuple(f"L{number}" for number in range(6))),
        )
    )
    n_objects = (size if axis == "candidates" else 1_000_000) // space.n_views + 1
    names = tuple(f"object-{number:04d}" for number in range(n_objects))
    labels = tuple(f"class-{number % 10}" for number in range(n_objects))
    candidates = Shots.every(space, Objects(names=names, labels=labels))
    strategy, budget = find_strategy(name), size // 10 if axis == "candidates" else size
    return lambda: strategy.propose(candidates, History.empty(candidates), budget, 0)


def _heads(_: str, axis: str, size: int) -> Callable[[], object]:
    """One head: 5 classes and as many images as are asked for, or 6,000 images and as many classes."""
    from acqplan.heads.exact import train_heads

    classes, images = (5, size) if axis == "images" else (size, 6_000)
    features, targets, groups = _seen(classes, max(3, min(50, images // (3 * classes))), images)
    rows = [np.arange(images)]
    train_heads(features[:100], targets[:100] % 5, groups[:100], [np.arange(100)], n_classes=5, cores=1)
    return lambda: train_heads(features, targets, groups, rows, n_classes=classes, strengths=[1e-5], cores=1)


def _seen(classes: int, objects: int, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Features as backbones give them: a part of the class, of the object, and of the image, rectified."""
    random = np.random.default_rng(0)
    groups = np.arange(images) % (classes * objects)
    mixing = random.normal(size=(64, FEATURES)) * ((1.0 + np.arange(64)) ** -0.5)[:, None]
    latent = random.normal(size=(classes, 64))[groups % classes]
    latent += 0.7 * random.normal(size=(classes * objects, 64))[groups] + 0.8 * random.normal(size=(images, 64))
    return np.maximum(latent @ mixing, 0.0).astype(np.float32), groups % classes, groups


def _advice(_: str, __: str, size: int) -> Callable[[], object]:
    """20 images of each object, 20 classes."""
    from acqplan.advice.advise import advise_history
    from acqplan.plan.base import History
    from acqplan.space import Circle, Interval, Objects, Shots, Space

    space = Space(
        axes=(
            Circle(name="azimuth", values=tuple(range(0, 360, 20))),
            Interval(name="elevation", values=(10.0, 30.0, 50.0, 70.0), unit="deg"),
        )
    )
    names = tuple(f"object-{number:04d}" for number in range(size))
    objects = Objects(names=names, labels=tuple(f"class-{number % 20:02d}" for number in range(size)))
    rows = np.repeat(np.arange(size), VIEWS_SEEN) * space.n_views
    random = np.random.default_rng(1)
    rows += np.concatenate([random.choice(space.n_views, VIEWS_SEEN, replace=False) for _ in range(size)])
    shots = Shots.every(space, objects).take(rows)
    made, _, _ = _seen(20, size // 20 + 1, (size // 20 + 1) * 20 * VIEWS_SEEN)
    by_object = np.argsort(np.arange(len(made)) % ((size // 20 + 1) * 20), kind="stable")
    return lambda: advise_history(History(shots=shots, features=made[by_object][: len(shots)]), seed=0)


def _campaign(told: int) -> dict[str, float]:
    """What ``tests.crash.speed`` measures once so many images have been told."""
    sys.path.insert(0, str(ROOT))
    from acqplan.campaign.campaign import Campaign
    from acqplan.rig.spec import open_rig

    with tempfile.TemporaryDirectory() as folder:
        rig, store = Path(folder) / "rig.toml", Path(folder) / "large.db"
        names = ", ".join(f'"object-{number:03d}"' for number in range(told // 500 + 1))
        axes = '[[axis]]\nname = "azimuth"\nkind = "circle"\nunit = "deg"\nvalues = "0:359:1"\n'
        axes += '[[axis]]\nname = "elevation"\nkind = "interval"\nunit = "deg"\nvalues = "30:70:20"\n'
        rig.write_text(f'source = "live"\n{axes}[objects.labels]\na = [{names}]\n', encoding="utf-8")
        Campaign.create(open_rig(rig), budget=told + 200, path=store, strategy="lattice").close()
        command = [sys.executable, "-m", "tests.crash.speed", "--store", str(store)]
        command += ["--captured", str(told), "--asks", "8"]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)
    return {
        "ask_seconds": found["ask_12_ms"]["p50"] / 1e3,
        "tell_seconds": found["tell_ms"]["p50"] / 1e3,
        "status_seconds": found["status_seconds"],
        "database_mb": found["database_mb"],
    }


def _peers(quick: bool) -> dict[str, Any]:
    """The peers in an environment of their own; ``None`` for one that cannot be installed or fails."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python, results = Path(folder) / "bin" / "python", dict[str, Any]()
        for package in PEERS:
            install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
            if subprocess.run(install, capture_output=True, check=False).returncode:
                print(f"{package} cannot be installed here")
        for name in ("ours", "baybe", "skactiveml", "apricot", "optuna"):
            sizes = PEER_SIZES["optuna" if name == "optuna" else "core-set"][: 1 if quick else None]
            interpreter = sys.executable if name == "ours" else str(python)
            found = []
            for size in sizes:
                command = [interpreter, str(Path(__file__).with_name("peers.py")), name, str(size)]
                try:
                    done = subprocess.run(
                        command, capture_output=True, text=True, check=True, timeout=300, env={**os.environ}
                    )
                    found.append(float(done.stdout.splitlines()[-1]))
                except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                    found.append(None)
                    print(f"{name}, {size:,}: {(error.stderr or str(error)).strip().splitlines()[-1:]}", flush=True)
            results[name] = dict(zip(map(str, sizes), found, strict=True))
            print(name, results[name], flush=True)
    return results


if __name__ == "__main__":
    main()
