"""Which residual feels which unknown: the pattern of a problem's Jacobian, with names for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vhlib.body.skeletons import SMPL_24
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.solvers.problem import Problem


@dataclass(frozen=True, eq=False)
class JacobianPattern:
    """Where the Jacobian of the stacked residuals isn't zero.

    felt (m, n); rows: the names of the m residuals, such as "left_wrist u"; terms: the rows of each
    term; columns: the unknowns of each joint by its name, then "betas", "transl", "focal_length".
    """

    felt: Bool[Tensor, "m n"]
    rows: tuple[str, ...]
    terms: Mapping[str, slice]
    columns: Mapping[str, slice]

    @property
    def share(self) -> float:
        """Of entries that aren't zero."""
        return float(self.felt.double().mean())

    def by_block(self) -> Bool[Tensor, "m blocks"]:
        """Whether each residual feels any unknown of each block of ``columns``."""
        return torch.stack([self.felt[:, block].any(-1) for block in self.columns.values()], -1)


def jacobian_pattern(
    problem: Problem, vector: Float[Tensor, "N n"], threshold: float = 0.0
) -> JacobianPattern:
    """The pattern at some bodies, at least one: a residual feels what moves it for any of them.

    Args:
        vector: bodies in general position; at rest, for one, many derivatives vanish by chance.
        threshold: what is smaller than this share of the largest entry of its row counts as zero.
    """
    body = PosedBody(problem.regressor, vector)
    felt, rows, terms = [], [], {}
    for name, (term, _) in zip(_distinct(problem.names), problem.terms, strict=True):
        size = term.jacobian(body).detach().abs()
        large = size > threshold * size.amax(-1, keepdim=True)
        terms[name] = slice(len(rows), len(rows) + size.shape[1])
        rows += term.residual_names(size.shape[1])
        felt.append(large.any(0))
    return JacobianPattern(torch.cat(felt), tuple(rows), terms, _columns(body))


def _distinct(names: list[str]) -> list[str]:
    """Names of their own for terms that share one: "reprojection", "reprojection 2"."""
    seen = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return [name if n == 1 else f"{name} {n}" for name, n in zip(names, seen, strict=True)]


def _columns(body: PosedBody) -> dict[str, slice]:
    joints = body.slices["body_pose"].stop // 3
    names = SMPL_24.names if joints == len(SMPL_24) else [f"joint {i}" for i in range(joints)]
    columns = {name: slice(3 * i, 3 * i + 3) for i, name in enumerate(names)}
    return columns | {name: body.slices[name] for name in ("betas", "transl", "focal_length")}
