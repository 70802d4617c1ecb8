"""Networks of timm: their names with tags, and weights that they wrote themselves."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from acqplan.errors import BackboneError
from acqplan.features.backbone import load_backbone
from acqplan.runtime import Runtime

timm = pytest.importorskip("timm", reason="timm is not installed")
RUNTIME = Runtime(batch=2)


@pytest.mark.parametrize("name", ["resnet10t", "resnet10t.c3_in1k", "deit_tiny_distilled_patch16_224"])
def test_a_network_takes_the_weights_that_it_wrote(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole: Any = timm.create_model(name)  # with its classifier, of which a distilled network has two
    save_file({key: tensor.contiguous() for key, tensor in whole.state_dict().items()}, tmp_path / "net.safetensors")
    loaded: Any = load_backbone(f"timm/{name}", weights=tmp_path / "net.safetensors", runtime=RUNTIME)
    image = torch.rand(1, 3, loaded.preprocessing.size, loaded.preprocessing.size)
    with torch.inference_mode():
        expected = whole.eval().forward_head(whole.forward_features(image), pre_logits=True)
        torch.testing.assert_close(loaded.module.get_submodule("net")(image), expected)


@pytest.mark.parametrize("name", ["resnet10t.c4_in1k", "resnet10", "resnet10t."])
def test_an_unknown_name_or_tag_is_told_with_the_nearest(name: str) -> None:
    with pytest.raises(BackboneError, match=r"similar: .*resnet10t"):
        load_backbone(f"timm/{name}", runtime=RUNTIME)
