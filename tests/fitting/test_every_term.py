"""What every term of the energy must do. To put a term to the test, add a line to ``TERMS``.

A term that looks anew at what is compared with what for each body goes to ``OUTLINES``: its energy
has kinks, so differences of it aren't its derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch

import vhlib
from tests.fitting.conftest import Views, make_views
from tests.random_body import random_model
from vhlib.body import SMPL, Keypoints
from vhlib.fitting.collision import Interpenetration
from vhlib.fitting.energies import Bending, PosePrior, Reprojection, ShapePrior
from vhlib.fitting.multiview import MultiViewReprojection
from vhlib.fitting.posed_body import PosedBody, pack
from vhlib.fitting.priors.gmm import read_mixture
from vhlib.fitting.priors.joint_limits import JointLimits
from vhlib.fitting.robust import Huber
from vhlib.fitting.scene_terms import (
    Anchor,
    DepthPrior,
    FocalPrior,
    Ground,
    Plane,
    sole_points,
)
from vhlib.fitting.silhouette import Silhouette
from vhlib.fitting.silhouette_iou import SilhouetteIoU
from vhlib.fitting.solvers import Problem
from vhlib.fitting.terms import Term
from vhlib.geometry import PerspectiveCamera, axis_angle_to_matrix
from vhlib.geometry.rasterizer import rasterize


class Fixed(Term):
    """A term as a lesson writes it, here of points, betas and rotations alike."""

    name: ClassVar[str] = "fixed"

    def residuals(self, body: PosedBody) -> torch.Tensor:
        first, second = body.points[:, 4, 1], body.points[:, 7, 0] * body.betas[:, 1]
        return torch.stack(
            [first - 0.9, second, body.rotations[:, 3, 0, 1], 2 * body.betas[:, 2]], 1
        )


class Blind(Term):
    """One that looks at nothing."""

    name: ClassVar[str] = "blind"

    def residuals(self, body: PosedBody) -> torch.Tensor:
        return torch.ones(len(body.vector), 2).to(body.vector)


class Together(Term):
    """No sum of squares: how far the wrists are apart, and how large the body is."""

    name: ClassVar[str] = "together"

    def energy(self, body: PosedBody) -> torch.Tensor:
        apart = (body.points[:, 4] - body.points[:, 7]).square().sum(-1)
        return apart.sqrt() + body.betas[:, 0].exp()


@dataclass(frozen=True, eq=False)
class Scene:
    """Two bodies in double precision, and what terms are made of."""

    smpl: SMPL
    views: Views
    body: PosedBody

    @classmethod
    def make(cls, smpl: SMPL) -> Scene:
        """Candidates near, but not at, the truth of two views."""
        views = make_views(smpl, count=2, seed=3)
        vector = pack(views.truth).double()
        noise = torch.randn(vector.shape, generator=torch.Generator().manual_seed(1))
        double = SMPL(random_model(num_vertices=800, seed=5)).double()
        body = PosedBody(double.keypoint_regressor("openpose_25"), vector + 0.05 * noise.double())
        return cls(double, views, body)

    def reprojection(self, camera: PerspectiveCamera | None = None) -> Reprojection:
        """Detections of unequal confidence."""
        confidence = torch.rand(2, 25, generator=torch.Generator().manual_seed(2))
        keypoints = Keypoints(self.views.keypoints.xy.double(), confidence.double(), "openpose_25")
        return Reprojection((camera or self.views.camera).to(torch.float64), keypoints)

    @property
    def masks(self) -> torch.Tensor:
        """Where the true bodies are seen."""
        vertices = self.views.smpl(**vars(self.views.truth)).vertices
        return rasterize(vertices, self.smpl.faces, self.views.camera).triangle_ids >= 0

    @property
    def turned_camera(self) -> PerspectiveCamera:
        """Elsewhere in the world, its lens wider than high."""
        T = torch.eye(4)
        T[:3, :3] = axis_angle_to_matrix(torch.tensor([0.1, -0.2, 0.3]))
        T[:3, 3] = torch.tensor([0.1, 0.2, 0.3])
        return PerspectiveCamera((1200.0, 1100.0), (400.0, 500.0), (800, 1000), T)


PRIOR_FILE = Path(vhlib.__file__).parent / "assets" / "priors" / "gmm.npz"
FLOOR = Plane(torch.tensor([0.0, -0.8, 0.6]), 1.4)
LIMBS = (("left_hand", "right_thigh"), ("left_calf", "right_calf"), ("left_hand", "right_hand"))
TERMS: dict[str, Callable[[Scene], Term]] = {
    "reprojection": lambda s: s.reprojection(),
    "turned camera": lambda s: s.reprojection(s.turned_camera),
    "huber": lambda s: s.reprojection().with_robust(Huber(5.0)),
    "two views": lambda s: MultiViewReprojection(
        (s.reprojection(), s.reprojection(s.turned_camera))
    ),
    "pose prior": lambda s: PosePrior(read_mixture(PRIOR_FILE, torch.float64)),
    "bending": lambda s: Bending(),
    "shape prior": lambda s: ShapePrior(),
    "depth": lambda s: DepthPrior(torch.tensor([3.0, 4.0], dtype=torch.float64)),
    "focal prior": lambda s: FocalPrior(),
    "anchor": lambda s: Anchor(PosedBody(s.body.regressor, s.body.vector * 1.1).parameters()),
    "ground": lambda s: Ground(sole_points(s.smpl), FLOOR),
    "joint limits": lambda s: JointLimits(*torch.tensor([[-0.1], [0.1]]).double().expand(2, 69)),
    "interpenetration": lambda s: Interpenetration(s.smpl, LIMBS, sigma=1.0, spacing=2.0),
    "fixed": lambda s: Fixed(),
    "blind": lambda s: Blind(),
    "together": lambda s: Together(),
}
OUTLINES: dict[str, Callable[[Scene], Term]] = {
    "silhouette": lambda s: Silhouette.of_masks(s.smpl, s.masks, s.views.camera),
    "silhouette iou": lambda s: SilhouetteIoU.of_masks(s.smpl, s.masks, s.views.camera),
}
ANY = {**TERMS, **OUTLINES}
CONSTANT = {"interpenetration": ("betas",)}
"""Unknowns that a term looks at, but has no derivatives by, on purpose."""
every_term = pytest.mark.parametrize("which", TERMS)
any_term = pytest.mark.parametrize("which", ANY)


@pytest.fixture(scope="module")
def scene(small_body) -> Scene:
    return Scene.make(small_body)


def at(scene: Scene, vector: torch.Tensor) -> PosedBody:
    return PosedBody(scene.body.regressor, vector)


def held(scene: Scene, which: str) -> list[int]:
    """Where the unknowns stand that the term counts as constants."""
    blocks = [scene.body.slices[name] for name in CONSTANT.get(which, ())]
    return [i for block in blocks for i in range(block.start, block.stop)]


def central_differences(scene: Scene, which: str, step: float = 1e-6) -> torch.Tensor:
    """The residuals' Jacobian, one unknown at a time."""
    term, columns = TERMS[which](scene), []
    for i in range(scene.body.vector.shape[-1]):
        delta = torch.zeros_like(scene.body.vector)
        delta[:, i] = 0.0 if i in held(scene, which) else step
        ahead, behind = (term.residuals(at(scene, scene.body.vector + d)) for d in (delta, -delta))
        columns.append((ahead - behind) / (2 * step))
    return torch.stack(columns, -1)


def assert_relative(found: torch.Tensor, expected: torch.Tensor, tolerance: float) -> None:
    assert found.shape == expected.shape
    assert (found - expected).norm() <= tolerance * expected.norm()


@every_term
def test_residuals_pass_gradcheck(scene, which):
    term, start = TERMS[which](scene), scene.body.vector
    free = torch.ones(start.shape[-1], dtype=torch.bool)
    free[held(scene, which)] = False

    def residuals(vector: torch.Tensor) -> torch.Tensor:
        return term.residuals(at(scene, torch.where(free, vector, start)))

    assert torch.autograd.gradcheck(residuals, start.clone().requires_grad_(), atol=1e-4)


@every_term
def test_the_jacobian_equals_finite_differences(scene, which):
    term = TERMS[which](scene)
    assert_relative(term.jacobian(scene.body), central_differences(scene, which), 1e-7)


@every_term
def test_a_jacobian_that_is_one_per_cent_off_is_found(scene, which):
    jacobian = 0.99 * TERMS[which](scene).jacobian(scene.body)
    if jacobian.any():
        with pytest.raises(AssertionError):
            assert_relative(jacobian, central_differences(scene, which), 1e-7)


@any_term
def test_the_jacobian_equals_the_automatic_one(scene, which):
    """Which is the same without gradients, inside a graph, and at a body that is used already."""
    term = ANY[which](scene)
    written = term.jacobian(scene.body)
    leaf = scene.body.vector.clone().requires_grad_()
    with torch.no_grad():
        automatic = Term.jacobian(term, at(scene, scene.body.vector))
    for found in (automatic, Term.jacobian(term, at(scene, leaf))):
        assert not found.requires_grad
        assert_relative(found, written, 1e-11)
    assert leaf.grad is None


@any_term
def test_the_energy_is_the_robust_sum_of_squared_residuals(scene, which):
    term = ANY[which](scene)
    value, _ = term.rho(term.residuals(scene.body).square())
    torch.testing.assert_close(term.energy(scene.body), value.sum(-1), rtol=1e-12, atol=0)


@any_term
def test_the_quadratic_has_the_energy_and_its_gradient(scene, which):
    term = ANY[which](scene)
    vector = scene.body.vector.clone().requires_grad_()
    energy = term.energy(at(scene, vector))
    gradient = torch.zeros_like(vector)
    if energy.requires_grad:
        (gradient,) = torch.autograd.grad(energy.sum(), vector)
    model = Problem(scene.body.regressor, [(term, 1.0)]).quadratic(scene.body.vector)
    torch.testing.assert_close(model.energy, energy.detach(), rtol=1e-12, atol=0)
    assert_relative(model.gradient, gradient, 1e-10)


@every_term
def test_the_hessian_is_gauss_newton_s(scene, which):
    """2 J^T W J."""
    term = TERMS[which](scene)
    model = Problem(scene.body.regressor, [(term, 1.0)]).quadratic(scene.body.vector)
    jacobian = term.jacobian(scene.body)
    _, slope = term.rho(term.residuals(scene.body).square())
    hessian = torch.einsum("nmi,nm,nmj->nij", jacobian, 2 * slope, jacobian)
    assert_relative(model.hessian, hessian, 1e-10)


@any_term
def test_a_batch_is_its_members(scene, which):
    term = ANY[which](scene)
    problem = Problem(scene.body.regressor, [(term, 2.0)])
    together = problem.quadratic(scene.body.vector)
    for i in range(2):
        for index in (slice(i, i + 1), torch.tensor([i])):
            alone = problem.select(index).quadratic(scene.body.vector[index])
            torch.testing.assert_close(alone.energy, together.energy[index])
            assert_relative(alone.gradient, together.gradient[index], 1e-9)
            assert_relative(alone.hessian, together.hessian[index], 1e-9)
    swapped = problem.select(torch.tensor([1, 0])).energy(scene.body.vector.flip(0))
    torch.testing.assert_close(swapped.flip(0), together.energy, rtol=1e-13, atol=0)


@any_term
def test_nothing_of_the_caller_s_changes(scene, which):
    term = ANY[which](scene)
    body = at(scene, scene.body.vector.clone())
    held = [body.vector, *tensors_of(term)]
    copies = [tensor.clone() for tensor in held]
    term.quadratic(body)
    term.jacobian(body)
    Term.jacobian(term, body)
    term.energy(body)
    assert all(torch.equal(a, b) for a, b in zip(held, copies, strict=True))


def tensors_of(value: object) -> list[torch.Tensor]:
    """Every tensor that a term holds, however deep."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, torch.nn.Module):
        return list(value.state_dict().values())
    if isinstance(value, tuple | list):
        return [tensor for part in value for tensor in tensors_of(part)]
    if is_dataclass(value):
        return tensors_of([getattr(value, field.name) for field in fields(value)])
    return []


@any_term
def test_residuals_have_names(scene, which):
    term = ANY[which](scene)
    count = term.residuals(scene.body).shape[1]
    assert len(set(term.residual_names(count))) == count


def test_the_least_energy_is_flat(scene):
    """The root of an energy has no slope at zero: neither value is NaN."""

    class There(Term):
        name: ClassVar[str] = "there"

        def energy(self, body: PosedBody) -> torch.Tensor:
            return (body.transl - scene.body.transl[:1]).square().sum(-1)

    model = There().quadratic(scene.body)
    jacobian = There().jacobian(scene.body)
    assert model.energy[0] == 0
    assert model.energy[1] > 0
    for derivative in (model.gradient, model.hessian, jacobian):
        assert derivative.isfinite().all()
        assert not derivative[0].any()
        assert derivative[1].any()


def test_a_term_needs_residuals_or_an_energy(scene):
    class Empty(Term):
        name: ClassVar[str] = "empty"

    with pytest.raises(NotImplementedError, match="Empty has neither residuals nor energy"):
        Empty().energy(scene.body)
