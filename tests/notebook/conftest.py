"""What the tests of figures share."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import pytest

from vhlib.body import SMPL


@pytest.fixture(scope="session")
def smpl() -> SMPL:
    """The neutral body."""
    return SMPL.load()


@pytest.fixture(autouse=True)
def figures_are_closed() -> Iterator[None]:
    """What one test draws, the next doesn't find."""
    yield
    plt.close("all")
