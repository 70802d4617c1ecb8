"""Networks in stages: what they compute, where they are divided, what stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from acqplan.errors import BackboneError
from acqplan.features.backbone import load_backbone
from acqplan.features.stages import divide, keep_statistics, stages_of
from acqplan.runtime import Runtime

STAGES = {"alexnet": 8, "mobilenet_v2": 20, "mobilenet_v3_small": 15, "resnet18": 6}


@pytest.mark.parametrize("name", STAGES)
def test_stages_compute_what_the_network_computes(name: str) -> None:
    torch.manual_seed(0)
    net = getattr(torchvision.models, name)(num_classes=7).eval()
    stages = stages_of(net, torch.randn(1, 3, 96, 96))
    assert len(stages) == STAGES[name]
    images = torch.randn(2, 3, 96, 96)
    torch.testing.assert_close(torch.nn.Sequential(*stages)(images), net(images), rtol=1e-3, atol=1e-5)
    # every tensor is in one stage, and it is that of the network
    own = [tensor.data_ptr() for stage in stages for tensor in stage.parameters()]
    assert sorted(own) == sorted(tensor.data_ptr() for tensor in net.parameters())


def test_a_network_that_is_no_chain_is_refused() -> None:
    net = torchvision.models.vit_b_16(num_classes=2).eval()
    with pytest.raises(BackboneError, match="VisionTransformer is not a chain"):
        stages_of(net, torch.randn(1, 3, 224, 224))


@pytest.mark.parametrize("n_upper", [0, 1, 3, 6])
def test_both_parts_together_are_the_backbone(n_upper: int) -> None:
    backbone = load_backbone("toynet", runtime=Runtime())
    divided = divide(backbone, n_upper)
    images = torch.randint(0, 256, (5, 1, 96, 96), dtype=torch.uint8)
    inner = torch.from_numpy(divided.lower.features(images)).view(-1, *divided.shape)
    with torch.no_grad():
        found = torch.nn.Sequential(*divided.upper)(inner)
    torch.testing.assert_close(found, torch.from_numpy(backbone.features(images)), rtol=1e-4, atol=1e-4)
    assert len(divided.upper) == n_upper


def test_parts_have_fingerprints_of_their_own() -> None:
    backbone = load_backbone("toynet", runtime=Runtime())
    prints = {divide(backbone, n).lower.fingerprint for n in range(7)}
    assert len(prints | {backbone.fingerprint}) == 8


def test_networks_of_timm_are_divided_at_their_pool(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    save_file(timm.create_model("resnet10t").state_dict(), tmp_path / "own.safetensors")
    backbone = load_backbone("timm/resnet10t", weights=tmp_path / "own.safetensors", runtime=Runtime())
    divided = divide(backbone, 2)
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    inner = torch.from_numpy(divided.lower.features(images)).view(-1, *divided.shape)
    assert divided.shape[0] == 128
    with torch.no_grad():
        found = torch.nn.Sequential(*divided.upper)(inner)
    torch.testing.assert_close(found, torch.from_numpy(backbone.features(images)), rtol=1e-3, atol=1e-4)
    middle = load_backbone("timm/resnet10t:layer2", weights=tmp_path / "own.safetensors", runtime=Runtime())
    with pytest.raises(BackboneError, match="middle layer of a network of timm"):
        divide(middle, 1)


def test_more_stages_than_there_are_and_several_layers_are_refused() -> None:
    with pytest.raises(BackboneError, match="7 stages of toynet:pool to train, which has 6"):
        divide(load_backbone("toynet", runtime=Runtime()), 7)
    with pytest.raises(BackboneError, match="several layers"):
        divide(load_backbone("toynet:stage3+pool", runtime=Runtime()), 1)


def test_statistics_of_batch_normalisation_stay_while_dropout_acts() -> None:
    net = torchvision.models.mobilenet_v2(num_classes=2)
    before = {name: value.clone() for name, value in net.named_buffers()}
    keep_statistics(net)
    with torch.no_grad():
        first, second = (net(torch.full((2, 3, 32, 32), 3.0)) for _ in range(2))
    assert not torch.equal(first, second)
    assert all(torch.equal(value, before[name]) for name, value in net.named_buffers())
    net.train()(torch.randn(2, 3, 32, 32))
    assert not all(torch.equal(value, before[name]) for name, value in net.named_buffers())
