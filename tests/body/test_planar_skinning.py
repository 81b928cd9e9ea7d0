"""Skinning in chunks against the equation as one reads it, with derivatives in both modes."""

from __future__ import annotations

import pytest
import torch

from vhlib.body.planar_skinning import skin_planar
from vhlib.body.skinning import linear_blend_skinning

V, J = 5, 3


def body(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Vertices coordinates first, transforms and weights."""
    g = torch.Generator().manual_seed(count)
    at_rest, transforms, weights = (
        torch.randn(*shape, generator=g, dtype=torch.float64)
        for shape in ((count, 3, V), (count, J, 3, 4), (V, J))
    )
    return at_rest, transforms, weights.softmax(-1)


def plain(at_rest, transforms, weights):
    return linear_blend_skinning(at_rest.mT, weights, transforms)


@pytest.mark.parametrize("count", [0, 1, 4, 5, 11])  # chunks of four: none, one, full, a rest
@pytest.mark.parametrize("grad", [False, True])
def test_equals_the_equation(count, grad):
    with torch.set_grad_enabled(grad):
        found = skin_planar(*body(count))
    assert found.is_contiguous()
    torch.testing.assert_close(found, plain(*body(count)))


@pytest.mark.parametrize("count", [0, 1, 6])
def test_gradients_equal_those_of_the_equation(count):
    found, expected = (
        torch.autograd.grad(skin(*leaves).square().sum(), leaves)
        for skin in (skin_planar, plain)
        for leaves in [[tensor.requires_grad_() for tensor in body(count)]]
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own use of it
def test_derivatives_of_both_orders_and_modes():
    inputs = [tensor.requires_grad_() for tensor in body(5)]
    assert torch.autograd.gradcheck(
        skin_planar, inputs, check_forward_ad=True, check_batched_grad=True
    )
    assert torch.autograd.gradgradcheck(skin_planar, inputs)


def test_only_what_is_asked_for_has_a_gradient():
    at_rest, transforms, weights = body(2)
    (found,) = torch.autograd.grad(
        skin_planar(at_rest, transforms.requires_grad_(), weights).sum(), transforms
    )
    (expected,) = torch.autograd.grad(plain(at_rest, transforms, weights).sum(), transforms)
    torch.testing.assert_close(found, expected)


def test_torch_func_transforms_it():
    at_rest, transforms, weights = body(6)

    def one(at_rest, transforms):
        return skin_planar(at_rest[None], transforms[None], weights)[0]

    torch.testing.assert_close(torch.func.vmap(one)(at_rest, transforms), plain(*body(6)))
    expected = torch.func.jacrev(lambda x, t: plain(x[None], t[None], weights)[0])
    arguments = at_rest[0], transforms[0]
    torch.testing.assert_close(torch.func.jacrev(one)(*arguments), expected(*arguments))
