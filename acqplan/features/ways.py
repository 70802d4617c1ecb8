"""How a backbone computes: in which number format and by which engine, chosen by what images show."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from acqplan.errors import AcqplanError, MissingError, UsageError
from acqplan.features.backbone import Backbone
from acqplan.features.compiled import HINTS, is_installed
from acqplan.pool import one_core_each
from acqplan.rig.source import Image
from acqplan.runtime import Precision, Runtime

# Largest distance from features of torch in float32 (Frobenius norm of the difference over that of the features): of
# half precision, and of another engine in float32. OpenVINO is off by 1e-7 to 3e-6.
TOLERANCE: Final = 1e-2
SAME: Final = 1e-4
# Images by which a way is judged.
PROBE_IMAGES: Final = 32
# Half precision that is not so many times as fast as float32 is not worth its error; nor OpenVINO its memory (.13 GB).
WORTH_IT: Final = 1.2
WORTH_MEMORY: Final = 1.3
# Processors without these emulate bfloat16, slower than they compute in float32.
CPU_FLAGS: Final = ("amx_bf16", "avx512_bf16")
# For fewer pixels, 800 images of 224 x 224, torch is done before OpenVINO has compiled the network and shown its worth.
MANY_PIXELS: Final = 40_000_000


def choices(runtime: Runtime) -> tuple[Precision, ...]:
    """Number formats that may be used, the fastest first; ``"auto"`` ends with float32."""
    return (*half_precisions(runtime.device), "float32") if runtime.precision == "auto" else (runtime.precision,)


def half_precisions(device: str) -> tuple[Precision, ...]:
    """Number formats in which a device is faster than in float32; of two as fast, the one with more range first."""
    kind = torch.device(device).type
    if kind == "cuda":
        return ("bfloat16", "float16") if torch.cuda.get_device_capability(device) >= (8, 0) else ("float16",)
    if kind == "cpu":
        known = Path("/proc/cpuinfo")
        flags = known.read_text().split() if known.exists() else []
        return ("bfloat16",) if set(CPU_FLAGS) & set(flags) else ()
    return ("float16",)


def ways(backbone: Backbone, n_images: int) -> list[Backbone]:
    """A backbone in its own precision, by each engine that may compute so many images; torch is the last.

    Raises:
        MissingError: If OpenVINO is asked for and not installed.
    """
    runtime, size = backbone.runtime, backbone.preprocessing.size
    torch_alone = replace(backbone, runtime=replace(runtime, engine="torch"))
    if runtime.engine == "openvino" and not is_installed():
        raise MissingError("OpenVINO is not installed", "pip install 'acqplan[openvino]', or use engine 'auto'")
    able = runtime.device == "cpu" and not runtime.cluster and runtime.precision in HINTS and is_installed()
    worth = runtime.engine == "openvino" or (runtime.engine == "auto" and n_images * size**2 >= MANY_PIXELS)
    if able and worth:
        return [replace(backbone, runtime=replace(runtime, engine="openvino")), torch_alone]
    return [torch_alone]


def settle(backbones: Sequence[Backbone], images: Sequence[Image]) -> tuple[Backbone, str]:
    """The fastest of these whose features of some images agree with those of torch in float32.

    Neither half precision nor OpenVINO is faster on every processor: in bfloat16 toynet takes a third of the time by
    AMX, and 1.4 times the time by AVX512-BF16 alone. GPUs are taken at their word: the first that agrees.

    Args:
        backbones: One backbone in several precisions and by several engines, the most promising first.
        images: The images to judge by.

    Returns:
        The backbone, and what was found, for people.

    Raises:
        UsageError: If none agrees; says how far off each is.
    """
    # 1. Those that agree.
    findings, right, exact = list[str](), list[Backbone](), in_float32(backbones[0])
    wanted = exact.features(images)
    for backbone in backbones:
        if _way(backbone) == _way(exact):
            right.append(backbone)
            continue
        try:
            error = relative_error(backbone.features(images), wanted)
        except AcqplanError as unknown:
            findings.append(str(unknown))
            continue
        findings.append(f"{_way(backbone)} is off by {error:.2g}")
        if error <= (SAME if backbone.runtime.precision == "float32" else TOLERANCE):
            right.append(backbone)
            if backbone.runtime.device != "cpu":
                break
    if not right:
        raise UsageError(
            f"{exact.spec}: {', '.join(findings)} from its features in float32, more than {TOLERANCE:g}",
            "use precision 'float32' or 'auto'",
        )
    if len(right) == 1 or exact.runtime.device != "cpu":
        return right[0], ", ".join(findings)
    # 2. How long each takes on one core for half a batch, as two lanes have it (`devices`), and what it costs.
    with one_core_each():
        seconds = _seconds(right, images[: -(-exact.limit // 2)])
    prices = [
        taken
        * (1.0 if backbone.runtime.precision == "float32" else WORTH_IT)
        * (1.0 if backbone.runtime.engine == "torch" else WORTH_MEMORY)
        for backbone, taken in zip(right, seconds, strict=True)
    ]
    chosen = int(np.argmin(prices))
    if chosen:
        slower = seconds[0] / seconds[chosen]
        findings.append(f"{_way(right[0])} takes {slower:.3g} times as long as {_way(right[chosen])}")
    return right[chosen], ", ".join(findings)


def relative_error(got: np.ndarray, wanted: np.ndarray) -> float:
    """Relative distance of features from others; infinite if they are not finite."""
    if not np.isfinite(got).all():
        return float("inf")
    apart, size = np.linalg.norm(got.astype(np.float64) - wanted), np.linalg.norm(wanted.astype(np.float64))
    return float(apart) / max(float(size), float(np.finfo(np.float32).tiny))


def in_float32(backbone: Backbone) -> Backbone:
    """The same network, computed by torch in single precision."""
    return replace(backbone, runtime=replace(backbone.runtime, precision="float32", engine="torch"))


def _way(backbone: Backbone) -> str:
    """Number format and engine in words: ``bfloat16 by OpenVINO``."""
    by = " by OpenVINO" if backbone.runtime.engine == "openvino" else ""
    return backbone.runtime.precision + by


def _seconds(backbones: Sequence[Backbone], images: Sequence[Image]) -> list[float]:
    """Seconds in which each looks at images; the best of some rounds, in turn."""
    rounds: list[list[float]] = [[] for _ in backbones]
    for _ in range(3):  # the first round compiles
        for backbone, mine in zip(backbones, rounds, strict=True):
            began = time.perf_counter()
            backbone.features(images)
            mine.append(time.perf_counter() - began)
    return [min(mine) for mine in rounds]
