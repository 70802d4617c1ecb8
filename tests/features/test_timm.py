"""Networks of timm: their names with tags, and weights that they wrote themselves."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from acqplan.errors import BackboneError, WeightsError
from acqplan.features.backbone import load_backbone
from acqplan.runtime import Runtime

timm = pytest.importorskip("timm", reason="timm is not installed")
RUNTIME = Runtime(batch=2)


@pytest.mark.filterwarnings("ignore:Mapping deprecated model name")
@pytest.mark.parametrize(
    "name",
    # plain; with a tag; two classifiers; a classifier of several parts; pixels put into channels; none; a name given up
    [
        "resnet10t",
        "resnet10t.c3_in1k",
        "deit_tiny_distilled_patch16_224",
        "levit_128s",
        "csatv2",
        "test_vit4",
        "convnext_tiny_in22ft1k",
    ],
)
def test_a_network_takes_the_weights_that_it_wrote(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole: Any = timm.create_model(name)  # with its classifier, of which a distilled network has two
    save_file({key: tensor.contiguous() for key, tensor in whole.state_dict().items()}, tmp_path / "net.safetensors")
    loaded: Any = load_backbone(f"timm/{name}", weights=tmp_path / "net.safetensors", runtime=RUNTIME)
    image = torch.rand(1, 3, loaded.preprocessing.size, loaded.preprocessing.size)
    with torch.inference_mode():
        expected = whole.eval().forward_head(whole.forward_features(image), pre_logits=True)
        expected = expected[0] if isinstance(expected, tuple) else expected
        torch.testing.assert_close(loaded.module.get_submodule("net")(image), expected)


@pytest.mark.parametrize(
    ("name", "layers"),
    [("resnet10t", ("layer3", "pool", "layer1")), ("test_vit3", ("blocks.1", "blocks.0")), ("test_vit3", ("pool",))],
)
def test_layers_are_the_means_of_what_leaves_them(name: str, layers: tuple[str, ...], tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole: Any = timm.create_model(name).eval()
    save_file(whole.state_dict(), tmp_path / "net.safetensors")
    spec = f"timm/{name}:{'+'.join(layers)}"
    loaded: Any = load_backbone(spec, weights=tmp_path / "net.safetensors", runtime=RUNTIME)
    assert tuple(layer.name for layer in loaded.layers) == layers
    assert len({layer.fingerprint for layer in loaded.layers}) == len(layers)
    left: dict[str, torch.Tensor] = {}
    for layer in set(layers) - {"pool"}:
        whole.get_submodule(layer).register_forward_hook(lambda _, __, out, layer=layer: left.update({layer: out}))
    image = torch.rand(2, 3, loaded.preprocessing.size, loaded.preprocessing.size)
    with torch.inference_mode():
        left["pool"] = whole.forward_head(whole.forward_features(image), pre_logits=True)
        # tokens of a transformer: those that stand for the whole image are no positions
        means = [left[layer] for layer in layers]
        means = [
            out.mean((2, 3)) if out.ndim == 4 else out[:, whole.num_prefix_tokens :].mean(1) if out.ndim == 3 else out
            for out in means
        ]
        torch.testing.assert_close(loaded.module.get_submodule("net")(image), torch.cat(means, 1))


def test_weights_in_their_authors_names_are_translated(tmp_path: Path) -> None:
    """DINOv2 as its authors save it: with a token that only training needs, which timm leaves out."""
    name = "vit_small_patch14_dinov2"
    torch.manual_seed(0)
    tensors = timm.create_model(name, num_classes=0).state_dict()
    save_file({**tensors, "mask_token": torch.zeros(1, 384)}, tmp_path / "net.safetensors")
    loaded: Any = load_backbone(f"timm/{name}", weights=tmp_path / "net.safetensors", runtime=RUNTIME)
    for key, tensor in loaded.module.get_submodule("net").net.state_dict().items():
        torch.testing.assert_close(tensor, tensors[key])


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file(timm.create_model("resnet10t").state_dict(), tmp_path / "net.safetensors")
    for name in ("test_vit3", "resnet18", "vit_tiny_patch16_224"):
        with pytest.raises(WeightsError, match=f"not the weights of timm/{name}"):
            load_backbone(f"timm/{name}", weights=tmp_path / "net.safetensors", runtime=RUNTIME)


def test_an_unknown_layer_is_told_with_the_known(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match=r"no layer 'layer9'; .*known: pool, act1, layer1"):
        load_backbone("timm/resnet10t:layer9", runtime=RUNTIME)


def test_a_name_of_the_hub_is_told_as_ours() -> None:
    with pytest.raises(BackboneError, match=r"did you mean 'timm/resnet10t.c3_in1k'"):
        load_backbone("hf-hub:timm/resnet10t.c3_in1k", runtime=RUNTIME)


@pytest.mark.parametrize("name", ["resnet10t.c4_in1k", "resnet10", "resnet10t."])
def test_an_unknown_name_or_tag_is_told_with_the_nearest(name: str) -> None:
    with pytest.raises(BackboneError, match=r"similar: .*resnet10t"):
        load_backbone(f"timm/{name}", runtime=RUNTIME)
