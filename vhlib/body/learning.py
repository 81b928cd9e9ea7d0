"""Train a body in SMPL's format from registered meshes, in the order of the paper.

The input is what a registration gives: meshes of one topology, N people in the rest pose with their
joint centres, and bodies in P poses. The output are the arrays of a model file (Loper et al. 2015):

    ``learn_shape_space``        v_template and shapedirs    B_S, eq. 8
    ``learn_joint_regressor``    J_regressor                 J, eq. 10
    ``learn_pose_correctives``   posedirs                    B_P, eq. 9

The skinning weights are given; the paper trains them too, starting from an artist's rig.

Symbols: N people, P poses, V vertices, J joints, S shape components, F pose features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import nnls
from torch import Tensor

MIRROR = (-1.0, 1.0, 1.0)  # x -> -x, the body's plane of symmetry


# ------------------------------------------------------------------------------------- shape


@dataclass(frozen=True, eq=False)
class ShapeSpace:
    """People as ``mean + directions @ betas``; one unit of a beta is one standard deviation.

    mean: the mean body, metres. directions: metres per unit of each beta. explained: share of the
    training set's variance along each direction.
    """

    mean: Float[Tensor, "V 3"]
    directions: Float[Tensor, "V 3 S"]
    explained: Float[Tensor, " S"]

    @property
    def num_components(self) -> int:
        """S."""
        return self.directions.shape[-1]

    def encode(self, meshes: Float[Tensor, "*batch V 3"]) -> Float[Tensor, "*batch S"]:
        """The betas whose body is nearest: the directions are orthogonal, so a dot product each."""
        rows = self.directions.flatten(0, 1)
        return (meshes - self.mean).flatten(-2) @ rows / rows.square().sum(0)

    def decode(self, betas: Float[Tensor, "*batch S"]) -> Float[Tensor, "*batch V 3"]:
        """The bodies of given betas."""
        return self.mean + (betas @ self.directions.flatten(0, 1).T).unflatten(-1, (-1, 3))

    def truncated(self, num_components: int) -> ShapeSpace:
        """The same space with its first components only."""
        return replace(
            self,
            directions=self.directions[..., :num_components],
            explained=self.explained[:num_components],
        )


def learn_shape_space(people: Float[Tensor, "N V 3"], num_components: int) -> ShapeSpace:
    """Principal components of the vertex coordinates of ``people`` at rest.

    N people span at most N - 1 directions, far fewer than 3 V, so the eigenvectors come from the
    (N, N) Gram matrix X X^T: if X X^T u = s^2 u, then X^T u / s is a unit eigenvector of X^T X.

    Raises:
        ValueError: more components than people - 1.
    """
    if not 0 < num_components < len(people):
        raise ValueError(
            f"num_components = {num_components}, expected 1 to {len(people) - 1} for {len(people)} "
            "people"
        )
    mean = people.mean(0)
    X = (people - mean).flatten(1)
    squares, u = torch.linalg.eigh(X @ X.T)  # ascending
    u = u[:, -num_components:].flip(1)
    # X^T u has length s, and the standard deviation along it is s / sqrt(N - 1).
    directions = X.T @ u / (len(people) - 1) ** 0.5
    explained = squares[-num_components:].flip(0) / squares.sum()
    return ShapeSpace(mean, directions.unflatten(0, mean.shape), explained)


def orient_components(space: ShapeSpace, measures: list[Callable[[Tensor], Tensor]]) -> ShapeSpace:
    """Fix the signs that principal components leave open.

    Component k points to where ``measures[k]``, a number of a mesh (V, 3), grows; the last measure
    serves all further components.
    """
    signs = []
    for k in range(space.num_components):
        measure = measures[min(k, len(measures) - 1)]
        step = space.directions[..., k]
        signs.append(1.0 if measure(space.mean + step) >= measure(space.mean - step) else -1.0)
    return replace(space, directions=space.directions * space.directions.new_tensor(signs))


def reconstruction_errors(
    space: ShapeSpace, people: Float[Tensor, "N V 3"], counts: tuple[int, ...]
) -> dict[int, float]:
    """Mean vertex distance to the nearest bodies in metres, by number of components used."""
    errors = {}
    for count in counts:
        part = space.truncated(count)
        errors[count] = float((part.decode(part.encode(people)) - people).norm(dim=-1).mean())
    return errors


# ------------------------------------------------------------------------------------- joints


def learn_joint_regressor(
    people: Float[Tensor, "N V 3"],
    joints: Float[Tensor, "N J 3"],
    candidates: Bool[Tensor, "J V"],
) -> Float[Tensor, "J V"]:
    """Each joint as a sparse convex combination of vertices: non-negative weights, sum one.

    Per joint, min_w sum_n |w^T V_n - j_n|^2 with w >= 0 and 1^T w = 1. The constraint w >= 0 makes
    the solution sparse by itself. The sum is held by one heavy row, then made exact.

    Args:
        people: vertices at rest.
        joints: joint centres of the same people.
        candidates: the vertices that each joint may use.

    Raises:
        ValueError: a joint without candidates.
    """
    empty = torch.nonzero(~candidates.any(1)).flatten().tolist()
    if empty:
        raise ValueError(f"joints {empty} have no candidate vertices")
    regressor = people.new_zeros(candidates.shape)
    for joint, allowed in enumerate(candidates):
        chosen = torch.nonzero(allowed).flatten()
        target = joints[:, joint]
        # About the joint itself, so that the heavy row doesn't depend on the origin.
        rows = (people[:, chosen] - target[:, None]).transpose(1, 2).flatten(0, 1)
        regressor[joint, chosen] = _convex_combination(rows)
    return regressor


def _convex_combination(rows: Float[Tensor, "R C"]) -> Float[Tensor, " C"]:
    """The w >= 0 with sum one that brings ``rows @ w`` nearest to zero."""
    heavy = 100 * rows.abs().max() * len(rows) ** 0.5
    system = torch.cat([rows, heavy.expand(1, rows.shape[1])])
    right = torch.cat([rows.new_zeros(len(rows)), heavy[None]])
    weights, _ = nnls(system.double().numpy(), right.double().numpy(), maxiter=20 * len(rows))
    return rows.new_tensor(weights / weights.sum())


def joint_errors(
    J_regressor: Float[Tensor, "J V"],
    people: Float[Tensor, "N V 3"],
    joints: Float[Tensor, "N J 3"],
) -> Float[Tensor, " J"]:
    """Mean distance in metres between regressed and given joints."""
    return (J_regressor @ people - joints).norm(dim=-1).mean(0)


# ------------------------------------------------------------------------------------- pose


def vertex_transforms(
    lbs_weights: Float[Tensor, "V J"], transforms: Float[Tensor, "*batch J 3 4"]
) -> Float[Tensor, "*batch V 3 4"]:
    """What skinning does to each vertex: the weighted mean of its bones' transforms (eq. 2)."""
    return (lbs_weights @ transforms.flatten(-2)).unflatten(-1, (3, 4))


def unpose(
    scans: Float[Tensor, "*batch V 3"], skinning: Float[Tensor, "*batch V 3 4"]
) -> Float[Tensor, "*batch V 3"]:
    """Where the scanned vertices would have to be *at rest* for skinning to bring them there."""
    moved_back = (scans - skinning[..., 3])[..., None]
    return torch.linalg.solve(skinning[..., :3], moved_back)[..., 0]


def learn_pose_correctives(
    features: Float[Tensor, "P F"],
    offsets: Float[Tensor, "P V 3"],
    support: Bool[Tensor, "V F"],
    ridge: float,
) -> Float[Tensor, "V 3 F"]:
    """Linear map from pose features to rest-frame offsets, by ridge regression.

    For each vertex, over the features f that may move it and its offsets y,

        min_B sum_p |B f_p - y_p|^2 + ridge P |B|^2,   B^T = (X^T X + ridge P I)^-1 X^T Y

    where the f_p are the rows of X and the y_p those of Y. Vertices with the same support share
    the matrix and are solved together.

    Args:
        features: ``skinning.pose_features`` of each pose.
        offsets: unposed scans minus the body at rest, metres.
        support: which features may move which vertex; SMPL regularises towards locality, here it
            is exact.
        ridge: is added to the mean squares of the features; larger means smaller correctives.
    """
    posedirs = offsets.new_zeros(*offsets.shape[1:], features.shape[1])
    for vertices, columns in _groups(support):
        X, Y = features[:, columns], offsets[:, vertices].flatten(1)
        damping = ridge * len(X) * torch.eye(len(columns), dtype=X.dtype)
        B = torch.linalg.solve(X.T @ X + damping, X.T @ Y).T  # (3 per vertex, columns)
        rows = (3 * vertices[:, None] + torch.arange(3)).flatten()
        posedirs.view(-1, features.shape[1])[rows[:, None], columns] = B
    return posedirs


def _groups(support: Bool[Tensor, "V F"]) -> Iterator[tuple[Tensor, Tensor]]:
    """(vertices, columns) for each distinct row of ``support`` that isn't empty."""
    patterns, group = support.unique(dim=0, return_inverse=True)
    for index, pattern in enumerate(patterns):
        if pattern.any():
            yield torch.nonzero(group == index).flatten(), torch.nonzero(pattern).flatten()


def pose_errors(
    posedirs: Float[Tensor, "V 3 F"],
    features: Float[Tensor, "P F"],
    offsets: Float[Tensor, "P V 3"],
    skinning: Float[Tensor, "P V 3 4"],
) -> tuple[float, float]:
    """Mean vertex distance to the scans in metres, without and with the correctives.

    A rest-frame error e of a vertex is |T e| in the posed body, T its skinning transform.
    """
    predicted = (features @ posedirs.flatten(0, 1).T).unflatten(-1, (-1, 3))
    before, after = (
        (skinning[..., :3] @ error[..., None]).norm(dim=-2).mean()
        for error in (offsets, offsets - predicted)
    )
    return float(before), float(after)


# ------------------------------------------------------------------------------------- symmetry


def symmetrise_meshes(
    meshes: Float[Tensor, "*batch V 3"], mirror: Int[Tensor, " V"]
) -> Float[Tensor, "*batch V 3"]:
    """The mean of each mesh and its mirror image; ``mirror`` names each vertex's opposite."""
    return (meshes + meshes[..., mirror, :] * meshes.new_tensor(MIRROR)) / 2


def symmetrise_weights(
    weights: Float[Tensor, "V J"], mirror: Int[Tensor, " V"], joint_mirror: Int[Tensor, " J"]
) -> Float[Tensor, "V J"]:
    """The mean of the joint weights of each vertex and those of its mirror image."""
    return (weights + weights[mirror][:, joint_mirror]) / 2


def symmetrise_posedirs(
    posedirs: Float[Tensor, "V 3 F"], mirror: Int[Tensor, " V"], joint_mirror: Int[Tensor, " J"]
) -> Float[Tensor, "V 3 F"]:
    """The mean of the correctives and their mirror image.

    Mirroring turns the rotation R of a joint into S R S of its opposite, S = diag(-1, 1, 1), so a
    feature (R - I)_ac keeps its place and takes the sign s_a s_c.
    """
    signs = posedirs.new_tensor(MIRROR)
    blocks = posedirs.unflatten(-1, (-1, 3, 3))
    opposite = blocks[mirror][:, :, joint_mirror[1:] - 1]
    opposite = opposite * signs[:, None, None, None] * torch.outer(signs, signs)
    return ((blocks + opposite) / 2).flatten(-3)
