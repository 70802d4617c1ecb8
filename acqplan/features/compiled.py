"""torch.compile, for those who ask for it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from acqplan.errors import MissingError


def compile_module(module: nn.Module, example: Tensor, *, spec: str) -> None:
    """Compile a network in place; its tensors and names stay, and copies sent to other processes are not compiled.

    Args:
        module: The network, on its device.
        example: A batch as it will come.
        spec: What to call it in an error.

    Raises:
        MissingError: If it cannot be compiled here, most often for want of a compiler.
    """
    try:
        module.compile()
        with torch.inference_mode():
            module(example)
    except Exception as error:  # each backend and each of its compilers fails in its own way
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise MissingError(
            f"torch.compile does not work for {spec} on {example.device} ({reason})",
            "install a C++ compiler and, for a GPU, triton; or leave compile off",
        ) from error
