"""A backbone that travels to another process, and is unpacked where it arrives."""

from __future__ import annotations

import io
from dataclasses import replace
from threading import Lock

import numpy as np
import torch
from jaxtyping import UInt8

from acqplan.features.backbone import Backbone, black_image
from acqplan.features.compiled import compile_module
from acqplan.features.forward import Forward
from acqplan.features.store import Features


class Recruit:
    """Computes features in whichever process it is sent to by pickle; loads the network there once.

    Args:
        backbone: The network, on any device.
        device: Where it shall run.
    """

    sealed: bytes
    device: str
    lock: Lock
    forward: Forward | None

    def __init__(self, backbone: Backbone, device: str) -> None:
        sealed = io.BytesIO()
        torch.save(replace(backbone, runtime=replace(backbone.runtime, device=device)), sealed)
        self._load(sealed.getvalue(), device)

    def __call__(self, images: UInt8[np.ndarray, "images channels height width"]) -> Features:
        """Features of images of one shape, shape ``[images, n_features]``."""
        with self.lock:
            if self.forward is None:
                self.forward = _unpacked(self.sealed, self.device)
            # what came over a network may be read-only, which torch does not know
            return self.forward(torch.from_numpy(np.require(images, requirements="W")))

    def __getstate__(self) -> tuple[bytes, str]:
        return self.sealed, self.device

    def __setstate__(self, state: tuple[bytes, str]) -> None:
        self._load(*state)

    def _load(self, sealed: bytes, device: str) -> None:
        self.sealed, self.device = sealed, device
        self.lock, self.forward = Lock(), None


def _unpacked(sealed: bytes, device: str) -> Forward:
    # bytes that this very program has packed: they may hold more than plain weights
    backbone: Backbone = torch.load(io.BytesIO(sealed), map_location=device, weights_only=False)
    if backbone.runtime.compile:
        compile_module(backbone.module, black_image(backbone.preprocessing, device), spec=backbone.spec)
    return backbone.passes()
