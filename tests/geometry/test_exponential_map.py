"""Rotation and left Jacobian at once: equal to each alone, at every angle."""

from __future__ import annotations

import pytest
import torch

from vhlib.geometry import axis_angle_to_matrix, left_jacobian
from vhlib.geometry.exponential_map import exponential_map


@pytest.mark.parametrize("angle", [0.0, 1e-9, 1e-4, 0.499, 0.501, 2.0, torch.pi, 6.0, 20.0])
@pytest.mark.parametrize("batch", [(), (5,), (2, 3)])
def test_equals_the_two_functions(angle, batch):
    g = torch.Generator().manual_seed(0)
    direction = torch.randn(*batch, 3, generator=g, dtype=torch.float64)
    axis_angle = angle * direction / direction.norm(dim=-1, keepdim=True)
    both = exponential_map(axis_angle)
    torch.testing.assert_close(both.rotation, axis_angle_to_matrix(axis_angle), rtol=0, atol=1e-14)
    torch.testing.assert_close(both.left_jacobian, left_jacobian(axis_angle), rtol=0, atol=1e-14)


def test_single_precision_loses_nothing_between_the_two_forms():
    """Near the angle where the series gives way, float32 agrees with float64."""
    exact = torch.linspace(0, 1, 1001, dtype=torch.float64)[:, None] * torch.tensor([0.6, 0, 0.8])
    single = exponential_map(exact.float())
    for found, known in zip(single, exponential_map(exact), strict=True):
        assert (found.double() - known).abs().max() < 3e-7


def test_an_empty_batch():
    assert exponential_map(torch.zeros(0, 24, 3)).rotation.shape == (0, 24, 3, 3)


@pytest.mark.parametrize("angle", [0.0, 1e-3, 0.49, 0.51, 3.0])
def test_gradients(angle):
    axis_angle = torch.tensor([[0.6, 0.0, -0.8]], dtype=torch.float64) * angle
    assert torch.autograd.gradcheck(exponential_map, axis_angle.requires_grad_(), atol=1e-8)
