"""Files as Caffe writes them, byte by byte: an oracle that shares nothing with the reader."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Floats = np.ndarray[tuple[Any, ...], np.dtype[Any]]
Weights = Mapping[str, tuple[Floats, ...]]

# Kinds of layers: in the new format, and in the first.
KINDS = {"conv": ("Convolution", 4), "fc": ("InnerProduct", 14), "pool": ("Pooling", 17), "norm": ("LRN", 15)}


def varint(value: int) -> bytes:
    """A whole number, seven bits a byte, the lowest first."""
    value &= 2**64 - 1
    out = b""
    while value > 127:
        out += bytes([value % 128 + 128])
        value //= 128
    return out + bytes([value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def blob(values: Floats, shape: Sequence[int] | None = None) -> bytes:
    """Numbers with their shape, in the new format."""
    dims = b"".join(map(varint, values.shape if shape is None else shape))
    return block(5, values.tobytes()) + block(7, block(1, dims))


def old_blob(values: Floats) -> bytes:
    """Numbers with four sizes, in the first format."""
    sizes = (1,) * (4 - values.ndim) + values.shape
    return b"".join(number(field, size) for field, size in enumerate(sizes, start=1)) + block(5, values.tobytes())


def layer(name: str, *blobs: bytes, kind: str = "") -> bytes:
    """A layer of the new format, with a field (the name of what goes in) that no weights are in."""
    kind = KINDS[kind or name.rstrip("0123456789")][0]
    content = block(1, name.encode()) + block(2, kind.encode()) + block(3, b"data")
    return block(100, content + b"".join(block(7, each) for each in blobs))


def old_layer(name: str, *blobs: bytes, kind: str = "") -> bytes:
    """A layer of the first format."""
    content = block(2, b"data") + block(4, name.encode())
    content += number(5, KINDS[kind or name.rstrip("0123456789")][1])
    return block(2, content + b"".join(block(6, each) for each in blobs))


def caffe_file(weights: Weights, *, old: bool = False, title: str = "CaffeNet") -> bytes:
    """A whole file of layers with weights."""
    write_layer, write_blob = (old_layer, old_blob) if old else (layer, blob)
    layers = (write_layer(name, *map(write_blob, blobs)) for name, blobs in weights.items())
    return block(1, title.encode()) + b"".join(layers)
