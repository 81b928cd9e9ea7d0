"""Cases of the sheet of tensors."""

import torch

from vhlib.course.bank import Case, Exercise, Mistake


def cases(generator):
    return [
        Case("points", (generator.normal(size=(5, 3)),), gradients=(0,)),
        Case("a batch", (generator.normal(size=(2, 4, 3)),), gradients=(0,)),
        Case("one vector", (generator.normal(size=3),)),
    ]


def length(x):
    return x.pow(2).sum(-1, keepdim=True).sqrt()


def exercise(name, right, builds_on=()):
    mistakes = tuple(
        Mistake(f"you multiplied by {factor}", lambda x, factor=factor: factor * right(x))
        for factor in (0.0, -1.0, 2.0, 3.0, 0.5)
    )
    hints = ("Look.", "Look again.", "Divide.")
    return Exercise(name, cases, (right, right), mistakes, hints, builds_on, "torch")


EXERCISES = (
    exercise("length", lambda x: length(x)),
    exercise("direction", lambda x: torch.nn.functional.normalize(x, dim=-1), ("length",)),
)
