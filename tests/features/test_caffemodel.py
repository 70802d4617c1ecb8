"""Caffe's files: both formats are read, and what is wrong with a file is said."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from acqplan.errors import AcqplanError, MissingError, WeightsError
from acqplan.features.backbone import load_backbone
from acqplan.features.caffemodel import LARGEST
from acqplan.features.networks import read_weights
from acqplan.runtime import Runtime
from tests.features.caffe_files import Floats, Weights, blob, block, caffe_file, layer, number, old_blob, old_layer


def floats(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


SMALL: Weights = {
    "conv1": (floats(4, 3, 2, 2), floats(4)),
    "fc6": (floats(5, 16), floats(5)),
    "fc7": (floats(2, 5),),
}
CONV1: Weights = {"conv1": (floats(96, 3, 11, 11), floats(96))}


def written(folder: Path, content: bytes, name: str = "net.caffemodel") -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def refused(path: Path, backbone: str = "caffenet") -> str:
    with pytest.raises(WeightsError) as caught:
        load_backbone(backbone, weights=path, runtime=Runtime(batch=4))
    assert caught.value.exit_code == 3
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("old", [False, True], ids=["new", "first"])
def test_both_formats_give_the_numbers_that_were_written(old: bool, tmp_path: Path) -> None:
    found = read_weights(written(tmp_path, caffe_file(SMALL, old=old))).tensors
    assert list(found) == ["conv1.weight", "conv1.bias", "fc6.weight", "fc6.bias", "fc7.weight"]
    for name, blobs in SMALL.items():
        for part, values in zip(("weight", "bias"), blobs, strict=False):
            torch.testing.assert_close(found[f"{name}.{part}"], torch.from_numpy(values), rtol=0, atol=0)


def test_formats_of_layers_and_of_blobs_mix_as_in_upgraded_files(tmp_path: Path) -> None:
    weight, bias = SMALL["fc6"]
    content = layer("fc6", old_blob(weight), old_blob(bias)) + old_layer("fc7", blob(weight))
    found = read_weights(written(tmp_path, content)).tensors
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == {
        "fc6.weight": (5, 16),
        "fc6.bias": (5,),
        "fc7.weight": (5, 16),
    }


def test_numbers_in_double_precision_or_one_by_one_are_read(tmp_path: Path) -> None:
    values = floats(3, 2)
    shape = block(7, block(1, b"\x03\x02"))
    double = shape + block(8, values.astype(np.float64).tobytes())
    single = shape + b"".join(b"\x2d" + value.tobytes() for value in values.ravel())
    found = read_weights(written(tmp_path, layer("fc6", double) + layer("fc7", single))).tensors
    for name in ("fc6.weight", "fc7.weight"):
        np.testing.assert_array_equal(found[name].numpy(), values)


def test_layers_without_weights_and_unknown_fields_do_not_matter(tmp_path: Path) -> None:
    content = caffe_file(SMALL) + layer("pool1") + layer("norm1") + block(77, b"more") + number(5, 1)
    assert set(read_weights(written(tmp_path, content)).tensors) == {
        "conv1.weight",
        "conv1.bias",
        "fc6.weight",
        "fc6.bias",
        "fc7.weight",
    }


def test_a_missing_blob_is_named_with_the_shape_needed(tmp_path: Path) -> None:
    assert "tensor 'conv2.weight' of shape [256, 48, 5, 5] is missing" in refused(
        written(tmp_path, caffe_file(CONV1, title="Half a net"))
    )
    assert "the file holds network 'Half a net' of Caffe" in refused(tmp_path / "net.caffemodel")
    weight, _ = CONV1["conv1"]
    assert "tensor 'conv1.bias' of shape [96] is missing" in refused(
        written(tmp_path, caffe_file({"conv1": (weight,)}))
    )


@pytest.mark.parametrize("old", [False, True], ids=["new", "first"])
def test_a_misshapen_blob_is_named_with_both_shapes(old: bool, tmp_path: Path) -> None:
    ungrouped = {**CONV1, "conv2": (floats(256, 96, 5, 5), floats(256))}
    assert "'conv2.weight' has shape [256, 96, 5, 5] where [256, 48, 5, 5] is needed" in refused(
        written(tmp_path, caffe_file(ungrouped, old=old))
    )


def test_a_layer_of_another_network_is_named(tmp_path: Path) -> None:
    vgg: Weights = {"conv1_1": (floats(64, 3, 3, 3), floats(64))}
    content = b"".join(layer(name, *map(blob, blobs), kind="conv") for name, blobs in vgg.items())
    message = refused(written(tmp_path, block(1, b"VGG_ILSVRC_16_layers") + content))
    assert "'conv1.weight' of shape [96, 3, 11, 11] is missing" in message
    assert "VGG_ILSVRC_16_layers" in message


@pytest.mark.parametrize("write", [layer, old_layer])
def test_alexnet_of_the_same_weights_is_refused(write: Callable[..., bytes], tmp_path: Path) -> None:
    alexnet = b"".join(write(name) for name in ("conv1", "norm1", "pool1", "conv2", "norm2", "pool2"))
    message = refused(written(tmp_path, block(1, b"AlexNet") + alexnet))
    assert "'AlexNet' normalises before it pools" in message
    assert "bvlc_reference_caffenet.caffemodel" in message


@pytest.mark.parametrize("shape", [(5, 15), (5, 16, 2), (-5, -16), (0, 16), (2**62, 4)])
def test_numbers_that_do_not_fill_their_shape_are_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    message = refused(written(tmp_path, layer("fc6", blob(floats(5, 16), shape))))
    assert f"layer 'fc6', blob 0: 80 numbers do not fill shape {list(shape)}" in message


def test_a_blob_without_shape_or_numbers_is_refused(tmp_path: Path) -> None:
    assert "blob 0: 0 numbers do not fill shape [0, 0, 0, 0]" in refused(written(tmp_path, layer("fc6", b"")))


def test_names_in_a_file_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    message = refused(written(tmp_path, caffe_file(CONV1, title="\x1b[2J\nall is well" + "!" * 10_000)))
    assert "\x1b" not in message
    assert len(message) < 1000


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.5, 0.999])
@pytest.mark.parametrize("old", [False, True], ids=["new", "first"])
def test_truncated_files_are_refused(share: float, old: bool, tmp_path: Path) -> None:
    content = caffe_file(CONV1, old=old)
    refused(written(tmp_path, content[: int(share * len(content))]))


def test_a_file_cut_between_two_layers_lacks_a_tensor(tmp_path: Path) -> None:
    assert "'conv2.weight'" in refused(written(tmp_path, caffe_file(CONV1)))


@pytest.mark.parametrize(
    "content",
    [
        b'name: "CaffeNet"\nlayer { name: "data" type: "Input" }\n',
        b"<html><body>404 Not Found</body></html>",
        b"PK\x03\x04" + bytes(100),
        bytes(1000),
        b"\x0b" * 400,
        np.random.default_rng(1).bytes(10_000),
        block(2, block(1, block(1, b"conv1"))),
    ],
    ids=["text", "page", "zip", "zeros", "groups", "noise", "zeroth format"],
)
def test_what_is_no_network_of_caffe_is_refused(content: bytes, tmp_path: Path) -> None:
    assert "no .caffemodel" in refused(written(tmp_path, content))


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    weight, bias = CONV1["conv1"]
    bias = bias.copy()
    bias[3] = np.nan
    assert "'conv1.bias' holds NaN" in refused(written(tmp_path, caffe_file({"conv1": (weight, bias)})))


def test_a_file_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)  # takes no space on the disk
    assert f"{LARGEST + 1:,} bytes" in refused(path)


def test_the_reference_missing_says_from_where_and_where_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(MissingError) as caught:
        load_backbone("caffenet:fc6", runtime=Runtime())
    assert caught.value.exit_code == 4
    place = tmp_path / "hub" / "checkpoints" / "bvlc_reference_caffenet.caffemodel"
    for part in (str(place), "244 MB", "http://dl.caffe.berkeleyvision.org/", "4c8d77deb20ea792", "--weights"):
        assert part in str(caught.value)
    place.parent.mkdir(parents=True)
    place.write_bytes(caffe_file(CONV1))
    with pytest.raises(AcqplanError, match=r"'conv2\.weight'"):  # it was found, and it is not whole
        load_backbone("caffenet:fc6", runtime=Runtime())


def test_protobuf_missing_names_the_extra(tmp_path: Path) -> None:
    path = written(tmp_path, caffe_file(CONV1))
    code = (
        "import sys\n"
        "sys.modules['google.protobuf'] = None\n"  # as if it were not installed
        "from pathlib import Path\n"
        "from acqplan.errors import MissingError\n"
        "from acqplan.features.networks import read_weights\n"
        "try:\n"
        "    read_weights(Path(sys.argv[1]))\n"
        "except MissingError as error:\n"
        "    print(error.exit_code, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("4 ")
    assert "acqplan[caffe]" in done.stdout
