"""Half precision where it gives the features of float32, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch

from acqplan.errors import UsageError
from acqplan.features.backbone import Backbone
from acqplan.rig.base import Image
from acqplan.runtime import Precision, Runtime

TOLERANCE: Final = 1e-2
"""Features may be so far from those in float32, Frobenius norm of the difference over that of the features."""

PROBE_IMAGES: Final = 32
"""Images by which a precision is judged."""

CPU_FLAGS: Final = ("amx_bf16", "avx512_bf16")
"""Processors without these emulate bfloat16, slower than they compute in float32."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Settled:
    """A backbone in a precision of which it is known that it will do.

    Attributes:
        backbone: In that precision.
        finding: What was found of half precision, for people; empty if nothing was looked at.
    """

    backbone: Backbone
    finding: str = ""


def choices(runtime: Runtime) -> tuple[Precision, ...]:
    """Number formats that may be used, the fastest first; ``"auto"`` ends with float32."""
    return (*half_precisions(runtime.device), "float32") if runtime.precision == "auto" else (runtime.precision,)


def half_precisions(device: str) -> tuple[Precision, ...]:
    """Number formats in which a device is faster than in float32; of two as fast the one with more range first."""
    kind = torch.device(device).type
    if kind == "cuda":
        return ("bfloat16", "float16") if torch.cuda.get_device_capability(device) >= (8, 0) else ("float16",)
    if kind == "cpu":
        known = Path("/proc/cpuinfo")
        flags = known.read_text().split() if known.exists() else []
        return ("bfloat16",) if set(CPU_FLAGS) & set(flags) else ()
    return ("float16",)


def settle(backbones: Iterable[Backbone], images: Sequence[Image]) -> Settled:
    """The first backbone whose features of these images are those of float32.

    Args:
        backbones: The same one in several precisions.
        images: The first that are to be looked at.

    Raises:
        UsageError: If there is none; says how far off each is.
    """
    findings: list[str] = []
    for backbone in backbones:
        precision = backbone.runtime.precision
        if precision == "float32":
            return Settled(backbone=backbone, finding=", ".join(findings))
        error = relative_error(backbone, images)
        findings.append(f"{precision} is off by {error:.2g}")
        if error <= TOLERANCE:
            return Settled(backbone=backbone, finding=", ".join(findings))
    raise UsageError(
        f"{backbone.spec}: {', '.join(findings)} from its features in float32, more than {TOLERANCE:g}",
        "use precision 'float32' or 'auto'",
    )


def relative_error(backbone: Backbone, images: Sequence[Image]) -> float:
    """How far the features of these images are from float32, relative; infinite if they are not finite."""
    exact = replace(backbone, runtime=replace(backbone.runtime, precision="float32"))
    wanted, got = exact.features(images).astype(np.float64), backbone.features(images).astype(np.float64)
    if not np.isfinite(got).all():
        return float("inf")
    return float(np.linalg.norm(got - wanted) / max(np.linalg.norm(wanted), np.finfo(np.float32).tiny))
