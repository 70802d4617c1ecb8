"""The program ``acqplan``."""

from __future__ import annotations

import codecs
import gc
import os
import sys
from pathlib import Path

from acqplan.cli import INTERRUPTED

# What stands for letters that a terminal lacks; any other is written as \\u2026.
PLAIN = dict(zip("▁▂▃▄▅▆▇█░−–✗·•×≥≤", "__--==##.--x**x><", strict=True)) | {"…": "...", "±": "+/-"}


def main() -> None:
    """Run the program and exit with its code; Ctrl-C is answered even while it is being loaded."""
    # Threads that wait by spinning take the cores from rendering processes: 15 s instead of 112 s for the
    # heads of a validation on two busy cores. It must be set before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Planning multiplies small matrices, where numpy's threads cost more than they bring.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # A user's own strategy, module:Class, may be in the working directory; last in the path, it hides nothing
    # that is installed.
    sys.path.append(str(Path.cwd()))
    _open_streams()
    # Modules leave some 100,000 objects that live to the end. Python would look them all through now and again, 3 % of
    # a recommendation, and once more before it exits, a sixth of `campaign ask`.
    gc.set_threshold(50_000, 10, 10)
    try:
        from acqplan.cli.commands import app

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        gc.freeze()


def _open_streams() -> None:
    """Let every text be printed: letters that a terminal lacks are replaced, and what is closed swallows all."""

    def replaced(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        letter = error.object[error.start]
        return PLAIN.get(letter) or letter.encode("ascii", "backslashreplace").decode(), error.start + 1

    codecs.register_error("acqplan", replaced)
    # In this order, so that each gets its own number back, which no other file may have.
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="acqplan")  # type: ignore[union-attr]
