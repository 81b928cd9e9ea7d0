"""Calling an exercise's function: arrays in, an :class:`~vhlib.course.comparison.Answer` out.

For code that is trusted, or that runs on its author's own machine: references, a bank's answers, a
student's own check. The grader calls students' code elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vhlib.course.bank import Case
from vhlib.course.comparison import Answer, sum_weights


def answer_of(function: Callable, case: Case, framework: str) -> Answer:
    """What ``function`` gives for ``case``, called with copies of its inputs.

    Tensors come back as arrays. What isn't an array, a number or a tuple of them comes back as it
    is, for :func:`~vhlib.course.comparison.compare` to name.
    """
    inputs = tensors(case) if framework == "torch" else copies(case)
    with np.errstate(all="ignore"):
        value = function(*inputs)
        gradients = _gradients(value, inputs, case) if case.gradients else ()
    changed = tuple(
        position
        for position, (now, before) in enumerate(zip(inputs, case.inputs, strict=True))
        if not _is_unchanged(now, before)
    )
    return Answer(as_arrays(value), gradients, changed)


def copies(case: Case) -> list[Any]:
    """A case's inputs, none of which shares memory with it."""
    return [value.copy() if isinstance(value, np.ndarray) else value for value in case.inputs]


def tensors(case: Case) -> list[Any]:
    """A case's inputs with tensors for arrays; those to differentiate by ask for a gradient."""
    import torch

    inputs = [torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in copies(case)]
    for position in case.gradients:
        inputs[position].requires_grad_()
    return inputs


def as_arrays(value: Any) -> Any:
    """``value`` with arrays for tensors, in a tuple too; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(as_arrays(part) for part in value)
    return value.detach().cpu().numpy() if _is_tensor(value) else value


def _gradients(value: Any, inputs: list[Any], case: Case) -> tuple[np.ndarray | None, ...]:
    """Gradients of the weighted sum of ``value``; None where none arrives."""
    import torch

    parts = value if isinstance(value, tuple) else (value,)
    parts = [part for part in parts if _is_tensor(part) and part.requires_grad]
    if not parts:
        return (None,) * len(case.gradients)
    total = sum(
        (part.flatten() * torch.from_numpy(sum_weights(part.numel())).to(part)).sum()
        for part in parts
    )
    wanted = [inputs[position] for position in case.gradients]
    found = torch.autograd.grad(total, wanted, allow_unused=True)
    return tuple(None if gradient is None else gradient.numpy() for gradient in found)


def _is_unchanged(now: Any, before: Any) -> bool:
    """Whether an input still is what it was."""
    if not isinstance(before, np.ndarray):
        return True
    return np.array_equal(as_arrays(now), before, equal_nan=before.dtype.kind == "f")


def _is_tensor(value: Any) -> bool:
    """Whether ``value`` is torch's, without importing it."""
    return type(value).__module__.split(".")[0] == "torch" and hasattr(value, "detach")
