"""Bodies against masks: the share of their areas that both have, with the outline's gradient."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body import SMPL
from vhlib.fitting.body_surface import BodySurface, in_view, projected_motion
from vhlib.fitting.person_masks import PersonMasks
from vhlib.fitting.posed_body import PosedBody
from vhlib.fitting.terms import Quadratic, Term
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.contours import find_contour
from vhlib.geometry.silhouettes import antialiased_silhouette, blurred, soft_iou


@dataclass(frozen=True, eq=False)
class SilhouetteIoU(Term):
    """``E = 1 - IoU`` of the projected body and the mask, between 0 and 1.

    Both are shares of pixels, so E changes smoothly with the outline. Each pixel of the outline
    pulls alike, outwards within the mask and inwards beyond it, however far it has to go. So a body
    that stands beside the mask would only shrink; ``blur`` lets it feel the mask from some pixels
    away, and `Silhouette` from anywhere in the window. Weights of 10 to 50 compare with keypoints.

    Args:
        surface: of the bodies.
        masks: the people; only what lies in the picture is compared.
        blur: of both, standard deviation in pixels of the windows; 0 for none.
    """

    surface: BodySurface
    masks: PersonMasks
    blur: float | int = 0.0
    name: ClassVar[str] = "silhouette_iou"

    @classmethod
    def of_masks(
        cls,
        smpl: SMPL,
        masks: Tensor,
        camera: PerspectiveCamera,
        person_height: float | int = 100.0,
        blur: float | int = 0.0,
    ) -> SilhouetteIoU:
        """The term for masks (N, H, W) of the camera's whole pictures, as `Silhouette.of_masks`.

        A person's ``person_height`` pixels say how finely areas are measured.
        """
        return cls(BodySurface(smpl), PersonMasks.cut_out(masks, camera, person_height), blur)

    def energy(self, body: PosedBody) -> Float[Tensor, " N"]:
        """One minus the soft intersection over union."""
        drawn, goal = self._pictures(body)
        return 1 - soft_iou(drawn, goal)

    def quadratic(self, body: PosedBody) -> Quadratic:
        """Energy and gradient with a Hessian for how far the outlines are apart on average.

        The areas differ by U E, if U is their union; along an outline of L pixels that's a strip of
        mean width ``d = U E / L``. The width |w| of a strip lies below ``(w^2 / d + d) / 2`` and
        touches it at d, so with the outline's motion n across itself, a row for each pixel,
        ``H = n^T n / (U d)``: iteratively reweighted least squares for the L1 norm of the widths.
        """
        model = super().quadratic(body)
        drawn, goal = self._pictures(body)
        union = torch.maximum(drawn, goal).sum((-2, -1))
        rows, length = self._outline_motion(body)
        area_apart = union * model.energy
        weight = torch.where(area_apart > 0, length / (union * area_apart.clamp(min=1e-12)), 0.0)
        return model._replace(hessian=weight[:, None, None] * (rows.mT @ rows))

    def select(self, index) -> SilhouetteIoU:
        """The same for some of the pictures."""
        return replace(self, masks=self.masks.select(index))

    def _pictures(self, body: PosedBody) -> tuple[Tensor, Tensor]:
        """Body and person as shares of the windows' pixels, (N, R, R) each."""
        drawn = antialiased_silhouette(
            self._in_view(body), self.surface.edges, self.masks.camera.in_own_frame()
        )
        pictures = drawn, self.masks.coverage.to(drawn)
        if self.blur:
            pictures = (blurred(picture, self.blur) for picture in pictures)
        drawn, goal = (picture * self.masks.in_picture for picture in pictures)
        return drawn, goal

    def _in_view(self, body: PosedBody) -> Float[Tensor, "N V 3"]:
        return in_view(self.masks.camera, body, self.surface.vertices(body))

    def _outline_motion(
        self, body: PosedBody
    ) -> tuple[Float[Tensor, "N C n"], Float[Tensor, " N"]]:
        """How the outline moves outwards by the unknowns, and its length in pixels."""
        camera = self.masks.camera
        contour = find_contour(self._in_view(body), self.surface.edges, camera.in_own_frame())
        followed = PosedBody(self.surface.regressor(contour.vertices), body.vector)
        motion = contour.places.interpolate(projected_motion(camera, followed))
        rows = (contour.outward[..., None, :] @ motion)[..., 0, :]
        return rows * contour.exists[..., None], contour.exists.to(rows).sum(-1)
