"""Where heavy work runs: devices that are there are taken, others are refused by name."""

import pytest

from acqplan.errors import MissingError, UsageError
from acqplan.runtime import Runtime


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acqplan.runtime._devices", lambda: {"cuda": 2, "cpu": 1})


def test_the_processor_is_always_there() -> None:
    assert Runtime.detect("cpu").device == "cpu"
    assert Runtime.detect("cpu:0").device == "cpu:0"


@pytest.mark.usefixtures("two_gpus")
def test_the_fastest_device_is_taken_by_default() -> None:
    assert Runtime.detect().device == "cuda"


@pytest.mark.usefixtures("two_gpus")
def test_several_devices_each_get_a_process() -> None:
    runtime = Runtime.detect("cuda:0,cuda:1")
    assert (runtime.device, runtime.devices) == ("cuda:0", ("cuda:0", "cuda:1"))


@pytest.mark.usefixtures("two_gpus")
def test_precision_and_cluster_are_passed_on() -> None:
    runtime = Runtime.detect("cuda:1", precision="bfloat16", cluster="tcp://10.0.0.1:8786")
    assert (runtime.precision, runtime.cluster, runtime.devices) == ("bfloat16", "tcp://10.0.0.1:8786", ())


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["cuda:2", "cuda:x", "cuda:", "cuda:-1", "tpu", "", "cpu:1", "cuda:0,cuda:7", "CUDA"])
def test_a_device_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(MissingError, match="is not available; found: cuda:0 to cuda:1, cpu"):
        Runtime.detect(name)


@pytest.mark.usefixtures("two_gpus")
def test_devices_of_two_kinds_do_not_share_work() -> None:
    with pytest.raises(UsageError, match="one kind"):
        Runtime.detect("cuda:0,cpu")
