"""Calling a student's function: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType, GeneratorType

import numpy as np

from vhlib.course.grading.child.framing import (
    DTYPES,
    MAX_ARRAYS,
    MAX_ARRAYS_BYTES,
    packed,
    restored,
)

BUILTIN_FORMS = (list, dict, set, str, bytes, range, map, zip, filter, type)
INT64 = np.iinfo(np.int64)


class Unusual(Exception):
    """An answer that isn't an array, a number or a tuple of them; its argument says what it is."""


def answered(function: Callable, message: dict, arrays: list[np.ndarray]) -> tuple[dict, tuple]:
    """The reply to a call: the answer, its gradients, and the inputs that were written into."""
    inputs = list(restored(message["inputs"], arrays))
    before = [value.copy() if isinstance(value, np.ndarray) else None for value in inputs]
    positions = message["gradients"]
    if message["framework"] == "torch":
        inputs = as_tensors(inputs, positions)
    try:
        with np.errstate(all="ignore"):
            value = function(*inputs)
            gradients = gradients_of(value, inputs, positions) if positions else ()
        value = plain(value)
    except Unusual as error:
        return {"kind": "unusual", "form": str(error)}, ()
    changed = [
        position
        for position, (now, old) in enumerate(zip(inputs, before, strict=True))
        if old is not None and not unchanged(now, old)
    ]
    (value, *gradients), sent = packed((value, *gradients))
    if len(sent) > MAX_ARRAYS or sum(array.nbytes for array in sent) > MAX_ARRAYS_BYTES:
        return {"kind": "unusual", "form": "too large"}, ()
    reply = {"kind": "answer", "value": value, "gradients": gradients, "changed": changed}
    return reply, sent


def plain(value: object, depth: int = 0) -> object:
    """``value`` as arrays and numbers of their own types and nothing more.

    Raises:
        Unusual: it isn't made of these.
    """
    if isinstance(value, tuple) and depth == 0:
        return tuple(plain(part, 1) for part in value)
    if is_tensor(value):
        value = value.detach().cpu().resolve_conj().numpy()
    if isinstance(value, np.ndarray | np.generic):
        return plain_array(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not INT64.min <= value <= INT64.max:
            raise Unusual("huge")
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, complex):
        return np.complex128(value)
    raise Unusual(form_of(value))


def plain_array(value: np.ndarray | np.generic) -> np.ndarray:
    """An array without subclass, in the machine's byte order."""
    array = np.array(value, subok=False)
    if array.dtype.str not in DTYPES:
        if array.dtype.kind not in "fciu":
            raise Unusual("objects")
        wide = {"f": np.float64, "c": np.complex128, "i": np.int64, "u": np.uint64}
        array = array.astype(wide[array.dtype.kind])
    return array


def form_of(value: object) -> str:
    """What a value is, from a list of words; a student's own classes are all objects."""
    if isinstance(value, GeneratorType):
        return "generator"
    if isinstance(value, FunctionType):
        return "function"
    return next((form.__name__ for form in BUILTIN_FORMS if isinstance(value, form)), "object")


def is_tensor(value: object) -> bool:
    """Whether ``value`` is torch's, without importing it."""
    return type(value).__module__.split(".")[0] == "torch" and hasattr(value, "detach")


def unchanged(now: object, before: np.ndarray) -> bool:
    """Whether an input still is what it was."""
    array = now.detach().numpy() if is_tensor(now) else now
    return np.array_equal(array, before, equal_nan=before.dtype.kind == "f")


def as_tensors(inputs: list, positions: list[int]) -> list:
    """``inputs`` with tensors for arrays; those at ``positions`` ask for a gradient."""
    import torch

    inputs = [torch.from_numpy(x) if isinstance(x, np.ndarray) else x for x in inputs]
    for position in positions:
        inputs[position].requires_grad_()
    return inputs


def gradients_of(value: object, inputs: list, positions: list[int]) -> tuple:
    """Gradients of the sum of ``value`` with the weights cos(1), cos(2), ...; None where none is.

    The same sum as in ``vhlib.course.answers``.
    """
    import torch

    parts = value if isinstance(value, tuple) else (value,)
    parts = [part for part in parts if is_tensor(part) and part.requires_grad]
    if not parts:
        return (None,) * len(positions)
    total = sum(
        (part.flatten() * torch.cos(torch.arange(1, part.numel() + 1.0).double()).to(part)).sum()
        for part in parts
    )
    wanted = [inputs[position] for position in positions]
    found = torch.autograd.grad(total, wanted, allow_unused=True)
    return tuple(None if gradient is None else gradient.numpy() for gradient in found)
