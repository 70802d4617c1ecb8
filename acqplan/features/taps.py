"""Several layers of one network in a single pass."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional

from acqplan.features.zoo import Cut


class Tapped(nn.Module):
    """A network that gives several of its layers, side by side.

    Args:
        net: The network down to its deepest layer.
        order: Names of the layers in the order asked; all but one stand in ``shallow``.
        shallow: For each layer but the deepest what a network that ends there is without.
    """

    def __init__(self, net: nn.Module, order: tuple[str, ...], shallow: Mapping[str, Cut]) -> None:
        super().__init__()
        self.net, self.order = net, order
        self.taken: dict[str, Tensor] = {}
        self.widths: tuple[int, ...] = ()
        for layer, parts in shallow.items():
            self._tap(layer, parts)

    def forward(self, x: Num[Tensor, "images channels height width"]) -> Float[Tensor, "images features"]:
        """Features of all layers in the order asked, float32; ``widths`` says how many each has."""
        deepest = self.net(x)
        layers = [self.taken.pop(layer, deepest).float() for layer in self.order]
        self.widths = tuple(layer.shape[1] for layer in layers)
        return torch.cat(layers, 1)

    def _tap(self, layer: str, parts: Cut) -> None:
        """Listen where the network would end: before the first part cut away, or behind its last child left."""
        part, kept = next(iter(parts.items()))
        place = self.net.get_submodule(part)
        if kept:
            place.get_submodule(str(kept - 1)).register_forward_hook(partial(self._behind, layer))
        else:
            place.register_forward_pre_hook(partial(self._before, layer))

    def _behind(self, layer: str, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.taken[layer] = _pooled(output)

    def _before(self, layer: str, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self.taken[layer] = _pooled(inputs[0])


def _pooled(out: Tensor) -> Float[Tensor, "images features"]:
    """The mean over positions, as every network of the registry ends when it is cut."""
    return functional.adaptive_avg_pool2d(out, 1).flatten(1) if out.ndim == 4 else out
