"""Networks side by side on a processor: the same features, and nothing of torch left changed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from acqplan.features.backbone import load_backbone
from acqplan.features.devices import MANY_BATCHES, MOST_CORES, in_threads, networks_for
from acqplan.pool import one_core_threads
from acqplan.runtime import Runtime


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_features_are_those_of_one_network_on_all_cores() -> None:
    backbone = load_backbone("toynet", runtime=Runtime(batch=16))
    images = torch.randint(0, 256, (5, 16, 1, 96, 96), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with in_threads(backbone, 2) as networks:
        found = [wait() for wait in [networks.submit(batch) for batch in images]]
    np.testing.assert_allclose(np.stack(found), np.stack([backbone.features(batch) for batch in images]), rtol=1e-5)


@pytest.mark.usefixtures("two_threads")
def test_other_threads_keep_all_cores() -> None:
    with one_core_threads(2) as pool, ThreadPoolExecutor(1) as other:
        assert [future.result() for future in [pool.submit(torch.get_num_threads) for _ in range(4)]] == [1] * 4
        assert torch.get_num_threads() == 2
        assert other.submit(torch.get_num_threads).result() == 2
    with ThreadPoolExecutor(1) as other:
        assert other.submit(torch.get_num_threads).result() == 2


def test_a_network_in_threads_is_for_few_cores_many_images_and_a_processor_alone() -> None:
    before = torch.get_num_threads()
    backbone = load_backbone("histogram", runtime=Runtime())
    both = load_backbone("histogram", runtime=Runtime(devices=("cpu", "cpu")))
    many = MANY_BATCHES * backbone.limit
    try:
        for n_threads, chosen, n_images, expected in (
            (2, backbone, 2 * many, True),
            (2, backbone, 2 * many - 1, False),
            (2, both, 2 * many, False),
            (1, backbone, 2 * many, False),
            (MOST_CORES + 1, backbone, 99 * many, False),
        ):
            torch.set_num_threads(n_threads)
            with networks_for(chosen, n_images) as networks:
                assert (networks.batch < chosen.limit) == expected, "cores share a batch"
    finally:
        torch.set_num_threads(before)
