"""Bodies whose limbs stand inside the rest of them, and how the mesh itself tells.

The term against interpenetration sees spheres; here only triangles count. A limb collides where
vertices of the forearm and hand, or of the calf and foot, lie inside the body without that whole
arm or leg, its wound closed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
import trimesh
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from synthetic_views import about, uniform
from torch import Tensor

from vhlib.body import SMPL, BodyParameters
from vhlib.body.capsules import Spheres, fit_capsules
from vhlib.body.point_regressor import PointRegressor
from vhlib.body.skeletons import SMPL_24
from vhlib.fitting.energies import Bending, PosePrior
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.priors import GaussianMixturePrior
from vhlib.fitting.solvers import Problem, levenberg_marquardt
from vhlib.fitting.terms import Term
from vhlib.geometry.containment import winding_numbers

AIMS = (
    ("left_forearm", "spine1"),
    ("right_forearm", "spine2"),
    ("left_hand", "left_thigh"),
    ("right_hand", "right_thigh"),
    ("left_hand", "pelvis"),
    ("right_hand", "spine2"),
    ("left_hand", "spine3"),
    ("left_calf", "right_calf"),
    ("left_foot", "right_foot"),
    ("right_foot", "left_calf"),
    ("left_hand", "right_hand"),
    ("left_forearm", "right_hand"),
    ("right_hand", "head"),
)
"""What is pushed into what, parts of ``CAPSULE_PARTS``."""
# Spheres are brought to this share of the distance at which they would touch.
DEPTH = 0.4
# Points whose exact depth is asked for.
ASKED = 12
_ARM, _LEG = ("shoulder", "elbow", "wrist", "hand"), ("hip", "knee", "ankle", "foot")


@dataclass(frozen=True, eq=False)
class Meeting(Term):
    """Two spheres of each body at DEPTH: how far their distance is from that, metres."""

    spheres: Spheres
    regressor: PointRegressor
    first: Int[Tensor, " N"]
    second: Int[Tensor, " N"]
    name: ClassVar[str] = "meeting"

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """Autograd does the rest."""
        centers = self.regressor.points(body.betas, body.rotations)
        rows = torch.arange(len(centers))
        apart = (centers[rows, self.first] - centers[rows, self.second]).norm(dim=-1)
        touching = self.spheres.radius[self.first] + self.spheres.radius[self.second]
        return (apart - DEPTH * touching)[:, None]

    def select(self, index) -> Meeting:
        """The same for some of the bodies."""
        return replace(self, first=self.first[index], second=self.second[index])


def aimed_bodies(
    smpl: SMPL, prior: GaussianMixturePrior, each: int, generator: torch.Generator
) -> BodyParameters:
    """``each`` bodies for each of AIMS, of random shape, seen from all sides five metres away.

    The likeliest pose near a random one at which two random spheres of the parts meet.
    """
    spheres = fit_capsules(smpl).spheres()
    place = (spheres.bone, spheres.center, spheres.center_shapedirs)
    regressor = PointRegressor.of_attached(smpl.rest_model(), *place)

    def some_sphere(part: str) -> int:
        own = [k for k, name in enumerate(spheres.part) if name == part]
        return own[int(torch.randint(len(own), (1,), generator=generator))]

    meetings = [[some_sphere(part) for part in aim] for aim in AIMS for _ in range(each)]
    count = len(meetings)
    start = torch.zeros(count, 86)
    start[:, 3:72] = prior.mean_pose + 0.15 * torch.randn(count, 69, generator=generator)
    start[:, 72:82] = torch.randn(count, smpl.num_betas, generator=generator)
    terms = [
        (Meeting(spheres, regressor, *torch.tensor(meetings).T), 300.0),
        (PosePrior(prior), 1.0),
        (Bending(), 1.0),
    ]
    problem = Problem(smpl.keypoint_regressor("smpl_24"), terms)
    found = levenberg_marquardt(problem, start, problem.positions("body_pose"), 60)
    bodies = PosedBody(problem.regressor, found.vector).parameters()
    yaw = about(1, uniform(-math.pi, math.pi, count, generator))
    away = torch.tensor([0.0, 0.0, 5.0]) + 0.2 * torch.randn(count, 3, generator=generator)
    upright = about(0, torch.tensor([math.pi]))
    return replace(bodies, global_orient=upright @ yaw, transl=away)


@dataclass(frozen=True)
class Intersection:
    """How many vertices of lower limbs are inside, and the deepest of them, metres."""

    vertices: int
    depth: float


@dataclass(frozen=True, eq=False)
class MeshIntersections:
    """Finds the intersections of a model's bodies."""

    smpl: SMPL

    def __call__(self, bodies: BodyParameters) -> list[Intersection]:
        """Of each of N bodies, all four limbs together."""
        skins = self.smpl(**vars(bodies)).vertices.double()
        return [self._of_skin(skin) for skin in skins]

    def _of_skin(self, skin: Float[Tensor, "V 3"]) -> Intersection:
        count, depth = 0, 0.0
        for limb, (lower, rest) in self._limbs.items():
            closed = torch.cat([skin, _centroids(skin, rest.loops)])
            inside = skin[lower][winding_numbers(skin[lower], closed, rest.faces) > 0]
            if len(inside):
                count += len(inside)
                depth = max(depth, self._depth(inside, skin, limb))
        return Intersection(count, depth)

    def _depth(self, points: Float[Tensor, "n 3"], skin: Float[Tensor, "V 3"], limb: str) -> float:
        """How far the deepest point is from the skin of the rest, the closed wound left out.

        Exact for the points that lie farthest from that skin's vertices, which are asked alone.
        """
        rest = self._limbs[limb][1]
        faces = rest.faces[: rest.own]
        near = torch.cdist(points, skin[faces.unique()]).amin(-1)
        points = points[near.topk(min(ASKED, len(points))).indices]
        mesh = trimesh.Trimesh(skin.numpy(), faces.numpy(), process=False)
        return float(trimesh.proximity.closest_point_naive(mesh, points.numpy())[1].max())

    @cached_property
    def _limbs(self) -> Mapping[str, tuple[Int[Tensor, " n"], _Rest]]:
        """By limb: the vertices of its lower part, and the rest of the body."""
        bones = self.smpl.lbs_weights.argmax(-1)

        def of(side: str, joints: Sequence[str]) -> Bool[Tensor, " V"]:
            return torch.isin(
                bones, torch.tensor(SMPL_24.indices(*(f"{side}_{j}" for j in joints)))
            )

        return {
            f"{side} {chain[0]}": (
                of(side, chain[1:]).nonzero()[:, 0],
                _Rest.without(self.smpl, of(side, chain)),
            )
            for side in ("left", "right")
            for chain in (_ARM, _LEG)
        }


@dataclass(frozen=True, eq=False)
class _Rest:
    """A closed surface: ``own`` faces of the body, and fans that close its holes.

    The fans' tips are vertices after the body's own, the means of ``loops``.
    """

    faces: Int[Tensor, "F 3"]
    own: int
    loops: Sequence[Int[Tensor, " n"]]

    @classmethod
    def without(cls, smpl: SMPL, limb: Bool[Tensor, " V"]) -> _Rest:
        """The body without the faces of a limb, and with its other holes closed as well."""
        faces = smpl.faces[~limb[smpl.faces].any(-1)]
        edges = {tuple(e) for e in torch.cat([faces[:, [i, i - 2]] for i in range(3)]).tolist()}
        open_edges = np.array([(a, b) for a, b in edges if (b, a) not in edges])
        size = len(smpl.v_template)
        graph = coo_array((np.ones(len(open_edges)), open_edges.T), (size, size))
        label = connected_components(graph, directed=False)[1][open_edges[:, 0]]
        loops, which = np.unique(label, return_inverse=True)
        fans = np.column_stack([open_edges[:, ::-1], size + which])
        return cls(
            torch.cat([faces, torch.tensor(fans)]),
            len(faces),
            [torch.tensor(open_edges[which == k, 0]) for k in range(len(loops))],
        )


def _centroids(
    skin: Float[Tensor, "V 3"], loops: Sequence[Int[Tensor, " n"]]
) -> Float[Tensor, "L 3"]:
    return torch.stack([skin[loop].mean(0) for loop in loops])
