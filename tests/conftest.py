"""What all tests share: a cache of their own, and threads that do not spin on busy cores."""

import os

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded; see acqplan/cli/app.py


@pytest.fixture(autouse=True, scope="session")
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["ACQPLAN_CACHE"] = str(tmp_path_factory.mktemp("cache"))
