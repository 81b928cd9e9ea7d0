"""Judging arrays beside arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vhlib.course.answers import answer_of
from vhlib.course.bank import Case, Exercise, Mistake, case_generator, drawn_cases
from vhlib.course.comparison import Answer, compare, compare_answers, sum_weights

CASE = Case("any", ())
EYE = np.eye(3)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (EYE, EYE),
        (EYE + 0.9e-4, EYE),
        (EYE.astype(np.float32), EYE),
        (0.5, np.float64(0.5)),
        (1, 1.0),
        (np.float32(0.5), 0.5),
        (np.empty((0, 3)), np.empty((0, 3))),
        ((EYE, 2.0), (EYE, 2.0)),
        (np.array([1, 2], np.uint8), np.array([1, 2])),
        (np.array([True]), np.array([True])),
        (np.array([np.nan, 1]), np.array([np.nan, 1])),
        (np.array([-np.inf, 1]), np.array([-np.inf, 1])),
        (np.full(3, 1e-5), np.zeros(3)),
        (np.full(3, 1000.05), np.full(3, 1000.0)),
    ],
)
def test_right_answers_pass(answer, expected):
    assert compare(answer, expected, CASE).passed


@pytest.mark.parametrize(
    ("answer", "expected", "message"),
    [
        (None, EYE, "it returns None (is there a return?)"),
        ([1.0], np.ones(1), "it returns list, expected an array of shape (1,)"),
        ((EYE,), EYE, "it returns a tuple of 1, expected an array"),
        (EYE, (EYE, EYE), "it returns one array, expected a tuple of 2"),
        ((EYE,), (EYE, EYE), "it returns a tuple of 1, expected a tuple of 2"),
        ((EYE, 2 * EYE), (EYE, EYE), "part 2 of the answer: the largest error is 1"),
        (np.eye(2), EYE, "the shape is (2, 2), expected (3, 3)"),
        (np.eye(3, dtype=int), EYE, "the type is int64, expected floating-point"),
        (EYE.astype(np.float16), EYE, "too coarse"),
        (EYE.astype(complex), EYE, "the type is complex128"),
        (EYE.astype(object), EYE, "the type is object"),
        (np.array(["a"]), np.ones(1), "the type is <U1"),
        (1.0, np.array(1), "the type is float64, expected whole numbers"),
        (np.array([1, 2, 3]), np.array([1, 2, 4]), "1 of 3 are wrong, 3 instead of 4 at index [2]"),
        (np.array([np.nan, 1]), np.ones(2), "nan instead of 1 at index [0]"),
        (np.array([1.0, np.inf]), np.ones(2), "inf instead of 1 at index [1]"),
        (np.ones(2), np.array([1, np.inf]), "1 instead of inf at index [1]"),
        (np.array([np.inf]), np.array([-np.inf]), "inf instead of -inf"),
        (EYE + 1.1e-4, EYE, "the largest error is 0.00011"),
        (np.array([1.0, 1e-16]), np.array([0.0, 1.0]), "1 instead of 0 at index [0]"),
    ],
)
def test_wrong_answers_fail_and_say_why(answer, expected, message):
    verdict = compare(answer, expected, CASE)

    assert not verdict.passed
    assert message in verdict.message


def test_the_scale_is_the_expected_magnitude_unless_the_case_says_otherwise():
    answer, expected = np.array([100.0, 1.009]), np.array([100.0, 1.0])

    assert compare(answer, expected, CASE).passed
    assert not compare(answer, expected, Case("any", (), scale=1.0)).passed
    assert compare(answer, expected, Case("any", (), tolerance=1e-2, scale=1.0)).passed


GRADIENT = Case("at zero", (np.array([0.0, 0.5]),), gradients=(0,))


def test_gradients_are_compared_with_the_value():
    right = answer_of(torch.sin, GRADIENT, "torch")

    np.testing.assert_allclose(right.gradients[0], np.cos([0.0, 0.5]) * np.cos([1.0, 2.0]))
    assert compare_answers(right, right, GRADIENT).passed

    for wrong, message in (
        (lambda x: x.detach().sin(), "doesn't arrive"),
        (lambda x: torch.sin(x) * torch.where(x == 0, x / x, x / x).detach(), "nan"),
        (lambda x: torch.where(x == 0, 0.0, x.sin()), "the gradient by argument 1"),
    ):
        verdict = compare_answers(answer_of(wrong, GRADIENT, "torch"), right, GRADIENT)
        assert not verdict.passed
        assert message in verdict.message


def test_a_gradient_too_few_and_one_too_many_are_told_apart():
    flows = answer_of(torch.sin, GRADIENT, "torch")
    detached = answer_of(lambda x: x.detach().sin(), GRADIENT, "torch")

    missing = compare_answers(detached, flows, GRADIENT)
    surplus = compare_answers(flows, detached, GRADIENT)

    assert missing.message.startswith("the gradient by argument 1 doesn't arrive: something")
    assert surplus.message.startswith("the gradient by argument 1 arrives, expected none: ")
    assert compare_answers(detached, detached, GRADIENT).passed


@pytest.mark.parametrize(
    ("inputs", "found"),
    [
        ((np.ones(3), np.float64(0.5)), "a float64"),
        ((np.ones(3), 0.5), "a float"),
        ((np.ones(3), None), "a NoneType"),
        ((np.ones(3), np.array([1, 2])), "an array of int64"),
        ((np.ones(3),), "missing"),
    ],
)
def test_a_gradient_by_what_has_none_is_refused(inputs, found):
    with pytest.raises(ValueError, match="case 'by one' asks for the gradient by argument 2") as e:
        Case("by one", inputs, gradients=(1,))

    assert f"which is {found}, expected an array of floats" in str(e.value)


def test_a_gradient_by_a_single_number_is_taken():
    case = Case("by one", (np.array(0.5),), gradients=(0,))

    np.testing.assert_allclose(
        answer_of(torch.sin, case, "torch").gradients[0], np.cos(0.5) * np.cos(1.0)
    )


def test_a_bad_case_is_told_with_its_sheet_and_function():
    exercise = Exercise("f", lambda _: [Case("one", (0.5,), gradients=(0,))], (), (), ("", "", ""))

    with pytest.raises(ValueError, match=r"^02_rotations, cases of f: case 'one' asks"):
        drawn_cases(exercise, "02_rotations", b"", 1)


def test_errors_that_cancel_in_a_plain_sum_show_in_the_weighted_one():
    def swapped(x):
        return torch.sin(x.flip(0))

    right = answer_of(torch.sin, GRADIENT, "torch")
    value_of_right = Answer(right.value, answer_of(swapped, GRADIENT, "torch").gradients)

    assert not compare_answers(value_of_right, right, GRADIENT).passed
    assert len(np.unique(np.round(sum_weights(1000), 12))) == 1000


def test_writing_into_an_input_is_noticed_and_harms_nobody():
    case = Case("any", (np.ones(3), 2.0, None))

    def spoil(array, number, nothing):
        array *= number
        return array

    assert answer_of(spoil, case, "numpy").changed == (0,)
    assert answer_of(spoil, case, "torch").changed == (0,)
    assert (case.inputs[0] == 1).all()
    assert answer_of(lambda a, b, c: a * b, case, "numpy").changed == ()


def test_the_same_secret_draws_the_same_cases_and_another_others():
    exercise = Exercise(
        "f", lambda generator: [Case("one", (generator.normal(size=3),))], (), (), ("", "", "")
    )

    def numbers(secret, sheet="s", rounds=2):
        return [case.inputs[0].tolist() for case in drawn_cases(exercise, sheet, secret, rounds)]

    assert numbers(b"a") == numbers(b"a")
    assert numbers(b"a", rounds=3)[:2] == numbers(b"a")
    assert numbers(b"a")[0] != numbers(b"a")[1]
    assert numbers(b"a") != numbers(b"b")
    assert numbers(b"a") != numbers(b"a", sheet="t")
    assert (
        case_generator(b"ab", "c", "d", 0).normal() != case_generator(b"a", "bc", "d", 0).normal()
    )


def test_a_mistake_is_a_message_and_a_function():
    assert Mistake("you did it", np.sin).function(0.0) == 0
