"""Files of weights: what is wrong with them is said, and nothing in them is executed."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from acqplan.errors import WeightsError
from acqplan.features.backbone import load_backbone
from acqplan.features.networks import read_weights
from acqplan.features.toynet import METADATA, ToyNet, plain
from acqplan.runtime import Runtime

RUNTIME = Runtime(batch=4)


def refused(path: Path, backbone: str = "toynet") -> str:
    with pytest.raises(WeightsError) as caught:
        load_backbone(backbone, weights=path, runtime=RUNTIME)
    assert caught.value.exit_code == 3
    assert str(path) in str(caught.value)
    return str(caught.value)


def half(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.half() for name, tensor in net.state_dict().items()}


def save_safetensors(state: dict[str, torch.Tensor], folder: Path) -> Path:
    save_file(state, folder / "net.safetensors", metadata=METADATA)
    return folder / "net.safetensors"


def save_zip(state: dict[str, torch.Tensor], folder: Path) -> Path:
    torch.save(state, folder / "net.pth")
    return folder / "net.pth"


def save_legacy(state: dict[str, torch.Tensor], folder: Path) -> Path:
    torch.save({"state_dict": state}, folder / "old.pth", _use_new_zipfile_serialization=False)
    return folder / "old.pth"


FORMATS = pytest.mark.parametrize("save", [save_safetensors, save_zip, save_legacy])
Save = Callable[[dict[str, torch.Tensor], Path], Path]


@FORMATS
def test_half_precision_weights_of_any_format_are_the_same_backbone(save: Save, tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = half(plain())
    loaded = load_backbone("toynet", weights=save(state, tmp_path), runtime=RUNTIME)
    direct = load_backbone("toynet", weights=save_safetensors(state, tmp_path), runtime=RUNTIME)
    assert loaded.fingerprint == direct.fingerprint
    assert next(loaded.module.parameters()).dtype == torch.float32


@FORMATS
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_truncated_files_are_refused(save: Save, share: float, tmp_path: Path) -> None:
    path = save(half(plain()), tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    refused(path)


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_is_more_than_weights_is_not_executed(zipped: bool, tmp_path: Path) -> None:
    path, mark = tmp_path / "evil.pth", tmp_path / "executed"
    torch.save({"weight": torch.zeros(1), "x": Malicious(mark)}, path, _use_new_zipfile_serialization=zipped)
    assert "not executed" in refused(path)
    assert not mark.exists()


def test_a_bare_pickle_is_not_executed(tmp_path: Path) -> None:
    path, mark = tmp_path / "evil.pt", tmp_path / "executed"
    path.write_bytes(pickle.dumps(Malicious(mark)))
    refused(path)
    assert not mark.exists()


def test_a_whole_network_pickled_is_refused(tmp_path: Path) -> None:
    torch.save(plain(), tmp_path / "net.pth")
    assert "state_dict()" in refused(tmp_path / "net.pth")


@pytest.mark.parametrize("value", [[1, 2], {}, {"a": 1}, torch.zeros(2)], ids=["list", "empty", "numbers", "tensor"])
def test_files_without_named_tensors_are_refused(value: object, tmp_path: Path) -> None:
    torch.save(value, tmp_path / "net.pth")
    assert "not named tensors" in refused(tmp_path / "net.pth")


def test_missing_files_folders_and_other_suffixes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "net.onnx").write_bytes(b"1234")
    (tmp_path / "folder.pth").mkdir()
    assert "no such file" in refused(tmp_path / "nothing.pth")
    assert "folder" in refused(tmp_path / "folder.pth")
    assert ".safetensors" in refused(tmp_path / "net.onnx")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(bad: float, tmp_path: Path) -> None:
    state = half(plain())
    state["stage3.2.first.conv.bias"][3] = bad
    assert "stage3.2.first.conv.bias" in refused(save_safetensors(state, tmp_path))


def test_another_architecture_is_guessed_from_its_tensors(tmp_path: Path) -> None:
    torch.manual_seed(0)
    message = refused(save_zip(half(plain()), tmp_path), "resnet18")
    assert "'conv1.weight' of shape [64, 3, 7, 7] is missing" in message
    assert "the file holds toynet" in message


def test_a_tensor_of_another_shape_is_named_with_both_shapes(tmp_path: Path) -> None:
    state = half(plain())
    state["mix.0.conv.bias"] = torch.zeros(255).half()
    assert "'mix.0.conv.bias' has shape [255] where [256] is needed" in refused(save_zip(state, tmp_path))


def test_a_tensor_too_many_is_named(tmp_path: Path) -> None:
    assert "'stem.0.norm.weight' is not part of it" in refused(save_zip(ToyNet().state_dict(), tmp_path))


def test_what_the_layer_does_not_need_may_be_missing(tmp_path: Path) -> None:
    state = {name: tensor for name, tensor in plain().state_dict().items() if not name.startswith("mix")}
    path = save_zip(state, tmp_path)
    assert load_backbone("toynet:stage3", weights=path, runtime=RUNTIME).n_features == 128
    assert "'mix.0.conv.weight'" in refused(path)


def test_metadata_that_is_not_understood_is_refused(tmp_path: Path) -> None:
    save_file(half(plain()), tmp_path / "a.safetensors", metadata={"input": "thermal 96"})
    with pytest.raises(WeightsError, match="thermal 96"):
        load_backbone("toynet", weights=tmp_path / "a.safetensors", runtime=RUNTIME)


def test_metadata_of_other_channels_than_the_network_are_refused(tmp_path: Path) -> None:
    save_file(half(plain()), tmp_path / "a.safetensors", metadata={"input": "RGB 96, mean 0.5, std 0.5"})
    with pytest.raises(WeightsError, match=r"RGB 96.* takes 1 channel"):
        load_backbone("toynet", weights=tmp_path / "a.safetensors", runtime=RUNTIME)


def test_integers_keep_their_type(tmp_path: Path) -> None:
    path = save_zip({"counter": torch.tensor(3), "weight": torch.ones(2).half()}, tmp_path)
    tensors = read_weights(path).tensors
    assert tensors["counter"].dtype == torch.int64
    assert tensors["weight"].dtype == torch.float32
