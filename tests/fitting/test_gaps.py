"""Frames in which nobody is seen: which other frame stands for them."""

from __future__ import annotations

import pytest
import torch

from vhlib.fitting.gaps import nearest_seen


@pytest.mark.parametrize(
    ("seen", "nearest"),
    [
        ([True, False, True], [0, 0, 2]),
        ([True, False, False, False, True], [0, 0, 0, 4, 4]),
        ([False, False, True, False], [2, 2, 2, 2]),
        ([True], [0]),
    ],
)
def test_the_nearest_frame_is_taken_the_earlier_of_two(seen, nearest):
    assert nearest_seen(torch.tensor(seen)).tolist() == nearest


def test_nobody_anywhere_is_an_error():
    with pytest.raises(ValueError, match="nobody is seen in any of the 3 frames"):
        nearest_seen(torch.zeros(3, dtype=torch.bool))
