"""The registered meshes that a lesson trains a body on, or a labelled stand-in for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vhlib.body.model_files import BodyModelData, find_model, read_model
from vhlib.body.skin import Skin
from vhlib.data.downloads import DataUnavailable
from vhlib.geometry.meshes import vertex_normals
from vhlib.training.open_body import (
    PARENTS,
    Registrations,
    Source,
    body_skin,
    load_source,
    register_people,
)

# Of the stand-in: shape directions that the shipped body lacks, and how large they are in metres.
EXTRA_DIRECTIONS, LARGEST_EXTRA, EXTRA_DECAY = 12, 0.004, 0.9
# Metres; without noise on the surface all people would lie in as many directions as were used.
JOINT_NOISE, SURFACE_NOISE = 0.003, 0.0003


@dataclass(frozen=True, eq=False)
class RegisteredPeople:
    """Meshes of one topology in the T-pose, with joint centres, faces and skinning weights.

    vertices (N, V, 3) and joints (N, 24, 3) in metres, double precision. ``label`` says what they
    are, and ``landmarks`` are vertex ids by name.
    """

    vertices: Float[Tensor, "N V 3"]
    joints: Float[Tensor, "N 24 3"]
    skin: Skin
    landmarks: Mapping[str, int]
    label: str


def load_registered_people(num_people: int, seed: int = 0) -> RegisteredPeople:
    """Random adults of MakeHuman, half of them women; without its files one line and a stand-in.

    MakeHuman's assets (CC0, 47.7 MB) are fetched on first use. The same seed, the same people.
    """
    try:
        source = load_source()
    except DataUnavailable as error:
        print(f"A synthetic stand-in is shown instead of MakeHuman's people: {error}")
        return stand_in_people(num_people, seed)
    return makehuman_people(source, num_people, seed)


def makehuman_people(source: Source, num_people: int, seed: int = 0) -> RegisteredPeople:
    """Random adults of MakeHuman in the T-pose, thinned out to the open body's mesh."""
    people = register_people(source, num_people, "neutral", np.random.default_rng(seed))
    landmarks = source.topology.landmarks
    return _with_skin(people, body_skin(source), landmarks, "synthetic adults of MakeHuman, CC0")


def stand_in_people(num_people: int, seed: int = 0) -> RegisteredPeople:
    """Random shapes of the shipped open body, and changes of girth that it was not trained on.

    Without the second part ten components would leave no error. Vertices and joints carry noise.
    """
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    body = read_model(find_model("neutral"))
    directions = torch.cat([torch.from_numpy(body.shapedirs), extra_directions(body)], dim=-1)
    offsets = normal(num_people, directions.shape[-1]) @ directions.flatten(0, 1).T
    clean = torch.from_numpy(body.v_template) + offsets.unflatten(1, (-1, 3))
    joints = torch.from_numpy(body.J_regressor) @ clean
    people = Registrations(
        clean + SURFACE_NOISE * normal(*clean.shape), joints + JOINT_NOISE * normal(*joints.shape)
    )
    skin = Skin(torch.from_numpy(body.faces), torch.from_numpy(body.lbs_weights), PARENTS)
    return _with_skin(people, skin, body.landmarks, "stand-in: shapes of the shipped open body")


def extra_directions(body: BodyModelData) -> Float[Tensor, "V 3 K"]:
    """Smooth waves of girth along the surface's normals, alike on both sides, metres."""
    generator = torch.Generator().manual_seed(0)
    template = torch.from_numpy(body.v_template)
    normals = vertex_normals(template, torch.from_numpy(body.faces))
    one_side = torch.cat([template[:, :1].abs(), template[:, 1:]], dim=1)
    waves = 8 * torch.randn(3, EXTRA_DIRECTIONS, generator=generator, dtype=torch.float64)
    phases = 2 * torch.pi * torch.rand(EXTRA_DIRECTIONS, generator=generator, dtype=torch.float64)
    sizes = LARGEST_EXTRA * EXTRA_DECAY ** torch.arange(EXTRA_DIRECTIONS, dtype=torch.float64)
    return normals[..., None] * (sizes * torch.sin(one_side @ waves + phases))[:, None]


def _with_skin(
    people: Registrations, skin: Skin, landmarks: Mapping[str, int], label: str
) -> RegisteredPeople:
    return RegisteredPeople(people.vertices, people.joints, skin, landmarks, label)
