"""Caffe's files of weights, ``.caffemodel``: a network in the wire format of protobuf, new or of the first version.

Only the fields that hold weights are declared, by their numbers in Caffe's ``caffe.proto``; protobuf skips the others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from acqplan.errors import MissingError, WeightsError

REFERENCE: Final = "bvlc_reference_caffenet.caffemodel"
REFERENCE_URL: Final = f"http://dl.caffe.berkeleyvision.org/{REFERENCE}"
# As BVLC publishes it beside the model.
REFERENCE_SHA1: Final = "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46"
# Bytes; four times the reference, and twice the largest network of Caffe's zoo (VGG). protobuf reads 2 GiB at most.
LARGEST: Final = 2**30

# Message -> field -> number and type; the type is a scalar, or an earlier message.
MESSAGES: Final[Mapping[str, Mapping[str, tuple[int, str]]]] = {
    "BlobShape": {"dim": (1, "packed int64")},
    "BlobProto": {
        "shape": (7, "BlobShape"),
        "data": (5, "packed float"),
        "double_data": (8, "packed double"),
        **{name: (number, "int64") for number, name in enumerate(("num", "channels", "height", "width"), start=1)},
    },
    "LayerParameter": {"name": (1, "bytes"), "type": (2, "bytes"), "blobs": (7, "repeated BlobProto")},
    "V1LayerParameter": {"name": (4, "bytes"), "type": (5, "int32"), "blobs": (6, "repeated BlobProto")},
    "NetParameter": {
        "name": (1, "bytes"),
        "layers": (2, "repeated V1LayerParameter"),
        "layer": (100, "repeated LayerParameter"),
    },
}
# Types of layers, in the new format and in the first.
POOLING, NORMALISATION = (b"Pooling", 17), (b"LRN", 15)


def read_caffemodel(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the weights of CaffeNet, or of another network of Caffe.

    ``safetensors.torch.save_file(read_caffemodel(path)[0], "caffenet.safetensors")`` converts a file, for machines
    without protobuf.

    Args:
        path: A ``.caffemodel``.

    Returns:
        Tensors by layer, ``conv1.weight`` and ``conv1.bias``, float32; and the name of the network, ``architecture``.

    Raises:
        MissingError: If protobuf is not installed.
        WeightsError: If the file is too large, cut short or no network of Caffe, if a layer holds more or fewer
            numbers than its shape, or if the network normalises before it pools: AlexNet has weights of
            CaffeNet's names and shapes, and would give wrong features in silence.
    """
    if path.stat().st_size > LARGEST:
        raise WeightsError(
            f"{path}: {path.stat().st_size:,} bytes, where a .caffemodel has at most {LARGEST:,}",
            "give the network alone",
            path=path,
        )
    net = _parsed(path)
    name = _text(net.name)
    layers = [*net.layer, *net.layers]
    order = [layer.type in POOLING for layer in layers if layer.type in POOLING + NORMALISATION]
    if order and not order[0]:
        raise WeightsError(
            f"{path}: network {name} normalises before it pools, as AlexNet does; CaffeNet pools first",
            f"give {REFERENCE}",
            path=path,
        )
    tensors: dict[str, Tensor] = {}
    for layer in layers:
        for number, blob in enumerate(layer.blobs):
            part = ("weight", "bias")[number] if number < 2 else f"blob{number}"
            tensors[f"{layer.name.decode(errors='replace')}.{part}"] = _tensor(blob, _text(layer.name), number, path)
    if not tensors:
        raise WeightsError(
            f"{path}: holds no layer with weights, or is no .caffemodel",
            "get it again; files from before May 2014 are upgraded by Caffe's upgrade_net_proto_binary",
            path=path,
        )
    return tensors, {"architecture": f"network {name} of Caffe"}


def reference_weights() -> Path:
    """The reference weights of CaffeNet, where torch keeps downloaded weights.

    Raises:
        MissingError: If they are not there; says from where to get them. They are not downloaded, because their home
            has no encrypted address.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / REFERENCE
    if not path.exists():
        raise MissingError(
            f"{REFERENCE} (244 MB), the weights of caffenet, is not here",
            f"get it from {REFERENCE_URL} (SHA-1 {REFERENCE_SHA1}) and put it at {path}, "
            "or name the file with --weights",
            path=path,
        )
    return path


def _parsed(path: Path) -> Any:
    """The message ``NetParameter`` in a file, of a class made from `MESSAGES`."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message
        from google.protobuf.message_factory import GetMessageClass
    except ModuleNotFoundError as error:
        raise MissingError(
            f"{path}: a .caffemodel needs protobuf, which is not installed", "pip install 'acqplan[caffe]'", path=path
        ) from error
    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="acqplan/caffe.proto", package="acqplan", syntax="proto2")
    for title, fields in MESSAGES.items():
        declared = file.message_type.add(name=title)
        for name, (number, text) in fields.items():
            label, _, kind = text.rpartition(" ")
            field = declared.field.add(name=name, number=number)
            field.label = kinds.LABEL_REPEATED if label else kinds.LABEL_OPTIONAL
            if kind in MESSAGES:
                field.type, field.type_name = kinds.TYPE_MESSAGE, f".acqplan.{kind}"
            else:
                field.type = kinds.Type.Value(f"TYPE_{kind.upper()}")
                field.options.packed = label == "packed"
    # A pool of its own does not collide with Caffe's declarations in the same process.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    network = GetMessageClass(pool.FindMessageTypeByName("acqplan.NetParameter"))
    try:
        return network.FromString(path.read_bytes())
    except message.DecodeError as error:
        raise WeightsError(
            f"{path}: is cut short or no .caffemodel (protobuf: {error})", "get the whole file again", path=path
        ) from error


def _text(name: bytes) -> str:
    """A name in quotes, for messages, whatever a file gives as one."""
    return repr(name[:80].decode(errors="replace"))


def _tensor(blob: Any, layer: str, number: int, path: Path) -> Tensor:
    """The numbers of a blob in its shape."""
    # Older files give four sizes to everything; those in front are 1 where the layer has fewer.
    shape = list(blob.shape.dim)
    if not shape:
        shape = [blob.num, blob.channels, blob.height, blob.width]
        while len(shape) > 1 and shape[0] == 1:
            del shape[0]
    values = np.array(blob.data or blob.double_data, dtype=np.float32)
    if min(shape) < 1 or math.prod(shape) != len(values):
        raise WeightsError(
            f"{path}: layer {layer}, blob {number}: {len(values):,} numbers do not fill shape {shape}",
            "get the whole file again",
            path=path,
        )
    return torch.from_numpy(values).reshape(shape)
