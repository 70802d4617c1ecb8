"""What goes in and out: rigs in formats that other programs read."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from acqplan.errors import UsageError, nearest
from acqplan.progress import SILENT, Progress

if TYPE_CHECKING:
    from acqplan.rig.spec import Rig

# What writes each format: ``(rig, folder, progress) -> what was written, fit for JSON``.
FORMATS = {"smallnorb": "acqplan.exchange.smallnorb:write_smallnorb"}


def convert(rig: Rig | Path | str, *, to: str, out: Path | str, progress: Progress = SILENT) -> dict[str, Any]:
    """Write all images of a rig in a format that other programs read: all files or none.

    Args:
        rig: The rig, or the path of a rig.toml.
        to: ``smallnorb``; what a rig must be for it, says `acqplan.exchange.smallnorb.write_smallnorb`.
        out: A folder that does not exist, or is empty.
        progress: Receives each image.

    Returns:
        The ``files``, the names of the ``objects`` in them, and ``sentences`` that say what was done.

    Raises:
        UsageError: If there is no such format, it cannot say what the rig holds, or the folder cannot be written.
    """
    from acqplan.evaluate.task import opened

    if to not in FORMATS:
        raise UsageError(f"no format is called '{to}'", nearest(to, FORMATS), asked=to)
    module, _, name = FORMATS[to].partition(":")
    written: dict[str, Any] = getattr(importlib.import_module(module), name)(opened(rig, progress), Path(out), progress)
    return written
