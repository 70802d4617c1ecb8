"""A dask cluster: images are taken here, and looked at there."""

from __future__ import annotations

import importlib.util
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, Self

from torch import Tensor

from acqplan.errors import AcqplanError, MissingError
from acqplan.features.backbone import Backbone
from acqplan.features.recruit import Recruit
from acqplan.features.store import Features

PATIENCE_SECONDS: Final = 5
"""A scheduler that has not answered for so long is taken to be absent."""


class Cluster:
    """The workers of a cluster that runs already; what a dead worker had in hand goes to another.

    Args:
        backbone: The network; the workers run it on a device of the same name.
        address: Of the scheduler, e.g. ``tcp://10.0.0.1:8786``.

    Raises:
        MissingError: On entering, if dask is not installed, or no scheduler with workers is at the address.
    """

    def __init__(self, backbone: Backbone, address: str) -> None:
        self.backbone, self.address = backbone, address
        self.size = 1
        self.open = ExitStack()

    def __enter__(self) -> Self:
        self.client = self.open.enter_context(connected(self.address))
        self.size = len(self.client.nthreads())
        if not self.size:
            self.open.close()
            raise MissingError(f"the dask cluster at {self.address} has no workers", "start some by `dask worker`")
        recruit = Recruit(self.backbone, self.backbone.runtime.device)
        self.recruit = self.client.scatter(recruit, broadcast=True, hash=False)
        return self

    def __exit__(self, *_: object) -> None:
        self.recruit = None
        self.open.close()

    def begin(self, images: Tensor) -> _Sent:
        """Hand images of one shape to whichever worker is free."""
        import dask

        # dask advises to scatter large arguments; but what is scattered dies with its worker
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "4GB"}):
            return _Sent(future=self.client.submit(_features, self.recruit, images.numpy(), pure=False))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sent:
    future: Any

    def result(self) -> Features:
        from dask.distributed import KilledWorker
        from distributed.client import FutureCancelledError

        try:
            features: Features = self.future.result()
        except (KilledWorker, FutureCancelledError, OSError) as error:
            raise AcqplanError(
                f"the dask cluster lost a batch of images ({error})",
                "what was computed is in the cache: look after its workers and run again",
            ) from error
        return features


def connected(address: str) -> Any:
    """A client of the scheduler at an address, e.g. ``tcp://10.0.0.1:8786``.

    Raises:
        MissingError: If dask is not installed, or no scheduler is there.
    """
    if importlib.util.find_spec("distributed") is None:
        raise MissingError("a cluster needs dask, which is not installed", "pip install 'acqplan[dask]'")
    from dask.distributed import Client

    try:
        return Client(address, timeout=PATIENCE_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise MissingError(
            f"no dask scheduler answers at '{address}' ({reason})", "start one by `dask scheduler`, or correct it"
        ) from error


def _features(recruit: Recruit, images: Any) -> Features:
    return recruit(images)
