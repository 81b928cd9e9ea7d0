"""Cases of the tiny sheet."""

import numpy as np

from vhlib.course.bank import Case, Exercise, Mistake


def cases(generator):
    return [
        Case("a number of points", (generator.normal(size=(5, 3)),)),
        Case("one point", (generator.normal(size=3),)),
        Case("one number", (float(generator.normal()),)),
        Case("single precision", (generator.normal(size=4).astype(np.float32),)),
    ]


def mistakes(right):
    return tuple(
        Mistake(f"you multiplied by {wrong}", lambda x, wrong=wrong: wrong * x)
        for wrong in (0.0, 1.0, -1.0, 3.0, 5.0, right / 2 + 0.25)
    )


def exercise(name, factor, builds_on=()):
    return Exercise(
        name,
        cases,
        (lambda x: factor * x, lambda x: x * factor),
        mistakes(factor),
        ("Look.", "Look again.", "Multiply."),
        builds_on,
        seconds=0.5,
    )


EXERCISES = (exercise("double", 2.0), exercise("quadruple", 4.0, ("double",)))
