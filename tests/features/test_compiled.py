"""Compiled backbones: the same features, or a clear refusal."""

import io
import os
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from acqplan.errors import MissingError
from acqplan.features.backbone import Backbone, black_image, compile_module, load_backbone
from acqplan.runtime import Runtime

# torch's own tracing warns of its own internals
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")
slow = pytest.mark.skipif("ACQPLAN_COMPILE" not in os.environ, reason="ACQPLAN_COMPILE is unset: takes half a minute")


class Unsupported(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError("no kernel")


@slow
def test_a_compiled_backbone_gives_the_same_features() -> None:
    spec = "toynet-untrained:stage2+pool"
    compiled, plain = (load_backbone(spec, runtime=Runtime(compile=switch)) for switch in (True, False))
    images = torch.randint(0, 256, (5, 1, 96, 96), dtype=torch.uint8)
    np.testing.assert_allclose(compiled.features(images), plain.features(images), rtol=1e-4, atol=1e-5)
    assert compiled.fingerprint == plain.fingerprint


def test_what_cannot_be_compiled_is_said(tiny: Callable[..., Backbone]) -> None:
    black = black_image(tiny().preprocessing, "cpu")
    with pytest.raises(MissingError, match=r"torch\.compile does not work for tiny on cpu .*compile off") as caught:
        compile_module(Unsupported(), black, spec="tiny")
    assert caught.value.exit_code == 4


def test_a_copy_for_another_process_is_not_compiled(quarters: nn.Module) -> None:
    quarters.compile()
    packed = io.BytesIO()
    torch.save(quarters, packed)
    packed.seek(0)
    assert torch.load(packed, weights_only=False)._compiled_call_impl is None
