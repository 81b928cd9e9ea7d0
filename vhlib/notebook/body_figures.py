"""Bodies on white: several side by side, and what stands for them in the collision term."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
import trimesh
from jaxtyping import Float
from matplotlib.figure import Figure
from torch import Tensor

from vhlib.body import SMPL, BodyParameters
from vhlib.body.capsules import Spheres
from vhlib.body.point_regressor import PointRegressor
from vhlib.geometry import PerspectiveCamera
from vhlib.geometry.rendering import CLAY, overlay, render_shaded
from vhlib.notebook.mesh_pictures import Color, Picture, body_picture, camera_facing
from vhlib.notebook.palette import STYLE

# Of the small pictures: pixels, focal length in pixels, metres from the camera, turn to the side.
PANEL, FOCAL, DISTANCE, YAW = (260, 300), 540.0, 3.9, 0.5
SKIN_OPACITY = 0.35


def bodies_figure(
    smpl: SMPL,
    bodies: BodyParameters,
    titles: Sequence[str],
    columns: int = 4,
    yaw: float = YAW,
) -> Figure:
    """N bodies in rows, each from the front and a little from its left, ``yaw`` radians.

    Translations are left out, so that every body stands in the middle of its picture.
    """
    rows = -(-len(titles) // columns)
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            rows,
            columns,
            figsize=(2.3 * columns, 3.3 * rows),
            squeeze=False,
            layout="constrained",
        )
        for axes in grid.flat:
            axes.axis("off")
        for index, (axes, title) in enumerate(zip(grid.flat, titles, strict=False)):
            axes.imshow(small_picture(smpl, bodies[index], yaw))
            axes.set_title(title, fontsize=11)
    return figure


def small_picture(
    smpl: SMPL, body: BodyParameters, yaw: float = YAW, color: Color = CLAY
) -> Picture:
    """One body in the middle of a small picture."""
    vertices = smpl(betas=body.betas, body_pose=body.body_pose).vertices
    middle = (vertices.amin(0) + vertices.amax(0)) / 2
    upright = {"betas": body.betas, "body_pose": body.body_pose}
    centred = BodyParameters(**upright, global_orient=torch.eye(3), transl=-middle)
    return body_picture(smpl, centred, front_camera(yaw), color=color)


def front_camera(yaw: float = YAW) -> PerspectiveCamera:
    """A camera that looks at the origin of a world with y up, turned by ``yaw`` about y."""
    return camera_facing(torch.zeros(3), DISTANCE, FOCAL, PANEL, yaw)


@torch.no_grad()
def spheres_picture(
    smpl: SMPL, spheres: Spheres, bodies: BodyParameters, camera: PerspectiveCamera
) -> Picture:
    """The spheres that stand for one body, and its skin over them, see-through."""
    vertices = smpl(**vars(bodies)).vertices
    centers, radii = placed_spheres(smpl, spheres, bodies)
    ball = trimesh.creation.icosphere(subdivisions=2)
    unit, faces = torch.tensor(ball.vertices).float(), torch.tensor(ball.faces)
    balls = (centers[:, None] + radii[:, None, None] * unit).flatten(0, 1)
    each = faces + len(unit) * torch.arange(len(centers))[:, None, None]
    white = torch.full((camera.image_size[1], camera.image_size[0], 3), 255, dtype=torch.uint8)
    inside = overlay(white, render_shaded(balls, each.flatten(0, 1), camera, supersampling=2))
    skin = render_shaded(vertices, smpl.faces, camera, supersampling=2)
    return overlay(inside, skin, SKIN_OPACITY).numpy()


def placed_spheres(
    smpl: SMPL, spheres: Spheres, body: BodyParameters
) -> tuple[Float[Tensor, "K 3"], Float[Tensor, " K"]]:
    """Centres and radii of one body's spheres, metres."""
    regressor = PointRegressor.of_attached(
        smpl.rest_model(), spheres.bone, spheres.center, spheres.center_shapedirs
    )
    rotations = body.rotations[None]
    centers = regressor.points(body.betas[None], rotations)[0] + body.transl
    return centers, spheres.radius + spheres.radius_shapedirs @ body.betas
