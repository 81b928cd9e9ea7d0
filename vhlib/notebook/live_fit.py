"""A fit that follows keypoints while somebody drags them."""

from __future__ import annotations

import time
from dataclasses import replace

import torch
from torch import Tensor

from vhlib.body import SMPL, BodyParameters, Keypoints
from vhlib.fitting import Fit, fit_smplify
from vhlib.fitting.solvers import one_thread
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.rendering import render_shaded
from vhlib.notebook.keypoint_editor import EditorAnswer, Overlay
from vhlib.pipelines.photo import visible_box

OPACITY = 0.75


class LiveFit:
    """``fit_smplify`` from where it last ended: a ``refit`` for ``edit_keypoints``.

        edit_keypoints(photo, keypoints, LiveFit(smpl, camera, fit.body_parameters), alt="...")

    The first keypoints that it is given, and the same again after a reset, are fitted from
    ``start``, all others from the last result, which stays in ``fit``.

    Args:
        smpl, camera: as for ``fit_smplify``.
        start: one body, near the first keypoints.
        overlay_size: the longer side of the drawn body in pixels; it is laid over a finer photo.
        options: for ``fit_smplify``, such as another ``schedule``.
    """

    def __init__(
        self,
        smpl: SMPL,
        camera: PerspectiveCamera,
        start: BodyParameters,
        overlay_size: int = 400,
        **options: object,
    ):
        self.smpl, self.camera, self.start = smpl, camera.in_own_frame(), start
        self.overlay_size, self.options = overlay_size, options
        self.fit: Fit | None = None
        self._first: Tensor | None = None

    def __call__(self, keypoints: Keypoints) -> EditorAnswer:
        """Fit, and say what came out and how long the fit alone took.

        On one thread: shared cores would make the small products wait for each other.
        """
        with one_thread():
            return self._answer(keypoints)

    def _answer(self, keypoints: Keypoints) -> EditorAnswer:
        again = self._first is not None and not torch.equal(keypoints.xy, self._first)
        init = self.fit.body_parameters if again else self.start
        began = time.perf_counter()
        self.fit = fit_smplify(self.smpl, self.camera, keypoints, init=init, **self.options)
        milliseconds = 1000 * (time.perf_counter() - began)
        if self._first is None:
            self._first = keypoints.xy
        return EditorAnswer(
            self.fit.projected_keypoints,
            body_overlay(self.smpl, self.camera, self.fit.body_parameters, self.overlay_size),
            f"refit in {milliseconds:.0f} ms\n{energy_words(self.fit)}",
        )


def energy_words(fit: Fit) -> str:
    """The energy and its terms in a line; of a single fit."""
    terms = (
        f"{name.replace('_', ' ')} {float(value):.0f}" for name, value in fit.energy_terms.items()
    )
    return f"energy {float(fit.energy):.0f} = {' + '.join(terms)}"


@torch.no_grad()
def body_overlay(
    smpl: SMPL, camera: PerspectiveCamera, parameters: BodyParameters, size: int
) -> Overlay | None:
    """The body as ``camera`` sees it, see-through, its longer side ``size`` pixels at most.

    None where it is out of sight.
    """
    vertices = smpl(**vars(parameters)).vertices
    left, top, right, bottom = visible_box(vertices, camera)
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0:
        return None
    window = replace(
        camera,
        principal_point=camera.principal_point - torch.tensor([left, top]),
        image_size=(width, height),
    )
    share = min(1.0, size / max(width, height))
    coarse = window.resized((max(round(share * width), 1), max(round(share * height), 1)))
    rgba = render_shaded(vertices, smpl.faces, coarse) * torch.tensor([1.0, 1.0, 1.0, OPACITY])
    picture = (255 * rgba).round().to(torch.uint8).numpy()
    return Overlay(picture, (left, top, right, bottom))
