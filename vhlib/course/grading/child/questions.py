"""What a function builds on, as the grader answers it: a call goes out, arrays come back.

A right function never is in a student's process, only its answers are. For tensors its gradients
are asked for as well, when a backward pass comes by.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vhlib.course.grading.child.calls import is_tensor, plain
from vhlib.course.grading.child.framing import Channel, packed, restored


def asking(channel: Channel, name: str) -> Callable:
    """The function ``name`` of the same sheet, as the other side computes it."""

    def ask(*args, **kwargs):
        names, values = list(kwargs), [*args, *kwargs.values()]
        if any(is_tensor(value) and value.requires_grad for value in values):
            return asked_with_gradients(channel, name, names, values)
        value, tensors = asked(channel, name, names, values)
        return as_tensors(value) if tensors else value

    ask.__name__ = ask.__qualname__ = name
    return ask


def asked(channel: Channel, name: str, names: list, values: list, weights: tuple = ()) -> tuple:
    """The grader's answer, and whether the function's arrays are tensors.

    Args:
        channel: leads to the grader.
        name: of the function.
        names: of the last of ``values``.
        values: what it is called with.
        weights: if there are any, the answer is the gradient of the weighted sum of the function's
            arrays by each value that is an array.

    Raises:
        ValueError: the function can't take that.
    """
    values = [plain(value) if is_tensor(value) else value for value in values]
    inputs, arrays = packed((tuple(values), tuple(weights)))
    channel.send({"kind": "ask", "name": name, "inputs": inputs, "names": names}, arrays)
    reply, arrays = channel.receive()
    if "error" in reply:
        raise ValueError(reply["error"])
    (value,) = restored(reply["value"], arrays)
    return value, reply["tensors"]


def as_tensors(value: object) -> object:
    """``value`` with tensors for arrays."""
    import torch

    if isinstance(value, tuple):
        return tuple(as_tensors(part) for part in value)
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def asked_with_gradients(channel: Channel, name: str, names: list, values: list) -> object:
    """The grader's answer as tensors that know where they come from."""
    import torch

    places = [place for place, value in enumerate(values) if is_tensor(value)]
    is_tuple = False

    class Asked(torch.autograd.Function):
        @staticmethod
        def forward(context, *tensors):
            nonlocal is_tuple
            context.save_for_backward(*tensors)
            value, _ = asked(channel, name, names, values)
            is_tuple = isinstance(value, tuple)
            return as_tensors(value)

        @staticmethod
        def backward(context, *weights):
            weights = tuple(plain(weight) for weight in weights)
            gradients, _ = asked(channel, name, names, values, weights)
            found = [gradients[place] for place in places]
            return tuple(None if one is None else torch.from_numpy(one) for one in found)

    result = Asked.apply(*(values[place] for place in places))
    return tuple(result) if is_tuple else result
