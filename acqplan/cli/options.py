"""Options that several commands share: the backbone, and where it runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from acqplan.runtime import Runtime

BackboneOption = Annotated[
    str | None, typer.Option(help="NAME or NAME:LAYER; toynet for toys, else mobilenet_v2.", show_default=False)
]
WeightsOption = Annotated[
    Path | None, typer.Option(help="The backbone's weights (.safetensors, .pth); else downloaded.")
]
DeviceOption = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, mps, or several: cuda:0,cuda:1; by default the fastest.")
]


class Precision(StrEnum):
    """Number formats of a backbone's forward pass, see `acqplan.runtime.Runtime`."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"
    auto = "auto"


PrecisionOption = Annotated[
    Precision,
    typer.Option(help="Number format of the backbone; auto: the fastest whose features are within 1e-2 of float32."),
]


def chosen_runtime(device: str | None, precision: Precision, cluster: str | None) -> Runtime | None:
    """What was asked for; ``None`` if nothing was, so that a plan that needs no backbone loads no torch."""
    if device is None and precision is Precision.float32 and not cluster:
        return None
    return Runtime.detect(device, precision=precision.value, cluster=cluster or "")
