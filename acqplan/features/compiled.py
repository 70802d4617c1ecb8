"""Networks compiled for a processor by OpenVINO, an extra: the same features in less time."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from functools import lru_cache
from threading import local
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from acqplan.errors import AcqplanError
from acqplan.features.pixels import Preprocessing, resized

if TYPE_CHECKING:
    from acqplan.features.backbone import Forward
    from acqplan.runtime import Precision

# Pixels that one core is given at a time. On two cores, three images of 224 x 224 at a time, MobileNetV2 sees 333 a
# second (298 by six), ResNet-18 100 (105); toynet, 16 of 96 x 96 at a time, 3,270 (1,700 one by one).
PIXELS = 160_000
# Number formats as OpenVINO calls them.
HINTS = {"float32": "f32", "bfloat16": "bf16"}


def is_installed() -> bool:
    """Whether the extra is there."""
    return importlib.util.find_spec("openvino") is not None


def compiled(module: nn.Module, preprocessing: Preprocessing, precision: Precision, *, threads: int) -> Forward:
    """Compile a network for this processor.

    Args:
        module: The network; takes ``[images, channels, size, size]`` in ``0 .. 255``.
        preprocessing: What it expects of its input.
        precision: ``"float32"`` or ``"bfloat16"``.
        threads: Threads of the caller that compute side by side, each on a core of its own; 1 to use all cores.

    Returns:
        A function that takes bytes of images of any size and gives their features.

    Raises:
        AcqplanError: If the network has an operation that OpenVINO does not know.
    """
    at_once = max(1, PIXELS // preprocessing.size**2)
    cores = threads if threads > 1 else torch.get_num_threads()
    model = _model(module, preprocessing.channels, preprocessing.size, HINTS[precision], threads, cores)
    mine = local()

    def one_pass(images: Tensor) -> np.ndarray:
        if not hasattr(mine, "request"):
            mine.request = model.create_infer_request()
        with torch.inference_mode():
            pixels = resized(images, preprocessing).float().expand(-1, preprocessing.channels, -1, -1).contiguous()
            # copied to and fro: with memory of ours (share_inputs) 2026.4 wrote beyond its end
            return np.concatenate([mine.request.infer({0: some.numpy()})[0] for some in torch.split(pixels, at_once)])

    return one_pass


@lru_cache(maxsize=2)  # two number formats are compared
def _model(module: nn.Module, channels: int, size: int, hint: str, threads: int, cores: int) -> Any:
    settings = {
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": cores,
        "NUM_STREAMS": threads,
        "ENABLE_CPU_PINNING": False,
    }
    return _openvino().Core().compile_model(_converted(module, channels, size), "CPU", settings)


@lru_cache(maxsize=1)
def _converted(module: nn.Module, channels: int, size: int) -> Any:
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch.jit.trace, which OpenVINO uses, is deprecated
            return _openvino().convert_model(module, example_input=torch.zeros(1, channels, size, size))
    except Exception as error:  # whatever tracing and converting raise
        raise AcqplanError("OpenVINO does not know every operation of this network") from error


def _openvino() -> Any:
    """The package, which would tell its makers over the network that it is imported and converts a network."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return importlib.import_module("openvino")
