"""Mistakes as people write them get the name that the bank has for them, however they are spelt."""

from pathlib import Path

import numpy as np
import pytest

from vhlib.course.exercise_editions import public_exercises
from vhlib.course.judging import judge
from vhlib.course.sheets import bank_path, load_bank, read_sheet, references

SOLUTIONS = Path(__file__).resolve().parents[2] / "solutions"
_READ = {}


def read(sheet):
    """The public exercises of a sheet and its right answers, by name."""
    if sheet not in _READ:
        source = SOLUTIONS / f"{sheet}.py"
        written = read_sheet(source)
        exercises = public_exercises(written, load_bank(bank_path(source)))
        _READ[sheet] = {one.name: one for one in exercises}, references(written)
    return _READ[sheet]


def familiar(sheet, function):
    """What the check says of ``function``."""
    report = judge(read(sheet)[0][function.__name__], function)
    return next((line for line in report.lines if line.startswith("This looks familiar")), "")


TRACES = {
    "a product's trace": lambda R, S: np.trace(R.swapaxes(-1, -2) @ S, axis1=-2, axis2=-1),
    "the other product's": lambda R, S: np.trace(S @ R.swapaxes(-1, -2), axis1=-2, axis2=-1),
    "einsum": lambda R, S: np.einsum("...ij,...ij->...", R, S),
    "entry by entry": lambda R, S: (R * S).sum(axis=(-2, -1)),
    "the diagonal's sum": lambda R, S: np.diagonal(
        np.swapaxes(S, -1, -2) @ R, axis1=-2, axis2=-1
    ).sum(-1),
}


@pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES)
def test_a_cosine_beyond_1_is_named_however_the_trace_is_taken(trace):
    def geodesic_distance(R, S):
        return np.arccos((trace(R, S) - 1) / 2)

    assert "rounding takes your cosine beyond 1" in familiar("02_rotations", geodesic_distance)


@pytest.mark.parametrize("trace", TRACES.values(), ids=TRACES)
def test_a_clipped_cosine_is_another_mistake(trace):
    def geodesic_distance(R, S):
        return np.arccos(np.clip((trace(R, S) - 1) / 2, -1, 1))

    assert "arccos alone loses small angles" in familiar("02_rotations", geodesic_distance)


def test_points_turned_by_the_transposed_matrix_are_named_with_the_scale_of_the_same_pose():
    def procrustes_aligned(pred, gt):
        x, y = pred - pred.mean(-2, keepdims=True), gt - gt.mean(-2, keepdims=True)
        Rx = x @ read("23_metrics")[1]["best_rotation"](x, y)
        scale = (Rx * y).sum((-2, -1), keepdims=True) / (x * x).sum((-2, -1), keepdims=True)
        return scale * Rx + gt.mean(-2, keepdims=True)

    assert "by the transposed matrix, and your scale" in familiar("23_metrics", procrustes_aligned)
