"""A clock that is wrong: a library that is loaded before all others shifts the time of day, and nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t which, struct timespec *shown) {
    static int (*known)(clockid_t, struct timespec *);
    const char *ahead = getenv("CLOCK_AHEAD");
    if (!known) known = dlsym(RTLD_NEXT, "clock_gettime");
    int found = known(which, shown);
    if (ahead && which == CLOCK_REALTIME) shown->tv_sec += atol(ahead);
    return found;
}
"""
AHEAD = "CLOCK_AHEAD"
"""Name of the environment variable that says by how many seconds."""


def with_shifted_clock(folder: Path) -> dict[str, str]:
    """An environment in which `AHEAD` shifts the clock of a process, also while it runs."""
    compiler, library = shutil.which("cc"), folder / "clock.so"
    if compiler is None:
        pytest.skip("there is no compiler here")
    source = folder / "clock.c"
    source.write_text(SOURCE, encoding="utf-8")
    done = subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], capture_output=True)
    if done.returncode:
        pytest.skip(f"the compiler here makes no library that can be preloaded: {done.stderr.decode()[:200]}")
    return {**os.environ, "LD_PRELOAD": str(library)}
