"""Bodies against masks: how far do the outlines of body and person lie outside each other?

Which vertices lie on the outline depends on the pose, so the mesh is drawn anew at each step. What
is compared with what is decided there, as in iterative closest points [Besl and McKay 1992]; given
that, the term is a robust sum of squares like any other. `silhouette_iou` compares areas instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize, relu

from vhlib.body import SMPL
from vhlib.body.vertex_regressor import VertexRegressor
from vhlib.fitting.body_surface import BodySurface, in_view, projected_motion
from vhlib.fitting.person_masks import PersonMasks
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.robust import GemanMcClure, RobustKernel
from vhlib.fitting.schedules import ALL_UNKNOWNS, BODY_WEIGHTS, Stage
from vhlib.fitting.terms import Quadratic, Term
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.contours import OnEdges, find_contour

# A point of either outline in so many rows and columns of pixels: 1.5 cm of a standing person.
SPACING = 2
# Bodies whose derivatives are in memory at once.
CHUNK = 16
SILHOUETTE_KERNEL = GemanMcClure(25.0)
"""In pixels of a person of 200 px, as the fine stages have it for keypoints."""
# Masks show clothes and hair. This and the weight by benchmarks/silhouette_weights.py, on
# whose views 30 and 0.15 are 2 mm of MPJPE better still.
DRESSED = 0.25
SILHOUETTE_START = [Stage("mask", ALL_UNKNOWNS, {**BODY_WEIGHTS, "silhouette": 20.0}, 30)]
"""From a fit to the keypoints, which is the ``init``, on to keypoints and mask."""


@dataclass(frozen=True, eq=False)
class Silhouette(Term):
    """Distances between the outlines of body and mask, in pixels of a person of 200 px.

        E = mean_c rho(d(c, mask)^2) + s^2 mean_m rho(d(m, body)^2)

    The first mean runs over the body's outline: d is zero inside the mask, and outside it is read
    from the mask's distance transform. The second runs over the mask's outline: d is zero where the
    body covers it, else the distance to the nearest edge on the body's outline. With s = 0 the term
    is one-sided, and blind to a body that hides within the mask.

    Beyond the window of `PersonMasks` nothing is seen. A stage's robust function is the keypoints'
    and leaves this term as it is.

    Args:
        surface: of the bodies.
        camera: of the N windows; the bodies stand in its world.
        distance: of `PersonMasks.distances`, R + 1 corners for R pixels.
        outline, on_outline: (N, M, 2) and (N, M) of `PersonMasks.outlines`.
        mask_to_body: s.
        robust: rho.
    """

    surface: BodySurface
    camera: PerspectiveCamera
    distance: Float[Tensor, "N S S"]
    outline: Float[Tensor, "N M 2"]
    on_outline: Bool[Tensor, "N M"]
    mask_to_body: float | int = DRESSED
    robust: RobustKernel = SILHOUETTE_KERNEL
    name: ClassVar[str] = "silhouette"

    @classmethod
    def of_masks(
        cls,
        smpl: SMPL,
        masks: Tensor,
        camera: PerspectiveCamera,
        mask_to_body: float | int = DRESSED,
        robust: RobustKernel = SILHOUETTE_KERNEL,
    ) -> Silhouette:
        """The term for masks (N, H, W), bool or shares, of the camera's whole pictures.

        ``fit_smplify`` finds bodies in the camera's own frame: give it ``camera.in_own_frame()``.
        Raises ValueError as `PersonMasks.cut_out` does.
        """
        people = PersonMasks.cut_out(masks, camera)
        outline, on_outline = people.outlines(SPACING)
        distance = people.distances()
        surface = BodySurface(smpl)
        return cls(surface, people.camera, distance, outline, on_outline, mask_to_body, robust)

    def match(self, body: PosedBody) -> MatchedSilhouette:
        """What is compared with what, for the bodies as they are."""
        vertices = in_view(self.camera, body, self.surface.vertices(body))
        contour = find_contour(vertices, self.surface.edges, self.camera.in_own_frame(), SPACING)
        nearest = contour.nearest(self.outline.to(vertices))
        uncovered = (nearest.outside & self.on_outline)[..., None]
        return MatchedSilhouette(
            term=self,
            regressor=self.surface.regressor(contour.vertices),
            of_body=contour.places,
            of_mask=nearest.places,
            direction=torch.where(uncovered, normalize(nearest.offset, dim=-1), 0.0),
            exists=contour.exists,
        )

    def energy(self, body: PosedBody) -> Float[Tensor, " N"]:
        """The two means."""
        return self.match(body).energy(body)

    def quadratic(self, body: PosedBody) -> Quadratic:
        """Gauss-Newton with what is compared held fast, some bodies at a time."""
        parts = []
        for index in torch.arange(len(body.vector)).split(CHUNK):
            some = PosedBody(body.regressor, body.vector[index])
            parts.append(self.select(index).match(some).quadratic(some))
        return Quadratic(*(torch.cat([part[i] for part in parts]) for i in range(3)))

    def select(self, index) -> Silhouette:
        """The same for some of the pictures."""
        pictures = {
            name: getattr(self, name)[index] for name in ("distance", "outline", "on_outline")
        }
        return replace(self, camera=self.camera.select(index), **pictures)


@dataclass(frozen=True, eq=False)
class MatchedSilhouette(Term):
    """`Silhouette` with what is compared held fast.

    C points of the body's outline look their distance up; M points of the mask's outline know the
    point of the body's that they go to, and measure along their ``direction`` from there.

    Args:
        term: what this was made of.
        regressor: of the K vertices on each outline.
        of_body, of_mask: C and M points on their edges.
        direction: (N, M, 2) of length one; zero where the body covers the mask's outline.
        exists: (N, C) as in `Contour`.
    """

    term: Silhouette
    regressor: VertexRegressor
    of_body: OnEdges
    of_mask: OnEdges
    direction: Float[Tensor, "N M 2"]
    exists: Bool[Tensor, "N C"]
    name: ClassVar[str] = Silhouette.name

    def residuals(self, body: PosedBody) -> Float[Tensor, "N m"]:
        """The distances, pixels; to a body that is out of sight a window's side."""
        followed = PosedBody(self.regressor, body.vector)
        return torch.cat(self._distances(*self._points(self._pixels(followed))), -1)

    def jacobian(self, body: PosedBody) -> Float[Tensor, "N m n"]:
        """Along the analytic motion of the vertices."""
        followed = PosedBody(self.regressor, body.vector)
        points = [p.detach() for p in self._points(self._pixels(followed))]
        with torch.enable_grad():
            leaves = [p.requires_grad_() for p in points]
            total = sum(distances.sum() for distances in self._distances(*leaves))
            slopes = torch.autograd.grad(total, leaves)
        motion = self._points(projected_motion(self.term.camera, followed))
        rows = [s[..., None, :] @ m for s, m in zip(slopes, motion, strict=True)]
        return torch.cat(rows, 1)[..., 0, :]

    def rho(self, squared: Float[Tensor, "N m"]) -> tuple[Tensor, Tensor]:
        """The robust function of each distance, as a part of its mean."""
        shares = self.exists, self.term.on_outline
        weights = [there / there.sum(-1, keepdim=True).clamp(min=1) for there in shares]
        weight = torch.cat([weights[0], self.term.mask_to_body**2 * weights[1]], -1).to(squared)
        value, slope = self.term.robust(squared)
        return weight * value, weight * slope

    def _pixels(self, followed: PosedBody) -> Float[Tensor, "N K 2"]:
        """Where the vertices are in the windows."""
        camera = self.term.camera
        return camera.to_pixels(in_view(camera, followed, followed.points))

    def _points(self, values: Float[Tensor, "N K *size"]) -> tuple[Tensor, Tensor]:
        """What the vertices have, at the points of either kind."""
        return self.of_body.interpolate(values), self.of_mask.interpolate(values)

    def _distances(
        self, of_body: Float[Tensor, "N C 2"], of_mask: Float[Tensor, "N M 2"]
    ) -> tuple[Float[Tensor, "N C"], Float[Tensor, "N M"]]:
        """From the body's outline to the mask, and from the mask's outline to the body."""
        of_body = torch.where(self.exists[..., None], of_body, 0.0)
        to_mask = relu(_look_up(self.term.distance.to(of_body), of_body)) * self.exists
        to_body = (self.direction * (self.term.outline.to(of_mask) - of_mask)).sum(-1)
        seen = self.exists.any(-1, keepdim=True)
        return to_mask, torch.where(seen, to_body, float(self.term.camera.image_size[0]))


def _look_up(corners: Float[Tensor, "N S S"], xy: Float[Tensor, "N P 2"]) -> Float[Tensor, "N P"]:
    """Values at pixels, linear between the pixels' corners; beyond the last those of the border.

    As ``grid_sample``, whose backward pass crashes for a point that isn't finite.
    """
    side = corners.shape[-1]
    cell = xy.detach().floor().long().clamp(0, side - 2)
    x, y = (xy - cell).clamp(0, 1).unbind(-1)
    left, top = cell.unbind(-1)
    first = top * side + left
    values = [corners.flatten(1).gather(1, first + step) for step in (0, 1, side, side + 1)]
    return values[0].lerp(values[1], x).lerp(values[2].lerp(values[3], x), y)
