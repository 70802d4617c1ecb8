"""Named streams of random numbers: the one place where seeds are made."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def stream(seed: int, *names: object) -> int:
    """Derive the seed of a named stream, the same on every machine and in every process.

    Args:
        seed: The seed the user gave.
        names: What the stream is for, e.g. ``stream(0, "random-shots", "car-03")``.

    Returns:
        An integer in ``0 .. 2**63 - 1``; different names give independent streams.
    """
    text = "\x1f".join([str(int(seed)), *map(str, names)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(seed: int, *names: object) -> np.random.Generator:
    """A numpy generator on the stream of these names."""
    import numpy as np

    return np.random.default_rng(stream(seed, *names))
