"""Sheets of tensors: values and gradients, also through a function that the grader answers."""

from __future__ import annotations

import pytest

from tests.grading.classroom import cell, grade, hand_in, notebook

LENGTH = "def length(x):\n    return (x * x).sum(-1, keepdim=True).sqrt()"
DIRECTION = "def direction(x):\n    return x / length(x)"

ANSWERS = {
    "right": (LENGTH, DIRECTION),
    "wrong_length": ("def length(x):\n    return 2 * x[..., :1]", DIRECTION),
    "detached": (
        "def length(x):\n    return x.detach().norm(dim=-1, keepdim=True)",
        "def direction(x):\n    return x / length(x.detach())",
    ),
    "single": (
        "def length(x):\n    return x.float().norm(dim=-1, keepdim=True)",
        "def direction(x):\n    return torch.nn.functional.normalize(x.float(), dim=-1)",
    ),
    "by_keyword": (LENGTH, "def direction(x):\n    return x / length(x=x)"),
}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tensors")
    for student, (length, direction) in ANSWERS.items():
        cells = (
            cell("import torch"),
            cell(length, "length"),
            cell(direction, "direction"),
        )
        hand_in(folder / "in", student, notebook(*cells), "91_tensors.ipynb")
    return grade(folder / "in", folder / "out")


@pytest.mark.parametrize(
    ("student", "length", "direction"),
    [
        ("right", "2.00", "3.00"),
        ("single", "2.00", "3.00"),
        ("by_keyword", "2.00", "3.00"),
        ("wrong_length", "0.00", "3.00"),
        ("detached", "0.67", "1.00"),
    ],
)
def test_values_and_gradients_are_scored(graded, student, length, direction):
    assert graded[student, "length"]["points"] == length
    assert graded[student, "direction"]["points"] == direction
