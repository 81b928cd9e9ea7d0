"""Linear blend skinning of whole meshes, fast: coordinates first, a few bodies at a time.

``linear_blend_skinning`` is the same equation as one reads it. Here each coordinate of a mesh lies
in one piece, as the product that makes the unposed meshes can lay it out for free, and the blended
transforms, twelve numbers a vertex, never leave the processor's cache: they are made for a few
bodies, used and forgotten, and made again for the gradient, which takes less time than to fetch
them from memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

# Bodies at a time: the blended transforms of 6,890 vertices take 330 kB each.
_CHUNK = 4


def skin_planar(
    at_rest: Float[Tensor, "N 3 V"],
    transforms: Float[Tensor, "N J 3 4"],
    lbs_weights: Float[Tensor, "V J"],
) -> Float[Tensor, "N V 3"]:
    """``linear_blend_skinning`` (eq. 2) of vertices whose coordinates come first."""
    if not torch.is_grad_enabled():
        return _Skinning.forward(at_rest, transforms, lbs_weights)
    return _Skinning.apply(at_rest, transforms, lbs_weights)


class _Skinning(torch.autograd.Function):
    """Derivatives of any order, in both modes; ``torch.func`` may transform it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(at_rest: Tensor, transforms: Tensor, lbs_weights: Tensor) -> Tensor:
        return torch.cat([_skin(*some, lbs_weights) for some in _chunks(at_rest, transforms)])

    @staticmethod
    def setup_context(ctx, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)
        ctx.save_for_forward(*inputs)

    @staticmethod
    def backward(ctx, d_posed: Tensor) -> tuple[Tensor | None, ...]:
        at_rest, transforms, lbs_weights = ctx.saved_tensors
        pieces = [
            _gradients(*some, lbs_weights, ctx.needs_input_grad)
            for some in _chunks(at_rest, transforms, d_posed)
        ]
        d_at_rest, d_transforms, d_weights = zip(*pieces, strict=True)
        return (
            torch.cat(d_at_rest) if ctx.needs_input_grad[0] else None,
            torch.cat(d_transforms) if ctx.needs_input_grad[1] else None,
            sum(d_weights) if ctx.needs_input_grad[2] else None,
        )

    @staticmethod
    def jvp(ctx, d_at_rest: Tensor | None, d_transforms: Tensor | None, d_weights: Tensor | None):
        """Linear in weights and transforms, and in vertices but for the shift."""
        at_rest, transforms, lbs_weights = ctx.saved_tensors
        moved = torch.zeros_like(at_rest.mT)
        if d_at_rest is not None:
            turns = transforms * transforms.new_tensor([1, 1, 1, 0])
            moved = moved + _skin(d_at_rest, turns, lbs_weights)
        if d_transforms is not None:
            moved = moved + _skin(at_rest, d_transforms, lbs_weights)
        if d_weights is not None:
            moved = moved + _skin(at_rest, transforms, d_weights)
        return moved


def _chunks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """A few bodies at a time; a graphics card has no use for that."""
    size = _CHUNK if tensors[0].device.type == "cpu" else max(1, len(tensors[0]))
    return zip(*(tensor.split(size) for tensor in tensors), strict=True)


def _skin(at_rest: Tensor, transforms: Tensor, lbs_weights: Tensor) -> Tensor:
    blended = _rows(transforms) @ lbs_weights.T
    blended = blended.unflatten(0, (len(transforms), 3, 4))
    posed = blended[:, :, 3]
    for axis in range(3):
        posed = torch.addcmul(posed, blended[:, :, axis], at_rest[:, axis, None])
    return posed.mT


def _gradients(
    at_rest: Tensor,
    transforms: Tensor,
    d_posed: Tensor,
    lbs_weights: Tensor,
    needed: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Of some bodies: by vertices, transforms and weights, each where ``needed``."""
    d_at_rest = d_transforms = d_weights = None
    d_planar, rows = d_posed.mT.contiguous(), _rows(transforms)
    if needed[0]:
        turns = _rows(transforms[..., :3]) @ lbs_weights.T
        turns = turns.unflatten(0, (len(transforms), 3, 3))
        d_at_rest = (turns * d_planar[:, :, None]).sum(1)
    if needed[1] or needed[2]:
        homogeneous = torch.cat([at_rest, torch.ones_like(at_rest[:, :1])], 1)
        d_blended = d_planar[:, :, None] * homogeneous[:, None]
        d_transforms = (d_blended @ lbs_weights).movedim(-1, 1)
        d_blended = d_blended.reshape(len(rows), len(lbs_weights))
        d_weights = d_blended.T @ rows if needed[2] else None
    return d_at_rest, d_transforms, d_weights


def _rows(transforms: Tensor) -> Float[Tensor, "rows J"]:
    """One row for each body and entry of a transform."""
    return transforms.permute(0, 2, 3, 1).flatten(0, 2)
