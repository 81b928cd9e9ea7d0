"""The body as twenty capsules, and those as spheres that bones carry [Bogo et al. 2016].

A capsule is fitted to the skin that a part's bones carry, each vertex weighed by the area around it
times its skinning weight. Its radius is the skin's mean distance from the part's axis. Along the
axis a tube of length E has the variance E^2 / 12, which gives the length. The derivatives of both
by the betas are sums over the vertices too. Bogo et al. learned theirs for SMPL's mesh; these are
of whatever body is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from vhlib.body.skeletons import SMPL_24
from vhlib.body.smpl import SMPL
from vhlib.geometry.meshes import face_areas


class CapsulePart(NamedTuple):
    """A part by SMPL's joints: those whose skin it holds, the first carries it; its axis."""

    joints: tuple[str, ...]
    axis: tuple[str, str]


def _limbs(side: str) -> dict[str, CapsulePart]:
    """Hands with fingers, feet with toes; an axis runs from the part's joint to the next one."""
    chain = {
        "shoulder": ("collar", "shoulder"),
        "upper_arm": ("shoulder", "elbow"),
        "forearm": ("elbow", "wrist"),
        "hand": ("wrist", "hand"),
        "thigh": ("hip", "knee"),
        "calf": ("knee", "ankle"),
        "foot": ("ankle", "foot"),
    }
    parts = {}
    for name, (start, end) in chain.items():
        axis = f"{side}_{start}", f"{side}_{end}"
        parts[f"{side}_{name}"] = CapsulePart(axis if name in ("hand", "foot") else axis[:1], axis)
    return parts


_ACROSS = ("right_shoulder", "left_shoulder")
CAPSULE_PARTS: Mapping[str, CapsulePart] = {
    "pelvis": CapsulePart(("pelvis",), ("right_hip", "left_hip")),
    **{name: CapsulePart((name,), _ACROSS) for name in ("spine1", "spine2", "spine3")},
    "neck": CapsulePart(("neck",), ("neck", "head")),
    "head": CapsulePart(("head",), ("neck", "head")),
    **_limbs("left"),
    **_limbs("right"),
}
"""The twenty parts by name. The trunk is four capsules across, one above the other."""


@dataclass(frozen=True, eq=False)
class Spheres:
    """K spheres, each carried by one bone.

    part: K names of ``CAPSULE_PARTS``; bone: K joints. center (K, 3): metres from the joint, at
    rest; radius (K,) metres; both with their change by each beta, center_shapedirs (K, 3, S) and
    radius_shapedirs (K, S).
    """

    part: tuple[str, ...]
    bone: tuple[int, ...]
    center: Tensor
    radius: Tensor
    center_shapedirs: Tensor
    radius_shapedirs: Tensor


@dataclass(frozen=True, eq=False)
class Capsules:
    """The twenty capsules of a body at rest, linear in its betas; in the order of the parts.

    center (20, 3) metres from the joint that carries the part; axis (20, 3) unit vectors; length
    (20,) metres, of the axis between the round ends; radius (20,) metres. The last axis of
    center_shapedirs (20, 3, S), length_shapedirs and radius_shapedirs (20, S) are the betas.
    """

    center: Tensor
    axis: Tensor
    length: Tensor
    radius: Tensor
    center_shapedirs: Tensor
    length_shapedirs: Tensor
    radius_shapedirs: Tensor

    def spheres(self, spacing: float = 2.0) -> Spheres:
        """The capsules as spheres along their axes, ``spacing`` radii apart or a little more.

        ``floor(length / (spacing radius) - 1)`` inner ones and both ends, counted at the mean
        shape so that their number never changes. Thighs leave out the end in the pelvis, upper arms
        both ends if there are inner ones. At Bogo's spacing of 2 neighbours just touch.
        """
        which, along = [], []
        for k, name in enumerate(CAPSULE_PARTS):
            inner = max(0, int(self.length[k] / (spacing * self.radius[k]) - 1))
            places = torch.linspace(-0.5, 0.5, inner + 2, dtype=torch.float64).tolist()
            if name.endswith("thigh"):
                places = places[1:]
            elif name.endswith("upper_arm") and inner:
                places = places[1:-1]
            which += [k] * len(places)
            along += places
        share = torch.tensor(along).to(self.center)[:, None]
        names = tuple(CAPSULE_PARTS)
        by_shape = self.axis[which, :, None] * self.length_shapedirs[which, None]
        return Spheres(
            part=tuple(names[k] for k in which),
            bone=tuple(SMPL_24.index(CAPSULE_PARTS[names[k]].joints[0]) for k in which),
            center=self.center[which] + share * self.length[which, None] * self.axis[which],
            radius=self.radius[which],
            center_shapedirs=self.center_shapedirs[which] + share[..., None] * by_shape,
            radius_shapedirs=self.radius_shapedirs[which],
        )


def fit_capsules(smpl: SMPL) -> Capsules:
    """Capsules fitted to a body's skin at rest; exact for the mean shape, linear in the betas.

    Computed in float64, given in the model's type.

    Raises:
        ValueError: the model hasn't SMPL's 24 joints, or one that carries no skin.
    """
    if len(smpl.parents) != len(SMPL_24):
        raise ValueError(
            f"capsules are defined for SMPL's {len(SMPL_24)} joints, this model has "
            f"{len(smpl.parents)}"
        )
    skin, shapedirs = smpl.v_template.double(), smpl.shapedirs.double()
    share, axis = _shares_of_skin(smpl), _axes(smpl)
    center, center_shapedirs = share @ skin, torch.einsum("kv,vcs->kcs", share, shapedirs)
    from_center = skin - center[:, None]
    along = (from_center * axis[:, None]).sum(-1)
    outwards = from_center - along[..., None] * axis[:, None]
    radius = (share * outwards.norm(dim=-1)).sum(-1)
    radius_shapedirs = torch.einsum("kv,kvc,vcs->ks", share, normalize(outwards, dim=-1), shapedirs)
    whole = (12 * (share * along.square()).sum(-1)).sqrt()
    whole_shapedirs = torch.einsum("kv,kc,vcs->ks", 12 * share * along, axis, shapedirs)
    whole_shapedirs = whole_shapedirs / whole[:, None]
    # A part wider than long is one ball.
    long = whole > 2 * radius
    carrier = [SMPL_24.index(part.joints[0]) for part in CAPSULE_PARTS.values()]
    fitted = Capsules(
        center=center - smpl.J_template.double()[carrier],
        axis=axis,
        length=torch.where(long, whole - 2 * radius, 0.0),
        radius=radius,
        center_shapedirs=center_shapedirs - smpl.J_shapedirs.double()[carrier],
        length_shapedirs=long[:, None] * (whole_shapedirs - 2 * radius_shapedirs),
        radius_shapedirs=radius_shapedirs,
    )
    return Capsules(**{name: value.to(smpl.v_template) for name, value in vars(fitted).items()})


def _shares_of_skin(smpl: SMPL) -> Float[Tensor, "20 V"]:
    """How much of each part's skin each vertex of the mean body stands for; rows sum to one."""
    skin, faces = smpl.v_template.double(), smpl.faces
    area = torch.zeros(len(skin)).to(skin)
    area = area.index_add(0, faces.flatten(), face_areas(skin, faces).repeat_interleave(3) / 3)
    weights = smpl.lbs_weights.double()
    joints = [SMPL_24.indices(*part.joints) for part in CAPSULE_PARTS.values()]
    carried = torch.stack([weights[:, indices].sum(-1) for indices in joints]) * area
    total = carried.sum(-1, keepdim=True)
    if not total.all():
        bare = [name for name, skin in zip(CAPSULE_PARTS, total, strict=True) if not skin]
        raise ValueError(f"no skin to fit a capsule to: no face's vertex moves with {bare[0]}")
    return carried / total


def _axes(smpl: SMPL) -> Float[Tensor, "20 3"]:
    """Unit directions between the joints that each part names, of the mean body."""
    joints = smpl.J_template.double()
    ends = [SMPL_24.indices(*part.axis) for part in CAPSULE_PARTS.values()]
    start, end = joints[torch.tensor(ends)].unbind(1)
    return normalize(end - start, dim=-1)
