"""Memory and time of photographs, and of files made to cost much: ``python benchmarks/photographs.py``.

Features of 24 photographs of 12 and of 24 million pixels are computed in a process of their own, without a cache; then
files that unpack to very much are told to a campaign, one at a time and three at once. Memory is the peak of the
process, its imports included.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from common import machine, options, say, write
from PIL import Image

from acqplan.errors import ImageError

N = 24
SIZES = {"12 million pixels": (4000, 3000), "24 million pixels": (6000, 4000)}
KINDS = {"JPEG": {"quality": 90}, "PNG": {"compress_level": 1}}
QUICK = {"2 million pixels": (1600, 1200)}
NETWORKS = ("histogram", "mobilenet_v2")
GIGABYTE = 1e9


def main() -> None:
    """Measure, print, write JSON."""
    shared = os.environ.get("ACQPLAN_SHARED", "")
    weights = Path(shared) / "weights" / "mobilenet_v2.safetensors"
    asked = options(
        __doc__,
        ("--one", {"nargs": "+", "help": argparse.SUPPRESS}),
        ("--weights", {"type": Path, "default": weights if shared else None, "help": "of mobilenet_v2"}),
    )
    if asked.one:
        print(json.dumps({"extract": extracted, "tell": told}[asked.one[0]](*asked.one[1:])))
        return
    about = machine("cpu")
    say(about)
    networks = NETWORKS if asked.weights and asked.weights.exists() and not asked.quick else NETWORKS[:1]
    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as place:
        for size, pixels in (QUICK if asked.quick else SIZES).items():
            for kind in KINDS:
                manifest = photographs(Path(place) / f"{size} {kind}", kind, *pixels)
                for network in networks:
                    found = measured("extract", manifest, network, asked.weights or "")
                    results[f"{N} of {size}, {kind}, {network}"] = found
        for name, content in bombs(quick=asked.quick).items():
            path = Path(place) / "bomb"
            path.write_bytes(content)
            for count in (1, 3):
                results[f"{name}, {count} at once"] = {"bytes": len(content), **measured("tell", path, count)}
    for name, found in results.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in found.items()))
    write("photographs", asked, about, results)


def measured(*asked: object) -> dict[str, object]:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--one", *map(str, asked)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"died": done.stderr.strip().splitlines()[-1] if done.stderr else done.returncode}
    found: dict[str, object] = json.loads(done.stdout)
    return found


def extracted(manifest: str, network: str, weights: str = "") -> dict[str, object]:
    """Features of all images of a manifest."""
    from acqplan.features.backbone import load_backbone
    from acqplan.features.extract import extract
    from acqplan.rig.folder import FolderSource
    from acqplan.runtime import Runtime

    runtime = Runtime()
    file = Path(weights) if weights and network != "histogram" else None
    backbone = load_backbone(network, weights=file, runtime=runtime)
    before, began = peak_gb(), time.perf_counter()
    source = FolderSource.open(Path(manifest))
    extract(source, source.shots(), backbone, runtime=runtime, cache=None)
    return {"seconds": round(time.perf_counter() - began, 2), "peak_gb": peak_gb(), "of_imports_gb": before}


def told(path: str, count: str) -> dict[str, object]:
    """A file as a campaign looks at it, in so many threads at once."""
    from acqplan.campaign.images import encoded

    content, began = Path(path).read_bytes(), time.perf_counter()

    def tell(_: int) -> str:
        try:
            encoded(content, "shot")
        except ImageError as error:
            return error.message
        return "taken"

    with ThreadPoolExecutor(int(count)) as pool:
        answers = set(pool.map(tell, range(int(count))))
    return {"seconds": round(time.perf_counter() - began, 2), "peak_gb": peak_gb(), "answer": " / ".join(answers)}


def peak_gb() -> float:
    """Peak memory of this process so far."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return round(1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / GIGABYTE, 2)


def photographs(folder: Path, kind: str, width: int, height: int) -> Path:
    """A manifest of images with something to see and the noise of a sensor, no two alike."""
    folder.mkdir()
    draw, lines = np.random.default_rng(0), ["image,label,object,azimuth"]
    noise = draw.normal(0, 5, (height, width, 1)).astype(np.float32)
    for number in range(N):
        coarse = Image.fromarray(draw.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((width, height))
        pixels = np.clip(np.asarray(coarse) + np.roll(noise, 97 * number, axis=1), 0, 255).astype(np.uint8)
        name = f"{number:02d}.{'jpg' if kind == 'JPEG' else 'png'}"
        Image.fromarray(pixels).save(folder / name, kind, **KINDS[kind])
        lines.append(f"{name},label-{number % 2},object-{number % 4},{15 * number}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="ascii")
    return folder / "manifest.csv"


def bombs(*, quick: bool) -> dict[str, bytes]:
    """Small files that unpack to much, or go over it again and again."""
    side = 500 if quick else 9_400

    def saved(image: Image.Image, kind: str, **chosen: object) -> bytes:
        file = io.BytesIO()
        image.save(file, kind, **chosen)
        return file.getvalue()

    def scanned(width: int, height: int) -> bytes:
        content = saved(Image.new("L", (width, height), 128), "JPEG", progressive=True, quality=10)
        last = content[content.rindex(b"\xff\xda") : -2]
        return content[:-2] + 100 * last + b"\xff\xd9"

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    png = saved(Image.new("L", (4, 4)), "PNG")
    text = b"a\0\0" + zlib.compress(bytes(10_000_000 if quick else 1_000_000_000))
    frames = [Image.new("RGB", (64, 64), (number % 256, 0, 0)) for number in range(100 if quick else 4000)]
    return {
        "WebP of 13,300 x 13,400": saved(Image.new("RGB", (13_300, 13_400)), "WEBP", lossless=True, method=0),
        "WebP of 6,600 x 6,600": saved(Image.new("RGB", (6_600, 6_600)), "WEBP", lossless=True, method=0),
        f"PNG of {side:,} x {side:,}": saved(Image.new("RGB", (side, side)), "PNG"),
        "progressive JPEG of 100 more scans": scanned(2 * side // 3, side // 2),
        "PNG with much text": png[:33] + chunk(b"zTXt", text) + png[33:],
        "PNG with a large profile": png[:33] + chunk(b"iCCP", text) + png[33:],
        "animated PNG": saved(frames[0], "PNG", save_all=True, append_images=frames[1:]),
    }


if __name__ == "__main__":
    main()
