"""Which code does the work: torch runs everywhere, numba faster on the CPU if it is installed."""

from __future__ import annotations

from functools import cache
from types import ModuleType
from typing import Literal

import torch

Backend = Literal["torch", "numba"]


def numba_kernels_for(backend: Backend | None, device: torch.device) -> ModuleType | None:
    """`numba_kernels` if the compiled loops shall do the work, None if torch shall.

    Without a ``backend`` numba works wherever it can.

    Raises:
        ValueError: another backend's name; numba for tensors that aren't on the CPU.
        ImportError: numba asked for, but not installed or not usable.
    """
    if backend not in (None, "torch", "numba"):
        raise ValueError(f"backend must be 'torch', 'numba' or None, found {backend!r}")
    if backend == "numba" and device.type != "cpu":
        raise ValueError(f"the numba backend needs tensors on the CPU, found them on {device}")
    if backend == "torch" or device.type != "cpu":
        return None
    kernels = _numba_kernels()
    if backend == "numba" and kernels is None:
        raise ImportError("numba isn't usable here: install vhlib[fast], or leave the backend out")
    return kernels


@cache
def _numba_kernels() -> ModuleType | None:
    try:
        from vhlib.geometry import numba_kernels  # only when needed: importing numba takes a while
    except (ImportError, RuntimeError):  # not installed; no folder for the compiled code
        return None
    return numba_kernels
