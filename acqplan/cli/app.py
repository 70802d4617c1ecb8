"""The program ``acqplan``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from acqplan.cli import INTERRUPTED


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
    try:
        from acqplan.cli.commands import app

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
