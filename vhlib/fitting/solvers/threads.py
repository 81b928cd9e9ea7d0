"""Small products run faster on one thread: torch's and numpy's, while a block runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch on one thread while the block runs.

    A step is hundreds of products of tiny matrices, too small to share: on an idle machine more
    threads gain little, and on a busy one they wait for each other, fifty times slower in a test.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def numpy_on_one_thread() -> Iterator[None]:
    """Numpy's and scipy's linear algebra on one thread while the block runs, for the same reason.

    Entering takes milliseconds, so only methods that need it do.
    """
    with threadpool_limits(1, user_api="blas"):
        yield
