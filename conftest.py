"""One thread for the whole suite, so that it is about as fast next to other work as alone."""

import os
from collections.abc import Iterator

import pytest

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Read by the numeric libraries when they load; processes that tests start inherit them."""


def pytest_configure() -> None:
    os.environ.update(dict.fromkeys(THREADS, "1"))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread of torch at the start of every test, whatever another one has asked for."""
    import torch

    torch.set_num_threads(1)
    yield
