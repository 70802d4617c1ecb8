"""Weights that torchvision publishes: where they lie, and fetching them once."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import torch

from acqplan.errors import MissingError

RELEASE = "IMAGENET1K_V1"
"""The first release of each network's weights. The later ones classify ImageNet better, but the losses
and augmentations that make them so make frozen features transfer worse (Kornblith et al., NeurIPS 2021)."""

PATIENCE_SECONDS = 20.0


def published_weights(name: str) -> Path:
    """The file of torchvision's weights of a network, downloaded with a progress bar unless it is there.

    Args:
        name: A network of torchvision.

    Raises:
        MissingError: If the file is not there and cannot be had; says which, how large, and where it goes.
    """
    from torchvision.models import get_model_weights

    release = get_model_weights(name)[RELEASE]
    path = Path(torch.hub.get_dir()) / "checkpoints" / release.url.rpartition("/")[2]
    if not path.exists():
        _download(release.url, path, megabytes=release.meta["_file_size"])
    return path


def _download(url: str, path: Path, *, megabytes: float) -> None:
    # torchvision names its files <what>-<first digits of their SHA-256>.pth
    digest = path.stem.rpartition("-")[2]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _patience():
            torch.hub.download_url_to_file(url, str(path), hash_prefix=digest, progress=True)
    except (OSError, RuntimeError) as error:
        raise MissingError(
            f"{path.name} ({megabytes:.0f} MB) is not here and cannot be downloaded ({error})",
            f"get it from {url} and put it at {path}, or name the file with --weights",
        ) from error


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """A network that swallows packets shall not hold the program for minutes."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(PATIENCE_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
