"""Whether an answer is right: arrays beside arrays, and one line that says where they part.

The check that students run and the grader both ask here. Nothing of the student's is called: an
answer is an array, a number, or a tuple of arrays, already taken out of whatever held it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from vhlib.course.bank import Case

_KINDS = {"f": "floating-point numbers", "i": "whole numbers", "b": "true or false"}


@dataclass(frozen=True)
class Verdict:
    """Whether an answer passes, and otherwise one line that says why."""

    passed: bool
    message: str = ""


@dataclass(frozen=True)
class Answer:
    """What a function gave for one case.

    Attributes:
        value: an array, a number, or a tuple of arrays; if the function is wrong, anything.
        gradients: of :func:`weighted_sum` by each input in ``case.gradients``; None where none
            arrives.
        changed: positions of the inputs that the function wrote into.
    """

    value: Any
    gradients: tuple[np.ndarray | None, ...] = ()
    changed: tuple[int, ...] = ()


PASSED = Verdict(True)


def compare(answer: Any, expected: Any, case: Case) -> Verdict:
    """Judge ``answer``: its form, its shape, its type, its finiteness, its largest error.

    The error may be ``case.tolerance`` times ``case.scale``, or times the largest magnitude in
    ``expected``; each array of a tuple has a largest magnitude of its own.
    """
    if not isinstance(expected, tuple):
        return _compare_array(answer, np.asarray(expected), case.tolerance, case.scale)
    if not isinstance(answer, tuple) or len(answer) != len(expected):
        return Verdict(False, f"{_form(answer)}, expected a tuple of {len(expected)} arrays")
    for number, (part, wanted) in enumerate(zip(answer, expected, strict=True), start=1):
        verdict = _compare_array(part, np.asarray(wanted), case.tolerance, case.scale)
        if not verdict.passed:
            return Verdict(False, f"part {number} of the answer: {verdict.message}")
    return PASSED


def compare_gradients(
    gradients: tuple[np.ndarray | None, ...],
    expected: tuple[np.ndarray | None, ...],
    case: Case,
) -> Verdict:
    """Judge gradients like answers, each on the scale of its own largest number."""
    for position, gradient, wanted in zip(case.gradients, gradients, expected, strict=True):
        where = f"the gradient by argument {position + 1}"
        if gradient is None and wanted is None:
            continue
        if gradient is None:
            reason = "something between them leaves torch or detaches"
            return Verdict(False, f"{where} doesn't arrive: {reason}")
        if wanted is None:
            reason = "the right answer doesn't pass one on to it"
            return Verdict(False, f"{where} arrives, expected none: {reason}")
        verdict = _compare_array(gradient, wanted, case.tolerance, None)
        if not verdict.passed:
            return Verdict(False, f"{where}: {verdict.message}")
    return PASSED


def compare_answers(answer: Answer, expected: Answer, case: Case) -> Verdict:
    """Judge a value, and where it is right its gradients."""
    verdict = compare(answer.value, expected.value, case)
    if verdict.passed and case.gradients:
        return compare_gradients(answer.gradients, expected.gradients, case)
    return verdict


def sum_weights(size: int) -> np.ndarray:
    """The weights ``cos(1), cos(2), ...`` of the sum that is differentiated.

    Each array of an answer is flattened, weighted from ``cos(1)`` on, and summed; so is a tuple.
    Unequal weights keep errors that cancel in a plain sum from hiding.
    """
    return np.cos(np.arange(1, size + 1))


def _compare_array(
    answer: Any, expected: np.ndarray, tolerance: float | int, scale: float | int | None
) -> Verdict:
    """Judge one array or number."""
    if not isinstance(answer, np.ndarray | np.generic | float | int):
        return Verdict(False, f"{_form(answer)}, expected an array of shape {expected.shape}")
    is_number = isinstance(answer, float | int) and not isinstance(answer, bool)
    array = np.asarray(answer, np.float64 if is_number and expected.dtype.kind == "f" else None)
    if array.shape != expected.shape:
        return Verdict(False, f"the shape is {array.shape}, expected {expected.shape}")
    if complaint := _wrong_type(array.dtype, expected.dtype):
        return Verdict(False, complaint)
    if array.dtype.kind != "f":
        return _compare_exactly(array, expected)
    array, expected = array.astype(np.float64), expected.astype(np.float64)
    if not np.isfinite(expected).all() or not np.isfinite(array).all():
        same = np.isfinite(expected) | (array == expected) | (np.isnan(array) & np.isnan(expected))
        strange = ~same | (np.isfinite(expected) & ~np.isfinite(array))
        if strange.any():
            return Verdict(False, _at(int(strange.argmax()), array, expected))
        array, expected = (np.where(np.isfinite(expected), x, 0.0) for x in (array, expected))
    error = np.abs(array - expected)
    allowed = tolerance * (scale if scale is not None else _magnitude(expected))
    if not error.size or error.max() <= allowed:
        return PASSED
    place = _at(int(error.argmax()), array, expected)
    return Verdict(False, f"the largest error is {error.max():.3g}, {place}")


def _compare_exactly(array: np.ndarray, expected: np.ndarray) -> Verdict:
    """Judge indices, counts and truths: each must be right."""
    wrong = array != expected
    if not wrong.any():
        return PASSED
    share = f"{wrong.sum()} of {wrong.size} are wrong" if wrong.size > 1 else "it is wrong"
    return Verdict(False, f"{share}, {_at(int(wrong.argmax()), array, expected)}")


def _wrong_type(found: np.dtype, expected: np.dtype) -> str:
    """What is wrong with an answer's type; empty if it will do. Precisions are alike from float32.

    An unsigned integer is an integer like another.
    """
    kind, wanted = (dtype.kind.replace("u", "i") for dtype in (found, expected))
    if kind != wanted:
        return f"the type is {found}, expected {_KINDS.get(wanted, wanted)}"
    if kind == "f" and found.itemsize < 4:
        return f"the type is {found}, too coarse: expected float32 or float64"
    return ""


def _magnitude(expected: np.ndarray) -> float:
    """The largest number of an array without signs; one if there is none."""
    return float(np.abs(expected).max(initial=0.0)) or 1.0


def _at(flat: int, array: np.ndarray, expected: np.ndarray) -> str:
    """Both numbers at a place, and the place."""
    index = tuple(int(i) for i in np.unravel_index(flat, array.shape))
    place = f" at index {list(index)}" if index else ""
    pair = array[index], expected[index]
    if array.dtype.kind != "f":
        return f"{pair[0]} instead of {pair[1]}{place}"
    rounding = np.finfo(np.float32).eps * max(abs(x) for x in (*pair, 0.0) if np.isfinite(x))
    mine, right = (f"{0.0 if abs(value) < rounding else value:.5g}" for value in pair)
    return f"{mine} instead of {right}{place}"


def _form(answer: object) -> str:
    """What an answer is, where it isn't what was asked for."""
    if answer is None:
        return "it returns None (is there a return?)"
    if isinstance(answer, tuple):
        return f"it returns a tuple of {len(answer)}"
    if isinstance(answer, np.ndarray):
        return "it returns one array"
    return f"it returns {type(answer).__name__}"
