"""Opening an extractor: torch is loaded then, not before, and whoever waits is told."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from acqplan.features.extractor import Extractor
from acqplan.runtime import Runtime

if TYPE_CHECKING:
    from tests.features.conftest import FileSource


class Listener:
    """Listens to the names of tasks."""

    def __init__(self) -> None:
        self.names: list[str] = []

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Callable[[int], None]]:
        self.names.append(name)
        yield lambda _: None


def test_importing_the_extractor_loads_neither_torch_nor_numpy() -> None:
    code = "import sys, acqplan.features.extractor; sys.exit(bool({'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_opening_says_that_torch_is_loaded_and_features_come_from_the_source(rig: "FileSource") -> None:
    listener = Listener()
    extractor = Extractor.open(rig, backbone="histogram", runtime=Runtime(), progress=listener)
    assert listener.names == ["loading torch"]
    features = extractor(rig.shots().take([2, 1]))
    np.testing.assert_array_equal(features[::-1], extractor.on(rig)(rig.shots().take([1, 2])))
