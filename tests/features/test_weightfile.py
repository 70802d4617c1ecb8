"""Files of weights: what is wrong with them is said, and nothing in them is executed."""

import os
import pickle
import zipfile
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


def ruined(kind: str, tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the same shape that is not plain numbers."""
    match kind:
        case "sparse":
            return tensor.to_sparse()
        case "quantised":
            return torch.quantize_per_tensor(tensor.float(), 0.1, 0, torch.qint8)
        case "meta":
            return tensor.to("meta")
        case "repeated":
            return tensor.new_ones(1).expand(tensor.shape)
        case "huge":
            return tensor.new_ones(1).expand(1_000_000, 1_000_000)
    return tensor.to(getattr(torch, kind))


@pytest.mark.filterwarnings("ignore")  # of torch about the kinds that it will give up
@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("sparse", "is sparse, not plain numbers"),
        ("quantised", "is quantised, not plain numbers"),
        ("meta", "is without values, not plain numbers"),
        ("repeated", "is a few numbers repeated to"),
        ("huge", "is a few numbers repeated to"),
        ("int8", "holds int8 where numbers with a point are needed"),
        ("uint8", "holds uint8 where"),
        ("int32", "holds int32 where"),
        ("bool", "holds bool where"),
        ("complex64", "holds complex64 where"),
    ],
)
def test_tensors_that_are_not_plain_numbers_are_named(kind: str, said: str, tmp_path: Path) -> None:
    state = dict(plain().state_dict())
    state["mix.0.conv.weight"] = ruined(kind, state["mix.0.conv.weight"])
    message = refused(save_zip(state, tmp_path))
    assert f"tensor 'mix.0.conv.weight' {said}" in message


@pytest.mark.parametrize("save", [save_safetensors, save_zip])
@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2", "bfloat16", "float64"])
def test_numbers_of_every_precision_are_read(kind: str, save: Save, tmp_path: Path) -> None:
    state = {name: tensor.to(getattr(torch, kind)) for name, tensor in plain().state_dict().items()}
    found = read_weights(save(state, tmp_path)).tensors["mix.0.conv.weight"]
    assert found.dtype == torch.float32
    assert torch.equal(found, state["mix.0.conv.weight"].float())


def test_an_archive_that_unpacks_to_far_more_than_its_size_is_not_read(tmp_path: Path) -> None:
    plain_file, packed = save_zip(plain().state_dict(), tmp_path), tmp_path / "packed.pth"
    with zipfile.ZipFile(plain_file) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))
    assert load_backbone("toynet", weights=packed, runtime=RUNTIME).n_features
    torch.save({"weight": torch.zeros(3)}, tmp_path / "bomb.pth")
    with zipfile.ZipFile(tmp_path / "bomb.pth", "a", zipfile.ZIP_DEFLATED) as target:
        target.writestr("bomb/data/1", bytes(10_000_000))
    assert "a packed file that would fill memory" in refused(tmp_path / "bomb.pth")


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_what_training_programs_put_around_a_network_is_taken_off(wrapper: str, prefix: str, tmp_path: Path) -> None:
    state = plain().state_dict()
    named = {prefix + name: tensor for name, tensor in state.items()}
    torch.save({"epoch": 3, "optimizer": {"state": {}}, wrapper: named}, tmp_path / "net.pth")
    found = read_weights(tmp_path / "net.pth").tensors
    assert set(found) == set(state)


def test_an_empty_safetensors_file_lacks_tensors(tmp_path: Path) -> None:
    save_file({}, tmp_path / "net.safetensors")
    assert "is missing" in refused(tmp_path / "net.safetensors")


def test_a_head_that_the_layer_does_not_need_may_have_other_classes(tmp_path: Path) -> None:
    state = plain().state_dict()
    body = {name: tensor for name, tensor in state.items() if not name.startswith("mix")}
    other = body | {name: tensor[:7] for name, tensor in state.items() if name.startswith("mix")}
    with_it = load_backbone("toynet:stage3", weights=save_zip(other, tmp_path), runtime=RUNTIME)
    without = load_backbone("toynet:stage3", weights=save_safetensors(body, tmp_path), runtime=RUNTIME)
    assert with_it.fingerprint == without.fingerprint
    assert "has shape" in refused(save_zip(other, tmp_path))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_pipe_or_a_device_is_not_waited_for(suffix: str, tmp_path: Path) -> None:
    pipe, device = tmp_path / f"pipe{suffix}", tmp_path / f"device{suffix}"
    os.mkfifo(pipe)
    device.symlink_to("/dev/zero")
    for path in (pipe, device):
        assert "a device or a pipe, not a file" in refused(path)
